import assert from 'node:assert/strict';
import { test } from 'node:test';
import { casesByOperator } from './cases.ts';
import { atRandom, caseKey, listed, notEqual } from './exceptions.ts';
import { runCase } from './run-case.ts';

const exceptions = listed(notEqual);

for (const [operator, cases] of casesByOperator())
  test(`upgradeModel and onnxruntime give the stored outputs of ${operator} (${cases.length} models)`, async () => {
    for (const stored of cases) {
      const { how, detail } = await runCase(stored);
      if (atRandom.includes(caseKey(stored))) {
        assert.notEqual(how, 'refused', `${caseKey(stored)}: ${detail}`);
        assert.doesNotMatch(detail, /expected shape/);
      } else if (exceptions.has(caseKey(stored)))
        assert.notEqual(how, 'equal', `${caseKey(stored)} is listed as an exception and runs`);
      else assert.equal(how, 'equal', `${caseKey(stored)}: ${detail}`);
    }
  });

test('notEqual lists models that exist', () => {
  const known = new Set([...casesByOperator().values()].flat().map(caseKey));
  assert.deepEqual(
    [...exceptions].filter((key) => !known.has(key)),
    [],
  );
});
