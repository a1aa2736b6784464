import assert from 'node:assert/strict';
import { test } from 'node:test';
import { learningRateAt } from '../src/learning-rate.ts';
import { createSetting } from './setting.ts';

const { inner } = createSetting().run;
const run = { inner: { ...inner, learningRate: 1, warmupRounds: 4 }, rounds: 104 };

test('learningRateAt rises in a line, peaks after the warm-up, ends at the floor', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((round) => learningRateAt(run, round)),
    [0.2, 0.4, 0.6, 0.8, 1],
  );
  assert.ok(Math.abs(learningRateAt(run, 54) - 0.55) < 1e-12);
  assert.ok(Math.abs(learningRateAt(run, 104) - 0.1) < 1e-12);
  assert.ok(Math.abs(learningRateAt(run, 1_000) - 0.1) < 1e-12);
});

test('learningRateAt never rises after the warm-up', () => {
  for (let round = 5; round <= 104; round++)
    assert.ok(learningRateAt(run, round) < learningRateAt(run, round - 1));
});
