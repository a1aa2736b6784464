import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createInference } from '../src/inference.ts';
import { readRunModel } from '../src/model.ts';
import { createInput, type EvaluationBatch, type RunData } from '../src/samples.ts';
import { createSchedule } from '../src/schedule.ts';
import { classifier } from './arrays.ts';
import { settingOf } from './setting.ts';

test('Inference evaluate closes its data also when the graph fails on a batch', async () => {
  const { graph, run } = settingOf(classifier(), { data: { kind: 'arrays' } });
  const runModel = readRunModel(graph, run);
  let open = 0;
  function* batches(): Generator<EvaluationBatch> {
    open++;
    try {
      yield { inputs: { pixels: createInput('float32', [2, 6]) }, weight: 2, bytes: 48 };
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
  await assert.rejects(inference.evaluate(parameters, request), { code: 'bad-graph' });
  assert.equal(open, 0);
});
