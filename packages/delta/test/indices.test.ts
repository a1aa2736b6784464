import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '@murmuration/base';
import fc from 'fast-check';
import { BitReader, BitWriter } from '../src/bits.ts';
import { indexBitsMax, readIndices, writeIndices } from '../src/indices.ts';

const positions = (length: number, count: number, seed: string): Int32Array => {
  const random = createRandom(seed);
  const all = Int32Array.from({ length }, (_, i) => i);
  for (let i = 0; i < count; i++) {
    const j = i + random.below(length - i);
    [all[i], all[j]] = [all[j] as number, all[i] as number];
  }
  return all.slice(0, count).sort();
};

const encode = (indices: Int32Array, length: number): Uint8Array => {
  const writer = new BitWriter(new Uint8Array(8_192), 0);
  writeIndices(writer, indices, indices.length, length);
  return writer.bytes.slice(0, writer.finish());
};

const lengthAndCount = fc
  .integer({ min: 1, max: 4_096 })
  .chain((length) => fc.tuple(fc.constant(length), fc.integer({ min: 1, max: Math.min(length, 1_024) })));

test('readIndices returns what writeIndices wrote, whatever k and length', () => {
  fc.assert(
    fc.property(lengthAndCount, fc.string(), ([length, count], seed) => {
      const indices = positions(length, count, seed);
      const read = new Uint32Array(count + 1);
      const reader = new BitReader(encode(indices, length), 0);
      readIndices(reader, read, 1, count, length, 100);
      reader.finish();
      assert.deepEqual(
        [...read.subarray(1)],
        [...indices].map((index) => index + 100),
      );
    }),
    { numRuns: 500 },
  );
});

test('writeIndices stays within 5 % of log2 C(4096, k) for random positions and every k from 4 on', () => {
  const logChoose = (n: number, k: number): number => {
    let bits = 0;
    for (let i = 0; i < k; i++) bits += Math.log2((n - i) / (i + 1));
    return bits;
  };
  const random = createRandom('every k');
  const shuffled = Int32Array.from({ length: 4_096 }, (_, i) => i);
  const draw = (k: number): Int32Array => {
    for (let i = 0; i < k; i++) {
      const j = i + random.below(4_096 - i);
      [shuffled[i], shuffled[j]] = [shuffled[j] as number, shuffled[i] as number];
    }
    return shuffled.slice(0, k).sort();
  };
  for (let k = 4; k <= 1_024; k++) {
    const draws = Math.ceil(8_000 / k);
    const writer = new BitWriter(new Uint8Array(draws * 1_024), 0);
    for (let i = 0; i < draws; i++) writeIndices(writer, draw(k), k, 4_096);
    const excess = (writer.finish() * 8) / draws / logChoose(4_096, k) - 1;
    assert.ok(excess < 0.05, `k ${k}: ${(100 * excess).toFixed(2)} %`);
  }
});

test('indexBitsMax bounds the worst positions, found by going through all costs', () => {
  const parameterOf = (free: number, count: number): number =>
    32 - Math.clz32(Math.trunc(((2 * free + count) * 13) / (54 * count)));
  const short = Array.from({ length: 40 }, (_, i) => [i + 1, Math.ceil((i + 1) / 4)] as const);
  for (const [length, countMax] of [[4_096, 70], [1_500, 300], [300, 75], ...short] as const) {
    let worst = new Float64Array(length + 1);
    let worstSoFar = 0;
    for (let count = 1; count <= countMax; count++) {
      const next = new Float64Array(length + 1);
      for (let free = 1; free <= length - count; free++) {
        const parameter = parameterOf(free, count);
        const quotientMax = free >>> parameter;
        for (let quotient = 0; quotient <= quotientMax; quotient++) {
          const unary = quotient < quotientMax ? quotient + 1 : quotient;
          const bits = unary + parameter + (worst[free - (quotient << parameter)] as number);
          if (bits > (next[free] as number)) next[free] = bits;
        }
      }
      worst = next;
      worstSoFar = Math.max(worstSoFar, worst[length - count] as number);
      const bound = indexBitsMax(count, length);
      assert.ok(worstSoFar <= bound, `${count} of ${length}: ${worstSoFar} > ${bound}`);
    }
  }
});
