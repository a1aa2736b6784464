import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '@murmuration/base';
import fc from 'fast-check';
import {
  chunkLength,
  DeltaError,
  decodeDelta,
  deltaBytesMax,
  encodeDelta,
  type SparseDelta,
  subtractDelta,
  valueBits,
} from '../src/index.ts';
import { anySettings, anyVector, header, heavyTailed } from './vectors.ts';

const squares = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0);

const densify = (delta: SparseDelta): Float32Array => {
  const dense = new Float32Array(delta.length);
  subtractDelta(dense, { ...delta, values: delta.values.map((value) => -value) }, 1, dense);
  return dense;
};

test('decodeDelta returns header, settings, rising indices of nonzero values with their signs', () => {
  fc.assert(
    fc.property(anyVector, anySettings, (vector, settings) => {
      const bytes = encodeDelta(vector, header, settings);
      const decoded = decodeDelta(bytes, { parameters: vector.length, expected: header });
      assert.deepEqual(decoded.header, header);
      assert.deepEqual(decoded.settings, { ...settings });
      const { indices, values, length } = decoded.delta;
      assert.equal(length, vector.length);
      indices.forEach((index, i) => {
        assert.ok(i === 0 || index > (indices[i - 1] as number));
        assert.equal(Math.sign(values[i] as number), Math.sign(vector[index] as number));
      });
    }),
    { numRuns: 300 },
  );
});

test('encodeDelta writes at most deltaBytesMax bytes', () => {
  fc.assert(
    fc.property(anyVector, anySettings, (vector, settings) => {
      assert.ok(encodeDelta(vector, header, settings).length <= deltaBytesMax(vector.length, settings));
    }),
    { numRuns: 300 },
  );
});

test('decodeDelta accepts only what encodeDelta writes: decoding and encoding again gives the same bytes', () => {
  fc.assert(
    fc.property(anyVector, anySettings, (vector, settings) => {
      const bytes = encodeDelta(vector, header, settings);
      const { delta } = decodeDelta(bytes, { parameters: vector.length });
      assert.deepEqual(encodeDelta(densify(delta), header, settings), bytes);
    }),
    { numRuns: 300 },
  );
});

test('encodeDelta is deterministic, wherever the vector lies in memory', () => {
  const vector = heavyTailed(9_000, createRandom('place'));
  const shifted = new Float32Array(9_003);
  shifted.set(vector, 3);
  const settings = { k: 64, bits: 2 } as const;
  assert.deepEqual(encodeDelta(shifted.subarray(3), header, settings), encodeDelta(vector, header, settings));
});

test('encodeDelta says of a vector that comes in chunks what it says of the whole', () => {
  fc.assert(
    fc.property(anyVector, anySettings, (vector, settings) => {
      const scratch = new Float32Array(chunkLength);
      const source = {
        length: vector.length,
        chunk(start: number, end: number): Float32Array {
          scratch.fill(Number.NaN);
          scratch.set(vector.subarray(start, end));
          return scratch.subarray(0, end - start);
        },
      };
      assert.deepEqual(encodeDelta(source, header, settings), encodeDelta(vector, header, settings));
    }),
  );
});

test('subtractDelta leaves the rounded difference where the delta speaks, and every other bit', () => {
  fc.assert(
    fc.property(anyVector, anySettings, (vector, settings) => {
      const { delta } = decodeDelta(encodeDelta(vector, header, settings), { parameters: vector.length });
      const decoded = densify(delta);
      const expected = vector.map((value, i) => Math.fround(value - (decoded[i] as number)));
      const sent = new Set(delta.indices);
      const residual = new Float32Array(vector.length);
      subtractDelta(vector, delta, 1, residual);
      const [words, before, difference] = [residual, vector, expected].map(
        (values) => new Uint32Array(values.buffer),
      ) as [Uint32Array, Uint32Array, Uint32Array];
      words.forEach((bits, i) => {
        assert.equal(bits, sent.has(i) ? difference[i] : before[i], `value ${i}`);
      });
    }),
    { numRuns: 200 },
  );
});

test('encodeDelta with 1 bit leaves the squared error that the mean magnitude of the sent values gives', () => {
  const vector = heavyTailed(3 * chunkLength, createRandom('error bound'));
  const { delta } = decodeDelta(encodeDelta(vector, header, { k: 64, bits: 1 }), {
    parameters: vector.length,
  });
  const residual = new Float32Array(vector.length);
  subtractDelta(vector, delta, 1, residual);
  for (let start = 0; start < vector.length; start += chunkLength) {
    const chunk = vector.subarray(start, start + chunkLength);
    const mean =
      [...chunk]
        .map(Math.abs)
        .sort((a, b) => b - a)
        .slice(0, 64)
        .reduce((a, b) => a + b) / 64;
    const expected = squares(chunk) - 64 * mean * mean;
    const error = squares(residual.subarray(start, start + chunkLength));
    assert.ok(
      Math.abs(error - expected) <= 64 * (mean * 2 ** -8) ** 2 + 1e-9 * expected,
      `${error} ${expected}`,
    );
  }
});

test('encodeDelta never makes a normal vector longer by its error, and more bits err less', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 1_024 }), (seed, k) => {
      const vector = heavyTailed(chunkLength + 100, createRandom(seed));
      const [one, two, four, eight] = valueBits.map((bits) => {
        const { delta } = decodeDelta(encodeDelta(vector, header, { k, bits }), {
          parameters: vector.length,
        });
        const residual = new Float32Array(vector.length);
        subtractDelta(vector, delta, 1, residual);
        return squares(residual);
      }) as [number, number, number, number];
      const whole = squares(vector);
      assert.ok(one < whole);
      assert.ok(two <= one + 1e-4 * whole);
      assert.ok(four <= two + 1e-4 * whole);
      assert.ok(eight <= four + 1e-4 * whole);
    }),
    { numRuns: 50 },
  );
});

/** What a contribution costs on the wire besides its delta: the gossiped announcement. */
const announcementBytes = 500;

for (const [bits, timesSmaller] of [
  [1, 220],
  [2, 190],
] as const)
  test(`encodeDelta at k 64 and ${bits} bit is at least ${timesSmaller} times smaller than float32 on the wire`, () => {
    for (const length of [900_000, 10_000_000]) {
      const vector = heavyTailed(length, createRandom(`wire ${length}`));
      const onTheWire = encodeDelta(vector, header, { k: 64, bits }).length + announcementBytes;
      const times = (4 * length) / onTheWire;
      assert.ok(times >= timesSmaller && timesSmaller >= 150, `${length} values: ${times}`);
    }
  });

const throws = (call: () => unknown, code: string): void => {
  assert.throws(call, (error) => error instanceof DeltaError && error.code === code);
};

test('encodeDelta refuses vectors and settings that have no encoding', () => {
  const one = Float32Array.of(1);
  const settings = { k: 64, bits: 1 } as const;
  throws(() => encodeDelta(new Float32Array(5_000), header, settings), 'zero');
  throws(() => encodeDelta(new Float32Array(0), header, settings), 'zero');
  for (const value of [Number.NaN, -Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const vector = heavyTailed(5_000, createRandom('not finite'));
    vector[4_999] = value;
    throws(() => encodeDelta(vector, header, settings), 'not-finite');
  }
  for (const k of [0, -1, 1.5, 1_025, Number.NaN])
    throws(() => encodeDelta(one, header, { k, bits: 1 }), 'bad-settings');
  throws(() => encodeDelta(one, header, { k: 64, bits: 3 as 2 }), 'bad-settings');
  throws(() => encodeDelta(one, { ...header, base: new Uint8Array(31) }, settings), 'wrong-header');
});

test('encodeDelta keeps the extremes of float32 finite and positive', () => {
  const largest = 3.4028234663852886e38;
  for (const vector of [
    Float32Array.of(2 ** -149),
    Float32Array.of(-largest, largest),
    Float32Array.of(2 ** -149, 1),
  ])
    for (const bits of valueBits) {
      const { delta } = decodeDelta(encodeDelta(vector, header, { k: 1_024, bits }), {
        parameters: vector.length,
      });
      for (const value of delta.values) assert.ok(value !== 0 && Number.isFinite(value), `${value}`);
    }
});
