import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createGraphBuilder,
  float32Tensor,
  initializeParameters,
  type Model,
  parametersOf,
} from '@murmuration/onnx';
import {
  checkGradients,
  exportModel,
  prepareTraining,
  type Trainable,
  type TrainingRequest,
} from '../../src/index.ts';
import { runModel } from '../run-model.ts';
import { textNetwork } from './network.ts';
import { assertClose, feedsOf, ones, run, targets, textRequest, throwsRequest, tokens } from './text-case.ts';

const adapted: TrainingRequest = {
  ...textRequest,
  trains: { kind: 'lora', rank: 2, alpha: 3, targets: ['first', 'second', 'third'] },
};

test('prepareTraining lora begins where the file is and trains adapters only', async () => {
  const plain = prepareTraining(textNetwork(), textRequest);
  const lora = prepareTraining(textNetwork(), adapted);
  const declared = parametersOf(lora.model);
  assert.ok(declared.every(({ name }) => name.startsWith('lora.')));
  assert.equal(declared.length, 6);
  const weights = initializeParameters(declared, 'seed');
  const begun = await run(lora.model, 'loss', { tokens, targets, ...feedsOf(declared, weights) });
  const plainFeeds = feedsOf(parametersOf(plain.model), plain.parameters);
  assertClose(begun, await run(plain.model, 'loss', { tokens, targets, ...plainFeeds }));
  const moved = weights.map((value, index) => value + 0.1 * Math.sin(index));
  const checked = await checkGradients(
    lora.model,
    { tokens, targets, ...feedsOf(declared, moved) },
    { loss: 'loss', parameters: declared.map(({ name }) => name), run: runModel },
  );
  assert.equal(checked.length, 6);
});

test('exportModel merges adapters into weights without changing what the model gives', async () => {
  const lora = prepareTraining(textNetwork(), adapted);
  const begun = initializeParameters(parametersOf(lora.model), 'seed');
  const parameters = begun.map((value, index) => value + 0.1 * Math.cos(index));
  const beside = exportModel(lora.model, { parameters, frozen: lora.frozen });
  const merged = exportModel(lora.model, { parameters, frozen: lora.frozen, merge: true });
  const before = await run(textNetwork(), 'scores', { input_ids: tokens, attention_mask: ones });
  const feeds = { input_ids: tokens };
  const expected = await run(beside, 'scores', feeds);
  assertClose(await run(merged, 'scores', feeds), expected);
  assert.ok(expected.some((value, index) => Math.abs(value - (before[index] as number)) > 1e-2));
  assert.ok(merged.graph.nodes.length < beside.graph.nodes.length);
  assert.ok(!merged.graph.initializers.some(({ name }) => name.startsWith('lora.')));
});

test('prepareTraining lora merges the adapters of a file before it attaches new ones', async () => {
  const lora = prepareTraining(textNetwork(), adapted);
  const begun = initializeParameters(parametersOf(lora.model), 'seed');
  const parameters = begun.map((value, index) => value + 0.1 * Math.cos(index));
  const beside = exportModel(lora.model, { parameters, frozen: lora.frozen });
  const again = prepareTraining(beside, adapted);
  assert.deepEqual(parametersOf(again.model), parametersOf(lora.model));
  const request = {
    parameters: initializeParameters(parametersOf(again.model), 'seed'),
    frozen: again.frozen,
  };
  const expected = await run(beside, 'scores', { input_ids: tokens });
  for (const merge of [false, true])
    assertClose(
      await run(exportModel(again.model, { ...request, merge }), 'scores', { input_ids: tokens }),
      expected,
    );
});

test('prepareTraining lora refuses a file with names that adapters have', () => {
  const named = (weight: string, node: string): Model => {
    const builder = createGraphBuilder('named');
    builder.input('x', 'float32', ['batch', 3]);
    builder.initializer(float32Tensor(weight, [1, 2, 3, 4, 5, 6], [3, 2]));
    builder.initializer(float32Tensor('first', [1, 2, 3, 4], [2, 2]));
    builder.output(
      builder.node('MatMul', [builder.node('MatMul', ['x', weight]), 'first'], {}, 'y'),
      'float32',
    );
    const { graph, ...rest } = builder.model();
    return { ...rest, graph: { ...graph, nodes: graph.nodes.map((each) => ({ ...each, name: node })) } };
  };
  const request: TrainingRequest = {
    loss: { kind: 'mse' },
    trains: { kind: 'lora', rank: 1, targets: ['first'] },
  };
  throwsRequest(request, /lora\.first\.a/, named('lora.first.a', 'product'));
  throwsRequest(request, /lora:y/, named('weight', 'lora:y'));
});

test('prepareTraining refuses an alpha that is not positive', () => {
  for (const alpha of [0, -3, Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(
      () => prepareTraining(textNetwork(), { ...adapted, trains: { ...adapted.trains, alpha } as Trainable }),
      {
        name: 'AutodiffError',
        code: 'bad-request',
      },
    );
});
