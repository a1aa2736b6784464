import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decimalNumber, wholeNumber } from '../src/commands/options.ts';

test('wholeNumber takes the numbers of its range, and no blank', () => {
  const parse = wholeNumber(0, 10);
  assert.deepEqual(['0', '10', ' 7 '].map(parse), [0, 10, 7]);
  for (const text of ['', ' ', '-1', '11', '1.5', 'seven', 'NaN'])
    assert.throws(() => parse(text), /expected a whole number from 0 to 10/, text);
});

test('decimalNumber takes the numbers of its range, and no blank', () => {
  const parse = decimalNumber(0, 1);
  assert.deepEqual(['0', '1', '0.25', '1e-3'].map(parse), [0, 1, 0.25, 0.001]);
  for (const text of ['', ' ', '-0.1', '1.01', 'half', 'NaN'])
    assert.throws(() => parse(text), /expected a number from 0 to 1/, text);
});
