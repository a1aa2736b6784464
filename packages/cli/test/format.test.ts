import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatBytes, formatCount, formatDuration, formatShare } from '../src/format.ts';

test('formatBytes keeps three digits and changes the unit without rounding past it', () => {
  const expected: [number, string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.00 kB'],
    [4_096, '4.10 kB'],
    [9_994, '9.99 kB'],
    [9_995, '10.0 kB'],
    [99_949, '99.9 kB'],
    [99_951, '100 kB'],
    [999_499, '999 kB'],
    [999_500, '1.00 MB'],
    [1_234_567_890, '1.23 GB'],
    [5e18, '5000 PB'],
    [Number.NaN, '–'],
    [Number.POSITIVE_INFINITY, '–'],
  ];
  for (const [bytes, text] of expected) assert.equal(formatBytes(bytes), text, `${bytes}`);
});

test('formatCount is formatBytes without the B', () => {
  assert.deepEqual([0, 999, 4_096, 1_234_567].map(formatCount), ['0', '999', '4.10k', '1.23M']);
});

test('formatBytes is within half of its last digit, for any amount', () => {
  const factor: Record<string, number> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, PB: 1e15 };
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e17, noNaN: true }), (amount) => {
      const bytes = Math.round(amount);
      const [digits, unit] = formatBytes(bytes).split(' ') as [string, string];
      assert.ok(
        Math.abs(Number(digits) * (factor[unit] as number) - bytes) <= bytes * 0.00501,
        formatBytes(bytes),
      );
    }),
  );
});

test('formatDuration shows the two largest units', () => {
  const expected: [number, string][] = [
    [0, '0 ms'],
    [-5, '0 ms'],
    [850.4, '850 ms'],
    [999.6, '1 s'],
    [12_300, '12 s'],
    [60_000, '1 min'],
    [200_000, '3 min 20 s'],
    [3_599_999, '59 min 59 s'],
    [7_500_000, '2 h 5 min'],
    [3 * 86_400_000, '3 d'],
    [100 * 86_400_000 + 3_600_000, '100 d 1 h'],
    [Number.NaN, '–'],
  ];
  for (const [durationMs, text] of expected) assert.equal(formatDuration(durationMs), text, `${durationMs}`);
});

test('formatShare shows percent with one digit', () => {
  assert.deepEqual([0, 0.9534, 1, Number.NaN].map(formatShare), ['0.0 %', '95.3 %', '100.0 %', '–']);
});
