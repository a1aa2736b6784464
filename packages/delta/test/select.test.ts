import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '@murmuration/base';
import fc from 'fast-check';
import { chunkLength } from '../src/index.ts';
import { createSelector } from '../src/select.ts';
import { anyVector, heavyTailed } from './vectors.ts';

/** The definition: by falling magnitude, then rising index; zeros never. */
const naive = (vector: Float32Array, k: number): number[] =>
  [...vector.keys()]
    .filter((index) => vector[index] !== 0)
    .sort((a, b) => Math.abs(vector[b] as number) - Math.abs(vector[a] as number) || a - b)
    .slice(0, k)
    .sort((a, b) => a - b);

const selector = createSelector();
const select = (vector: Float32Array, k: number): number[] => {
  const count = selector.select(new Int32Array(vector.buffer), k, 0);
  return [...selector.indices.subarray(0, count)];
};

test('createSelector chooses what a full sort chooses, ties to the lower index', () => {
  fc.assert(
    fc.property(anyVector, fc.integer({ min: 1, max: 1_024 }), (vector, k) => {
      const chunk = vector.slice(0, chunkLength);
      assert.deepEqual(select(chunk, k), naive(chunk, k));
    }),
    { numRuns: 200 },
  );
});

test('createSelector chooses what a full sort chooses from heavy-tailed values', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 1_024 }), (seed, k) => {
      const chunk = heavyTailed(chunkLength, createRandom(seed));
      assert.deepEqual(select(chunk, k), naive(chunk, k));
    }),
    { numRuns: 100 },
  );
});

test('createSelector tells values apart that differ in the last bit only', () => {
  const bits = Int32Array.from({ length: chunkLength }, (_, i) => 0x3f800000 + ((i * 2_731) % chunkLength));
  const vector = new Float32Array(bits.buffer);
  assert.deepEqual(select(vector, 64), naive(vector, 64));
});
