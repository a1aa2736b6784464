import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RunConfig } from '@murmuration/base';
import { learningRateAt } from '../src/learning-rate.ts';
import { createSetting } from './setting.ts';

const { inner } = createSetting().run;
const runOf = (schedule: RunConfig['inner']['schedule']) => ({
  inner: { ...inner, learningRate: 1, warmupRounds: 4, schedule },
  rounds: 104,
});
const cosine = runOf({ kind: 'cosine', floor: 0.1 });
const constant = runOf({ kind: 'constant' });
const wsd = runOf({ kind: 'wsd', floor: 0.2, decayRounds: 20 });

test('learningRateAt rises in a line and peaks after the warm-up, whatever follows', () => {
  for (const run of [cosine, constant, wsd])
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((round) => learningRateAt(run, round)),
      [0.2, 0.4, 0.6, 0.8, 1],
    );
});

test('learningRateAt follows half a cosine down to the floor', () => {
  assert.ok(Math.abs(learningRateAt(cosine, 54) - 0.55) < 1e-12);
  assert.ok(Math.abs(learningRateAt(cosine, 104) - 0.1) < 1e-12);
  assert.ok(Math.abs(learningRateAt(cosine, 1_000) - 0.1) < 1e-12);
  for (let round = 5; round <= 104; round++)
    assert.ok(learningRateAt(cosine, round) < learningRateAt(cosine, round - 1));
});

test('learningRateAt stays at the peak, for ever or until the last rounds', () => {
  for (const round of [5, 50, 104, 1_000]) assert.equal(learningRateAt(constant, round), 1);
  for (const round of [5, 50, 84]) assert.equal(learningRateAt(wsd, round), 1);
  assert.ok(Math.abs(learningRateAt(wsd, 94) - 0.6) < 1e-12);
  for (const round of [104, 1_000]) assert.ok(Math.abs(learningRateAt(wsd, round) - 0.2) < 1e-12);
});
