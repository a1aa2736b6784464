import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { remarks } from './remarks.ts';
import { history, replacements, runtimeOperators } from './status.ts';
import { countOperators, withOperatorTable } from './table.ts';

test('README has the table that `npm run operators -- --write` makes', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  assert.equal(readme, withOperatorTable(readme));
});

test('countOperators counts at least 100 rules', () => {
  assert.ok(countOperators().rules >= 100);
});

test('remarks and replacements are about operators that exist', () => {
  const known = new Set([...Object.keys(history), ...runtimeOperators]);
  assert.deepEqual(
    [...Object.keys(remarks), ...Object.keys(replacements)].filter((operator) => !known.has(operator)),
    [],
  );
});
