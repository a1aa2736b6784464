import { createRandom, type Random } from '@murmuration/base';
import fc from 'fast-check';
import { type DeltaHeader, valueBits } from '../src/index.ts';

export const header: DeltaHeader = {
  runDigest: new Uint8Array(32).fill(1),
  base: new Uint8Array(32).fill(2),
  author: new Uint8Array(32).fill(3),
};

/** Values with a heavy tail, as gradients have; by exact arithmetic, so that every platform makes the same bits. */
export function heavyTailed(length: number, random: Random): Float32Array {
  const vector = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const spread = random.unit() + random.unit() + random.unit() - 1.5;
    vector[i] = (spread / 1_024) * (1 / (0.0625 + random.unit()));
  }
  return vector;
}

/** Two whole chunks and a short one: dense, all but empty with ties and both zeros, short. */
export function fixtureVector(): Float32Array {
  const vector = heavyTailed(10_000, createRandom('delta fixture 1'));
  vector.fill(0, 4_096, 8_192);
  [-2, 0.5, 0.5, 3e-41, -1e30].forEach((value, i) => {
    vector[4_096 + 700 * i] = value;
  });
  vector[8_000] = -0;
  return vector;
}

/** Float32 vectors of up to a chunk and a half: few different values (ties, zeros) or any finite ones. */
export const anyVector: fc.Arbitrary<Float32Array> = fc
  .tuple(
    fc.integer({ min: 1, max: 6_000 }),
    fc.oneof(
      fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 40 }),
      fc.constantFrom([0, 0, 0, 1], [1, -1], [0, -0, 2, 3], [1, 1.0001, 1.0002]),
    ),
    fc.string({ maxLength: 8 }),
  )
  .map(([length, palette, seed]) => {
    const random = createRandom(seed);
    return Float32Array.from({ length }, () => palette[random.below(palette.length)] as number);
  })
  .filter((vector) => vector.some((value) => value !== 0));

export const anySettings = fc.record({
  k: fc.oneof(fc.integer({ min: 1, max: 1_024 }), fc.constantFrom(1, 2, 63, 64, 65, 1_024)),
  bits: fc.constantFrom(...valueBits),
});
