import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '@murmuration/base';
import fc from 'fast-check';
import { createVectorMemory, type FlatVector, type VectorMemory } from '../src/vectors.ts';

const length = 40;

interface Filled {
  readonly memory: VectorMemory;
  readonly vectors: readonly [FlatVector, FlatVector, FlatVector, FlatVector];
  /** The values before. */
  readonly before: readonly number[][];
}

function filled(seed: string): Filled {
  const memory = createVectorMemory([length, length, length, length]);
  const random = createRandom(seed);
  const vectors = memory.vectors as unknown as Filled['vectors'];
  for (const { values } of vectors) values.set(Float32Array.from(values, () => random.unit() * 2 - 1));
  return { memory, vectors, before: vectors.map(({ values }) => [...values]) };
}

/** Starts and a number of values that fit behind each of them. */
const ranges = fc
  .tuple(fc.nat(19), fc.nat(19), fc.nat(19), fc.nat(19), fc.integer({ min: 0, max: 20 }))
  .map(([a, b, c, d, count]) => ({ starts: [a, b, c, d] as const, count }));

/** Checks one vector: `expected` inside the range, untouched outside. */
function check(
  { vectors, before }: Filled,
  index: number,
  start: number,
  count: number,
  expected: (i: number) => number,
): void {
  vectors[index]?.values.forEach((value, at) => {
    const inside = at >= start && at < start + count;
    const old = before[index]?.[at] as number;
    if (inside) assert.ok(Math.abs(value - expected(at - start)) < 1e-6, `${index}[${at}]`);
    else assert.equal(value, old);
  });
}

test('VectorMemory run accumulates, descends and averages in any range, and touches nothing beside it', () => {
  fc.assert(
    fc.property(fc.string(), ranges, (seed, { starts: [a, b, c, d], count }) => {
      const state = filled(seed);
      const { memory, vectors, before } = state;
      const old = (index: number, start: number, i: number): number => before[index]?.[start + i] as number;
      const at = (index: 0 | 1 | 2 | 3, from: number) => ({ vector: vectors[index], from });
      memory.run('accumulate', count, { sum: at(0, a), gradient: at(1, b) }, {});
      check(state, 0, a, count, (i) => old(0, a, i) + old(1, b, i));
      memory.run('descend', count, { parameters: at(2, c), direction: at(1, b) }, { keep: 0.5, rate: 0.25 });
      check(state, 2, c, count, (i) => 0.5 * old(2, c, i) - 0.25 * old(1, b, i));
      memory.run(
        'average',
        count,
        { gradient: at(1, b), momentum: at(3, d) },
        { scale: 2, mu: 0.9, rest: 0.1, gradientShare: 0.3, momentumShare: 0.7 },
      );
      const moved = (i: number): number => 0.9 * old(3, d, i) + 0.2 * old(1, b, i);
      check(state, 3, d, count, moved);
      check(state, 1, b, count, (i) => 0.6 * old(1, b, i) + 0.7 * moved(i));
    }),
  );
});

test('VectorMemory sumOfSquares sums any range in float64', () => {
  fc.assert(
    fc.property(fc.string(), ranges, (seed, { starts: [start], count }) => {
      const { memory, vectors, before } = filled(seed);
      const expected = (before[0] as number[])
        .slice(start, start + count)
        .reduce((sum, value) => sum + value * value, 0);
      const sum = memory.sumOfSquares({ vector: vectors[0], from: start }, count);
      assert.ok(Math.abs(sum - expected) < 1e-12);
    }),
  );
});

test('VectorMemory reaches values behind 2 GiB', () => {
  const count = 150_000_000;
  const memory = createVectorMemory([count, count, count, count, count]);
  const [first, , , , last] = memory.vectors as [FlatVector, FlatVector, FlatVector, FlatVector, FlatVector];
  assert.ok(last.at > 2 ** 31);
  last.values.set([1, 2, 3, 4, 5, 6, 7], count - 7);
  const from = count - 7;
  memory.run('accumulate', 7, { sum: { vector: first, from }, gradient: { vector: last, from } }, {});
  assert.deepEqual([...first.values.subarray(count - 8)], [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.equal(memory.sumOfSquares({ vector: last, from: count - 8 }, 8), 140);
});
