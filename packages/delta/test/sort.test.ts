import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createSorter } from '../src/sort.ts';

test('createSorter gives what a comparison sort gives, and leaves its input', () => {
  const sort = createSorter(1_024);
  const magnitude = fc.float({ min: 0, noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(fc.array(magnitude, { maxLength: 300 }), fc.nat(300), (values, most) => {
      const magnitudes = Float32Array.from(values);
      const count = Math.min(most, magnitudes.length);
      assert.deepEqual(sort(magnitudes, count), magnitudes.slice(0, count).sort());
      assert.deepEqual(magnitudes, Float32Array.from(values));
    }),
  );
});
