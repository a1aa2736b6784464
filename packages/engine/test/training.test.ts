import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleRun, parseRunConfig } from '@murmuration/base';
import type { Learner } from '../src/learner.ts';
import { createTraining, freshCounters } from '../src/training.ts';

/** A learner whose micro-batches have these losses, and whose gradient is 1. */
function learnerOf(losses: readonly number[]): Learner {
  let [given, collected] = [0, 0];
  return {
    inputs: {},
    get collected() {
      return collected;
    },
    async collect() {
      collected++;
      return losses[given++] as number;
    },
    discard() {
      collected = 0;
    },
    gradientNorm: async () => 1,
    async update() {
      collected = 0;
    },
    isRemote: false,
    pull: async () => undefined,
    push: () => undefined,
  };
}

const training = (losses: readonly number[], accumulate: number) =>
  createTraining({
    run: parseRunConfig({ ...exampleRun, inner: { ...exampleRun.inner, accumulate } }),
    learner: learnerOf(losses),
    source: { position: 0, fill: () => undefined },
    counters: freshCounters(),
    report: () => undefined,
    timeUse: () => ({ wallSeconds: 0, trainingSeconds: 0, evaluationSeconds: 0, callsSeconds: 0 }),
  });

test('Training gives a step up at its first loss that is no number, so that every checkpoint holds numbers', async () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const { plan, counters } = training([1, bad, 2, 3, 4], 3);
    const first = plan({ steps: 1, round: 0 });
    assert.equal(await first.slice(), false);
    await assert.rejects(first.slice(), { code: 'not-finite' });
    assert.deepEqual([counters.step, counters.stepLossSum, counters.microBatches], [0, 0, 2]);
    const second = plan({ steps: 1, round: 0 });
    while (!(await second.slice()));
    assert.deepEqual([counters.step, counters.lossSum], [1, 3]);
  }
});
