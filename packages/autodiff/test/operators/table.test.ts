import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { operatorSupport } from '../../src/index.ts';
import { remarks, runtimeRemarks } from './remarks.ts';
import { history, replacements, runtimeOperators, runtimeStatusOf, statusOf } from './status.ts';
import { countOperators, withOperatorTable } from './table.ts';

test('README has the table that `npm run operators -- --write` makes', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  assert.equal(readme, withOperatorTable(readme));
});

test('countOperators counts at least 100 rules', () => {
  assert.ok(countOperators().rules >= 100);
});

test('remarks and replacements are about operators that exist', () => {
  const unknown = (table: object, operators: readonly string[]): readonly string[] =>
    Object.keys(table).filter((operator) => !operators.includes(operator));
  assert.deepEqual(unknown(remarks, Object.keys(history)), []);
  assert.deepEqual(unknown(replacements, Object.keys(history)), []);
  assert.deepEqual(unknown(runtimeRemarks, runtimeOperators), []);
});

test('statusOf and operatorSupport agree', () => {
  const supportOf = { rule: 'rule', lowered: 'rule', none: 'none' } as const;
  for (const [domain, operators, of] of [
    ['', Object.keys(history), statusOf],
    ['com.microsoft', runtimeOperators, runtimeStatusOf],
  ] as const)
    for (const operator of operators) {
      const status = of(operator);
      if (status !== 'unsupported' && status !== 'replaced')
        assert.equal(operatorSupport({ operator, domain }), supportOf[status], operator);
      else if (status === 'unsupported')
        assert.match(operatorSupport({ operator, domain }), /unsupported|foreign/);
    }
});
