import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, type GraphBuilder, ints, intsOf, type Model } from '@murmuration/onnx';
import fc from 'fast-check';
import { mergeTransposes } from '../../src/passes/merge-transposes.ts';
import { assertEqualResults, operatorCounts } from './equal-results.ts';

const sizes = [2, 3, 4, 5];

const modelOf = (write: (builder: GraphBuilder, x: string) => string): Model => {
  const builder = createGraphBuilder('turned');
  const x = builder.input('x', 'float32', sizes);
  builder.output(builder.node('Tanh', [write(builder, x)]), 'float32');
  return builder.model();
};

const turn = (builder: GraphBuilder, x: string, permutation: readonly number[]): string =>
  builder.node('Transpose', [x], { perm: ints(permutation) });

const permutation = fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 });

test('mergeTransposes makes at most one of any number of transpositions in a row', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(permutation, { minLength: 2, maxLength: 4 }), async (permutations) => {
      const written = modelOf((builder, x) =>
        permutations.reduce((value, each) => turn(builder, value, each), x),
      );
      const merged = mergeTransposes(written);
      const { Transpose = 0, Identity = 0 } = operatorCounts(merged);
      assert.equal(Transpose + Identity, 1);
      await assertEqualResults(written, merged, 0);
    }),
    { numRuns: 20 },
  );
});

test('mergeTransposes sees a transposition of the last axes that is written in rank 3', async () => {
  const written = modelOf((builder, x) => {
    const heads = turn(builder, x, [0, 2, 1, 3]);
    const joined = builder.node('Reshape', [heads, builder.int64s([8, 3, 5])]);
    return builder.node('Reshape', [turn(builder, joined, [0, 2, 1]), builder.int64s([2, 4, 5, 3])]);
  });
  const merged = mergeTransposes(written);
  assert.deepEqual(operatorCounts(merged), { Transpose: 1, Tanh: 1 });
  const [transpose] = merged.graph.nodes;
  assert.deepEqual(transpose && intsOf(transpose, 'perm'), [0, 2, 3, 1]);
  await assertEqualResults(written, merged, 0);
});

test('mergeTransposes leaves alone what parts the joined axes otherwise', () => {
  const written = modelOf((builder, x) => {
    const heads = turn(builder, x, [0, 2, 1, 3]);
    const joined = builder.node('Reshape', [heads, builder.int64s([8, 3, 5])]);
    return builder.node('Reshape', [turn(builder, joined, [0, 2, 1]), builder.int64s([4, 2, 5, 3])]);
  });
  assert.equal(mergeTransposes(written), written);
});

test('mergeTransposes takes time in proportion to a chain of transpositions', { timeout: 60_000 }, () => {
  const turns = Array.from({ length: 30_000 }, () => [1, 2, 3, 0]);
  const written = modelOf((builder, x) => turns.reduce((value, each) => turn(builder, value, each), x));
  assert.deepEqual(operatorCounts(mergeTransposes(written)), { Identity: 1, Tanh: 1 });
});
