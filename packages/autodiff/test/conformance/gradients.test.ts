import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusOf } from '../operators/status.ts';
import { casesByOperator } from './cases.ts';
import { checkCase, differencesWithSymbols, isDifferentiable } from './check-case.ts';
import { caseKey, listed, notChecked, notEqual } from './exceptions.ts';

const notRun = listed(notEqual);
const exceptions = listed(notChecked);
/** Gradients with and without known sizes may add in another order. */
const symbolicTolerance = 1e-4;
/** Operators of which the first input's first size must be known: that of a list of two values. */
const needsSizes: ReadonlySet<string> = new Set(['OneHot']);

for (const [operator, cases] of casesByOperator()) {
  const status = statusOf(operator);
  const checked = cases.filter((stored) => isDifferentiable(stored) && !notRun.has(caseKey(stored)));
  if (checked.length === 0 || status === 'unsupported') continue;
  if (status === 'none') {
    test(`gradients of ${operator} in ${checked.length} models: none`, async () => {
      for (const stored of checked) assert.equal((await checkCase(stored)).how, 'flat', caseKey(stored));
    });
    continue;
  }
  test(`gradients of ${operator} in ${checked.length} models: central differences agree`, async () => {
    for (const stored of checked) {
      const { how, detail } = await checkCase(stored);
      if (exceptions.has(caseKey(stored)))
        assert.notEqual(how, 'agrees', `${caseKey(stored)} is listed as an exception and agrees`);
      else assert.equal(how, 'agrees', `${caseKey(stored)}: ${detail}`);
    }
  });
  test(`gradients of ${operator} are the same without known sizes`, async () => {
    for (const stored of checked.filter((each) => !exceptions.has(caseKey(each)))) {
      const { none, batch, all } = await differencesWithSymbols(stored);
      if (none === undefined) continue;
      assert.ok((all ?? 0) <= symbolicTolerance, `${caseKey(stored)}: ${all}`);
      if (batch !== undefined || !needsSizes.has(operator))
        assert.ok((batch ?? Number.NaN) <= symbolicTolerance, `${caseKey(stored)}: ${batch}`);
    }
  });
}
