import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Model } from '@murmuration/onnx';
import { createInference } from '../src/inference.ts';
import { readRunModel } from '../src/model.ts';
import { createInput, type EvaluationBatch, type Inputs, type RunData } from '../src/samples.ts';
import { createSchedule } from '../src/schedule.ts';
import { classifier } from './arrays.ts';
import { settingOf } from './setting.ts';

/** An inference over data of one batch, and whether that is open. */
function inferenceOf(model: Model, batch: Inputs) {
  const { graph, run } = settingOf(model, { data: { kind: 'arrays' } });
  const runModel = readRunModel(graph, run);
  let open = 0;
  function* batches(): Generator<EvaluationBatch> {
    open++;
    try {
      yield { inputs: batch, weight: 2, bytes: 48 };
    } finally {
      open--;
    }
  }
  const source: RunData['source'] = () => assert.fail('evaluate needs no training samples');
  const data: RunData = { sampleShapes: undefined, source, batches };
  const inference = createInference({
    ...{ run, runModel, data, frozen: new Float32Array(), threads: 1 },
    schedule: createSchedule(),
  });
  const parameters = new Float32Array(runModel.layout.length);
  const request = { data: undefined, part: 'all', bytesMax: undefined } as const;
  return { evaluate: () => inference.evaluate(parameters, request), isOpen: () => open > 0 };
}

test('Inference evaluate closes its data also when the graph fails on a batch', async () => {
  const { evaluate, isOpen } = inferenceOf(classifier(), { pixels: createInput('float32', [2, 6]) });
  await assert.rejects(evaluate(), { code: 'bad-graph' });
  assert.ok(!isOpen());
});

test('Inference evaluate says which shapes a graph with fixed sizes wants, and which came', async () => {
  const { evaluate } = inferenceOf(classifier({ rows: 4 }), {
    pixels: createInput('float32', [2, 6]),
    label: createInput('int64', [2]),
  });
  await assert.rejects(evaluate(), {
    code: 'bad-samples',
    message: "expected samples for the graph's inputs pixels [4,6], label [4], got pixels [2,6], label [2]",
  });
});
