import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createQuantizer, levelWeights, scaleBits, scaleBitsMax, scaleOf, twoLevels } from '../src/levels.ts';

const magnitude = fc.float({ noNaN: true, noDefaultInfinity: true, min: 2 ** -120, max: 2 ** 120 });

test('scaleBits errs by at most 2⁻⁸ of a magnitude', () => {
  fc.assert(
    fc.property(magnitude, (value) => {
      assert.ok(Math.abs(scaleOf(scaleBits(value)) - value) <= value * 2 ** -8);
    }),
  );
});

test('scaleOf and scaleBits are inverse on every scale', () => {
  for (let bits = 1; bits <= scaleBitsMax; bits++) assert.equal(scaleBits(scaleOf(bits)), bits);
});

test('twoLevels finds the split of least squared error among all', () => {
  const error = (group: number[]): number => {
    const mean = group.reduce((a, b) => a + b, 0) / group.length;
    return group.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  };
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 2, maxLength: 60 }),
      (magnitudes) => {
        const sorted = magnitudes.toSorted((a, b) => a - b);
        const { split } = twoLevels(Float32Array.from(sorted), sorted.length);
        const chosen =
          error(sorted.filter((value) => value <= split)) +
          (split < (sorted.at(-1) as number) ? error(sorted.filter((value) => value > split)) : 0);
        const best = Math.min(
          ...sorted.slice(1).map((_, i) => error(sorted.slice(0, i + 1)) + error(sorted.slice(i + 1))),
        );
        const rounding = (sorted.at(-1) as number) ** 2 * sorted.length * 2 ** -16;
        assert.ok(chosen <= best + rounding, `${chosen} > ${best}`);
      },
    ),
  );
});

for (const bits of [4, 8] as const) {
  const last = levelWeights[bits].length - 1;
  const grid = fc.array(magnitude, { minLength: 1, maxLength: 200 }).map((values) => {
    const magnitudes = Float32Array.from(values, Math.abs).filter((value) => value > 0);
    const codes = new Uint8Array(magnitudes.length);
    const scales = createQuantizer(bits, 1_024).quantize(magnitudes, magnitudes.length, codes);
    const [low, high] = [scaleOf(scales.low), scaleOf(scales.high)];
    const levels = Float32Array.from(levelWeights[bits], (weight) => low + (high - low) * weight);
    return { magnitudes, codes, levels };
  });

  test(`createQuantizer with ${bits} bits gives each magnitude its nearest level`, () => {
    fc.assert(
      fc.property(grid, ({ magnitudes, codes, levels }) => {
        magnitudes.forEach((value, i) => {
          const errors = [...levels].map((level) => Math.abs(level - value));
          const rounding = value * 2 ** -8;
          assert.ok((errors[codes[i] as number] as number) <= Math.min(...errors) + rounding);
        });
      }),
    );
  });

  test(`createQuantizer with ${bits} bits uses the first and the last of its rising levels, or one`, () => {
    fc.assert(
      fc.property(grid, ({ magnitudes, codes, levels }) => {
        if (magnitudes.length === 0) return;
        const isFlat = levels[0] === levels[last];
        assert.deepEqual([Math.min(...codes), Math.max(...codes)], [0, isFlat ? 0 : last]);
        levels.forEach((level, i) => {
          assert.ok(isFlat || i === 0 || level > (levels[i - 1] as number));
        });
      }),
    );
  });
}

test('createQuantizer with 8 bits errs by at most 1 % of magnitudes that differ by a factor of two', () => {
  fc.assert(
    fc.property(
      fc.array(fc.float({ min: 1, max: 2, noNaN: true }), { minLength: 1, maxLength: 100 }),
      (values) => {
        const magnitudes = Float32Array.from(values);
        const codes = new Uint8Array(magnitudes.length);
        const scales = createQuantizer(8, 1_024).quantize(magnitudes, magnitudes.length, codes);
        const [low, high] = [scaleOf(scales.low), scaleOf(scales.high)];
        magnitudes.forEach((value, i) => {
          const level = low + (high - low) * (levelWeights[8][codes[i] as number] as number);
          assert.ok(Math.abs(level - value) <= 0.01 * value, `${value} became ${level}`);
        });
      },
    ),
  );
});
