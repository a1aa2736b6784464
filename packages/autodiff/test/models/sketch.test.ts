import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sketch, sketchedError } from './sketch.ts';
import { drawn } from './third-party.ts';

test('sketchedError estimates the relative error of a gradient', () => {
  const expected = drawn([300, 40], 5).data as Float32Array;
  const noise = drawn([300, 40], 6).data as Float32Array;
  for (const size of [1e-5, 1e-3, 0.1]) {
    const near = expected.map((value, index) => value + size * (noise[index] as number));
    const error = sketchedError(sketch(near, 16), sketch(expected, 16));
    assert.ok(error > size / 2 && error < size * 2, `noise of ${size} was estimated as ${error}`);
  }
});
