import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '@murmuration/base';
import fc from 'fast-check';
import {
  aggregate,
  applyUpdate,
  DeltaError,
  deltaNorm,
  revertUpdate,
  type SparseDelta,
  subtractDelta,
  type WeightedDelta,
} from '../src/index.ts';

const anyDelta = (length: number): fc.Arbitrary<SparseDelta> =>
  fc
    .uniqueArray(
      fc.tuple(
        fc.integer({ min: 0, max: length - 1 }),
        fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }),
      ),
      { selector: ([index]) => index, minLength: 1, maxLength: 60 },
    )
    .map((pairs) => {
      const sorted = pairs.toSorted(([a], [b]) => a - b);
      return {
        length,
        indices: Uint32Array.from(sorted, ([index]) => index),
        values: Float32Array.from(sorted, ([, value]) => value),
      };
    });

const anyInputs = (length: number): fc.Arbitrary<WeightedDelta[]> =>
  fc.array(
    fc.record({
      delta: anyDelta(length),
      clip: fc.double({ min: 1e-3, max: 1, noNaN: true }),
      weight: fc.integer({ min: 1, max: 100_000 }),
    }),
    { minLength: 1, maxLength: 6 },
  );

const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.slice().buffer);

test('aggregate gives each coordinate the clipped weighted mean of its definition', () => {
  const length = 150_000;
  fc.assert(
    fc.property(anyInputs(length), fc.double({ min: 0, max: 1, noNaN: true }), (inputs, kappa) => {
      const update = aggregate(inputs, { kappa, length });
      const sums = new Map<number, { sum: number; weight: number }>();
      for (const { delta, clip, weight } of inputs)
        delta.indices.forEach((index, i) => {
          const entry = sums.get(index) ?? { sum: 0, weight: 0 };
          entry.sum += weight * clip * (delta.values[i] as number);
          entry.weight += weight;
          sums.set(index, entry);
        });
      const all = inputs.reduce((sum, { weight }) => sum + weight, 0);
      const expected = [...sums].sort(([a], [b]) => a - b);
      assert.deepEqual(
        [...update.indices],
        expected.map(([index]) => index),
      );
      assert.deepEqual(
        [...update.values],
        expected.map(([, { sum, weight }]) => Math.fround(sum / Math.max(weight, kappa * all))),
      );
    }),
    { numRuns: 100 },
  );
});

test('aggregate with κ 0 is the mean over senders, with κ 1 the mean over contributors', () => {
  const delta = (index: number, value: number): SparseDelta => ({
    length: 4,
    indices: Uint32Array.of(index),
    values: Float32Array.of(value),
  });
  const inputs = [
    { delta: delta(1, 8), clip: 0.5, weight: 3 },
    { delta: delta(1, 2), clip: 1, weight: 1 },
    { delta: delta(3, 4), clip: 1, weight: 4 },
  ];
  assert.deepEqual([...aggregate(inputs, { kappa: 0, length: 4 }).values], [3.5, 4]);
  assert.deepEqual([...aggregate(inputs, { kappa: 1, length: 4 }).values], [1.75, 2]);
});

test('aggregate depends on its inputs in the order given only: sorting makes arrival order irrelevant', () => {
  fc.assert(
    fc.property(anyInputs(5_000), fc.string(), (inputs, seed) => {
      const named = inputs.map((input, name) => ({ ...input, name }));
      const random = createRandom(seed);
      const arrived = named
        .map((input) => ({ input, draw: random.uint32() }))
        .sort((a, b) => a.draw - b.draw)
        .map(({ input }) => input);
      const sorted = arrived.toSorted((a, b) => a.name - b.name);
      const rule = { kappa: 0.25, length: 5_000 };
      assert.deepEqual(bitsOf(aggregate(sorted, rule).values), bitsOf(aggregate(named, rule).values));
    }),
    { numRuns: 50 },
  );
});

test('aggregate of nothing is an update of nothing', () => {
  assert.equal(aggregate([], { kappa: 0, length: 10 }).indices.length, 0);
});

test('aggregate refuses other lengths, weights, clips and κ', () => {
  const delta: SparseDelta = { length: 4, indices: Uint32Array.of(1), values: Float32Array.of(1) };
  const good = { delta, clip: 1, weight: 1 };
  const rule = { kappa: 0, length: 4 };
  const isBad = (error: unknown): boolean => error instanceof DeltaError && error.code === 'bad-input';
  assert.throws(() => aggregate([good], { ...rule, length: 5 }), isBad);
  for (const weight of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(() => aggregate([{ ...good, weight }], rule), isBad);
  for (const clip of [0, -1, 1.01, Number.NaN])
    assert.throws(() => aggregate([{ ...good, clip }], rule), isBad);
  for (const kappa of [-0.1, 1.1, Number.NaN])
    assert.throws(() => aggregate([good], { ...rule, kappa }), isBad);
});

test('applyUpdate subtracts outerStep · update, rounded once; revertUpdate restores every bit', () => {
  fc.assert(
    fc.property(
      anyDelta(300),
      fc.double({ min: 1e-3, max: 2, noNaN: true }),
      fc.string(),
      (update, step, seed) => {
        const random = createRandom(seed);
        const theta = Float32Array.from({ length: 300 }, () => random.unit() - 0.5);
        theta[0] = -0;
        const before = theta.slice();
        const undo = applyUpdate(theta, update, step);
        const expected = before.slice();
        update.indices.forEach((index, i) => {
          expected[index] = Math.fround((before[index] as number) - step * (update.values[i] as number));
        });
        assert.deepEqual(bitsOf(theta), bitsOf(expected));
        revertUpdate(theta, undo);
        assert.deepEqual(bitsOf(theta), bitsOf(before));
      },
    ),
  );
});

test('subtractDelta keeps the bits of what was not sent, and may write in place', () => {
  fc.assert(
    fc.property(anyDelta(300), fc.double({ min: 1e-3, max: 1, noNaN: true }), (delta, factor) => {
      const random = createRandom('residual');
      const u = Float32Array.from({ length: 300 }, () => random.unit() - 0.5);
      u[299] = -0;
      const out = new Float32Array(300).fill(Number.NaN);
      subtractDelta(u, delta, factor, out);
      const sent = new Map([...delta.indices].map((index, i) => [index, delta.values[i] as number]));
      const expected = u.map((value, index) =>
        sent.has(index) ? value - factor * (sent.get(index) as number) : value,
      );
      assert.deepEqual(bitsOf(out), bitsOf(expected));
      subtractDelta(u, delta, factor, u);
      assert.deepEqual(bitsOf(u), bitsOf(out));
    }),
  );
});

test('subtractDelta and applyUpdate refuse vectors of another length', () => {
  const delta: SparseDelta = { length: 4, indices: Uint32Array.of(1), values: Float32Array.of(1) };
  assert.throws(() => subtractDelta(new Float32Array(5), delta, 1, new Float32Array(5)), DeltaError);
  assert.throws(() => subtractDelta(new Float32Array(4), delta, 1, new Float32Array(5)), DeltaError);
  assert.throws(() => applyUpdate(new Float32Array(3), delta, 1), DeltaError);
});

test('deltaNorm is the root of the float64 sum of squares in index order', () => {
  const values = Float32Array.of(3e20, -4e20, 1e-3);
  const delta = { length: 9, indices: Uint32Array.of(1, 4, 7), values };
  let sum = 0;
  for (const value of values) sum += value * value;
  assert.equal(deltaNorm(delta), Math.sqrt(sum));
});
