import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareLearners, createLearner } from '../src/create-learner.ts';
import type { Learner } from '../src/learner.ts';
import { readRunModel } from '../src/model.ts';
import { createOptimizer } from '../src/optimizers/optimizer.ts';
import { sizeInputs } from '../src/samples.ts';
import { classifier } from './arrays.ts';
import { settingOf } from './setting.ts';

const { graph, run } = settingOf(classifier({ dropout: 0.2, normalized: true }), {
  data: { kind: 'arrays' },
  batch: 4,
});
const runModel = readRunModel(graph, run);

async function host() {
  const optimizer = createOptimizer({ ...runModel, inner: run.inner, threads: 1 });
  const { learner } = await createLearner({
    ...{ inner: run.inner, runModel, optimizer, frozen: new Float32Array(), threads: 1 },
    sizes: sizeInputs(runModel.inputs, 4, { pixels: [6], label: [] }),
    noiseSeed: 'noise',
    checkpointActivations: false,
    device: { wish: 'cpu', name: 'cpu', reason: 'as asked for' },
  });
  return { learner, optimizer };
}

test('compareLearners takes a learner that agrees, and leaves the optimizer fresh', async () => {
  const { learner, optimizer } = await host();
  await compareLearners(learner, learner, { optimizer, runModel });
  assert.deepEqual([optimizer.step, optimizer.collected], [0, 0]);
  for (const state of Object.values(optimizer.states))
    assert.deepEqual(state, new Float32Array(state.length));
});

test('compareLearners refuses a learner with one wrong tensor in its gradient', async () => {
  const { learner, optimizer } = await host();
  const slot = runModel.layout.slots.find(({ name }) => name === 'wide');
  assert.ok(slot);
  const wrong: Learner = {
    ...learner,
    async collect(counter) {
      const loss = await learner.collect(counter);
      optimizer.gradient.fill(0, slot.offset, slot.offset + slot.length);
      return loss;
    },
  };
  await assert.rejects(compareLearners(wrong, learner, { optimizer, runModel }), {
    code: 'device-failed',
    message: /another gradient of wide than the CPU/,
  });
});
