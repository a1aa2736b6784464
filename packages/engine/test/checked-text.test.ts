import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withCheckedText } from '../src/checked-text.ts';
import type { Inputs, RunData } from '../src/samples.ts';
import type { ValueRules } from '../src/value-rules.ts';

const valuesOf = (tokens: readonly number[]): BigInt64Array => BigInt64Array.from(tokens, BigInt);
const inputsOf = (data: BigInt64Array): Inputs => ({
  tokens: { type: 'int64', shape: [data.length], data },
});

/** Samples with these tokens. */
const dataOf = (given: readonly number[]): RunData => ({
  sampleShapes: { tokens: [] },
  source: () => ({
    position: 7,
    fill({ tokens }) {
      if (tokens) (tokens.data as BigInt64Array).set(valuesOf(given));
    },
  }),
  batches: () => [{ inputs: inputsOf(valuesOf(given)), weight: given.length, bytes: 0 }],
});

const rules: ValueRules = new Map([
  [
    'tokens',
    {
      expected: 'zeros',
      firstWrong: (values) => Array.from(values, Number).findIndex((value) => value !== 0),
    },
  ],
]);
const request = { data: undefined, part: 'all', batch: 4, bytesMax: undefined } as const;

test('withCheckedText passes on what keeps the rules', () => {
  const data = withCheckedText(dataOf([0, 0]), rules);
  const source = data.source({ seed: '', position: 0 });
  assert.equal(source.position, 7);
  source.fill(inputsOf(new BigInt64Array(2)));
  assert.equal([...data.batches(request)].length, 1);
});

test('withCheckedText refuses what breaks them, in training and in evaluation', () => {
  const data = withCheckedText(dataOf([0, 3]), rules);
  const refusal = { code: 'bad-samples', message: 'text as tokens: expected zeros, got 3' };
  const source = data.source({ seed: '', position: 0 });
  assert.throws(() => source.fill(inputsOf(new BigInt64Array(2))), refusal);
  assert.throws(() => [...data.batches(request)], refusal);
});
