import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { scaleBits, scaleBitsMax, scaleOf, twoLevels } from '../src/levels.ts';

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
        const { split } = twoLevels(Float32Array.from(magnitudes), magnitudes.length);
        const sorted = magnitudes.toSorted((a, b) => a - b);
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
