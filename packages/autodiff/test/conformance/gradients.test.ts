import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusOf } from '../operators/status.ts';
import { casesByOperator } from './cases.ts';
import { checkCase, isDifferentiable } from './check-case.ts';
import { caseKey, listed, notChecked, notEqual } from './exceptions.ts';

const notRun = listed(notEqual);
const exceptions = listed(notChecked);

for (const [operator, cases] of casesByOperator()) {
  const status = statusOf(operator);
  const checked = cases.filter((stored) => isDifferentiable(stored) && !notRun.has(caseKey(stored)));
  if (checked.length === 0 || status === 'unsupported') continue;
  const expected = status === 'none' ? 'flat' : 'agrees';
  test(`gradients of ${operator} in ${checked.length} models: ${status === 'none' ? 'none' : 'central differences agree'}`, async () => {
    for (const stored of checked) {
      const { how, detail } = await checkCase(stored);
      if (exceptions.has(caseKey(stored)))
        assert.notEqual(how, expected, `${caseKey(stored)} is listed as an exception and agrees`);
      else assert.equal(how, expected, `${caseKey(stored)}: ${detail}`);
    }
  });
}
