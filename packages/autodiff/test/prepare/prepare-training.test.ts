import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, float32Tensor, int, type Model, parametersOf } from '@murmuration/onnx';
import {
  AutodiffError,
  checkGradients,
  exportModel,
  frozenOf,
  prepareTraining,
  type TrainingRequest,
} from '../../src/index.ts';
import { runModel, tensor } from '../run-model.ts';
import { textNetwork } from './network.ts';
import { assertClose, feedsOf, ones, run, targets, textRequest, throwsRequest, tokens } from './text-case.ts';

test('prepareTraining makes inputs of all weights, keeps single numbers, and its gradients are right', async () => {
  const prepared = prepareTraining(textNetwork(), textRequest);
  const declared = parametersOf(prepared.model);
  assert.deepEqual(
    declared.map(({ name }) => name),
    ['embedding', 'first.weight', 'second.weight', 'second.bias', 'third.weight', 'norm.weight'],
  );
  assert.deepEqual(
    declared.filter(({ decays }) => decays).map(({ name }) => name),
    ['first.weight', 'second.weight', 'third.weight'],
  );
  assert.deepEqual(
    declared.filter(({ hidden }) => hidden === false).map(({ name }) => name),
    ['embedding', 'third.weight'],
  );
  assert.equal(prepared.frozen.length, 0);
  const feeds = { tokens, targets, ...feedsOf(declared, prepared.parameters) };
  const checked = await checkGradients(prepared.model, feeds, {
    loss: 'loss',
    parameters: declared.map(({ name }) => name),
    run: runModel,
  });
  assert.equal(checked.length, declared.length);
});

test('prepareTraining gives the logits that the file gives', async () => {
  const file = textNetwork();
  const prepared = prepareTraining(file, textRequest);
  const feeds = { tokens, targets, ...feedsOf(parametersOf(prepared.model), prepared.parameters) };
  const given = await run(prepared.model, 'logits', feeds);
  assertClose(given, await run(file, 'scores', { input_ids: tokens, attention_mask: ones }));
});

test('prepareTraining feeds int32 tokens from int64 samples', async () => {
  const wide = prepareTraining(textNetwork(), textRequest);
  const narrow = prepareTraining(textNetwork('int32'), textRequest);
  const feeds = { tokens, targets, ...feedsOf(parametersOf(wide.model), wide.parameters) };
  assertClose(await run(narrow.model, 'loss', feeds), await run(wide.model, 'loss', feeds));
});

test('prepareTraining chooses weights by patterns and leaves the others in the graph or frozen', () => {
  const trains = { kind: 'pattern', patterns: ['second', '*third.*'] } as const;
  const { model, parameters } = prepareTraining(textNetwork(), { ...textRequest, trains });
  assert.deepEqual(
    parametersOf(model).map(({ name }) => name),
    ['second.weight', 'second.bias', 'third.weight'],
  );
  assert.equal(parameters.length, 30 + 5 + 35);
  assert.ok(model.graph.initializers.some(({ name }) => name === 'first.weight'));
});

test('prepareTraining counts a single number as a weight where it is a bias, not where it scales', () => {
  const builder = createGraphBuilder('single');
  builder.input('x', 'float32', ['batch', 4]);
  builder.initializer(float32Tensor('weight', [1, 2, 3, 4], [4, 1]));
  builder.initializer(float32Tensor('bias', [0.5], [1]));
  builder.initializer(float32Tensor('scale', [2], [1]));
  const y = builder.node('Gemm', ['x', 'weight', 'bias']);
  builder.node('Mul', [y, 'scale'], {}, 'y');
  builder.output('y', 'float32');
  const { model } = prepareTraining(builder.model(), { loss: { kind: 'mse' }, trains: { kind: 'all' } });
  assert.deepEqual(
    parametersOf(model).map(({ name }) => name),
    ['weight', 'bias'],
  );
});

test('prepareTraining leaves out what patterns exclude', () => {
  const trains = { kind: 'pattern', patterns: ['!embedding', '!*.bias'] } as const;
  assert.deepEqual(
    parametersOf(prepareTraining(textNetwork(), { ...textRequest, trains }).model).map(({ name }) => name),
    ['first.weight', 'second.weight', 'third.weight', 'norm.weight'],
  );
});

/** Looks tokens up in `table` [5, 3] and gives scores by a head that an exporter wrote `transposed` or not. */
function copiedHead(head: 'transposed' | 'as it was'): Model {
  const values = Float32Array.from({ length: 15 }, (_, index) => Math.sin(index));
  const byColumn = values.map((_, i) => values[(i % 5) * 3 + Math.floor(i / 5)] as number);
  const builder = createGraphBuilder('copied');
  builder.input('x', 'int64', ['batch']);
  builder.initializer(float32Tensor('table', values, [5, 3]));
  builder.initializer(
    head === 'transposed'
      ? float32Tensor('head', byColumn, [3, 5])
      : float32Tensor('head', values.slice(), [5, 3]),
  );
  const hidden = builder.node('Tanh', [builder.node('Gather', ['table', 'x'])]);
  if (head === 'transposed') builder.node('MatMul', [hidden, 'head'], {}, 'y');
  else builder.node('Gemm', [hidden, 'head'], { transB: int(1) }, 'y');
  builder.output('y', 'float32');
  return builder.model();
}

for (const head of ['transposed', 'as it was'] as const)
  test(`prepareTraining ties a head to the embedding of which it is a copy, ${head}`, async () => {
    const file = copiedHead(head);
    const request = { loss: { kind: 'mse' }, trains: { kind: 'all' } } as const;
    const { model, parameters, tied } = prepareTraining(file, request);
    const names = parametersOf(model).map(({ name }) => name);
    assert.deepEqual([names, tied], [['table'], [{ head: 'head', embedding: 'table' }]]);
    const x = tensor([4], [1n, 2n, 3n, 4n] as never, 'int64');
    const exported = exportModel(model, { parameters });
    assertClose(await run(exported, 'y', { x }), await run(file, 'y', { x }), 1e-4);
    const apart = prepareTraining(file, { ...request, tying: false });
    assert.deepEqual([parametersOf(apart.model).length, apart.tied], [2, []]);
  });

test('prepareTraining leaves layers apart that begin with the same values', () => {
  const builder = createGraphBuilder('layers');
  let hidden = builder.input('x', 'float32', ['batch', 3]);
  const unit = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  for (const name of ['first', 'second', 'third']) {
    builder.initializer(float32Tensor(name, unit, [3, 3]));
    hidden = builder.node('Tanh', [builder.node('MatMul', [hidden, name])]);
  }
  builder.output(hidden, 'float32');
  const request = { loss: { kind: 'mse' }, trains: { kind: 'all' } } as const;
  const { model, tied } = prepareTraining(builder.model(), request);
  const names = parametersOf(model).map(({ name }) => name);
  assert.deepEqual([names, tied], [['first', 'second', 'third'], []]);
});

test('prepareTraining keeps one weight that the file shares through Identity', () => {
  const builder = createGraphBuilder('shared');
  builder.input('x', 'float32', ['batch', 2]);
  builder.initializer(float32Tensor('weight', [1, 2, 3, 4], [2, 2]));
  const again = builder.node('Identity', ['weight']);
  const hidden = builder.node('Tanh', [builder.node('MatMul', ['x', 'weight'])]);
  builder.output(builder.node('MatMul', [hidden, again]), 'float32');
  const request = { loss: { kind: 'mse' }, trains: { kind: 'all' } } as const;
  assert.equal(parametersOf(prepareTraining(builder.model(), request).model).length, 1);
});

test('prepareTraining takes large frozen weights out of the graph', () => {
  const builder = createGraphBuilder('large');
  builder.input('x', 'float32', ['batch', 40]);
  builder.initializer(float32Tensor('a', new Float32Array(1_600).fill(0.1), [40, 40]));
  builder.initializer(float32Tensor('b', new Float32Array(80).fill(0.1), [40, 2]));
  builder.node('MatMul', [builder.node('Relu', [builder.node('MatMul', ['x', 'a'])]), 'b'], {}, 'y');
  builder.output('y', 'float32');
  const prepared = prepareTraining(builder.model(), {
    loss: { kind: 'mse' },
    trains: { kind: 'pattern', patterns: ['b'] },
  });
  assert.deepEqual(frozenOf(prepared.model), [{ name: 'a', shape: [40, 40] }]);
  assert.equal(prepared.frozen.length, 1_600);
});

/** A product with `a` [40, 40] and one with `b` [40, 2], one value of each given. */
function products(a: number, b: number): Model {
  const builder = createGraphBuilder('products');
  builder.input('x', 'float32', ['batch', 40]);
  builder.initializer(float32Tensor('a', new Float32Array(1_600).fill(0.1).fill(a, 7, 8), [40, 40]));
  builder.initializer(float32Tensor('b', new Float32Array(80).fill(0.1).fill(b, 3, 4), [40, 2]));
  builder.node('MatMul', [builder.node('Relu', [builder.node('MatMul', ['x', 'a'])]), 'b'], {}, 'y');
  builder.output('y', 'float32');
  return builder.model();
}

test('prepareTraining refuses weights that are no numbers, and trains no infinite ones', () => {
  const all: TrainingRequest = { loss: { kind: 'mse' }, trains: { kind: 'all' } };
  const frozen: TrainingRequest = { ...all, trains: { kind: 'pattern', patterns: ['!a'] } };
  throwsRequest(
    all,
    /weight a: expected finite values, got NaN at index 7; .* !a$/,
    products(Number.NaN, 0.1),
  );
  throwsRequest(all, /weight b: expected finite values, got -Infinity at index 3/, products(0.1, -1 / 0));
  throwsRequest(frozen, /weight a: expected numbers, got NaN at index 7$/, products(Number.NaN, 0.1));
  assert.equal(prepareTraining(products(-1 / 0, 0.1), frozen).frozen[7], Number.NEGATIVE_INFINITY);
});

test('prepareTraining refuses to train in a mode that changes nothing', () => {
  throwsRequest({ ...textRequest, mode: 'training' }, /expected a Dropout or a BatchNormalization, got none/);
  prepareTraining(normalizing(), { loss: { kind: 'mse' }, trains: { kind: 'all' }, mode: 'training' });
});

test('exportModel gives the file back: its names, its values', async () => {
  const { model, parameters, frozen } = prepareTraining(textNetwork(), textRequest);
  const exported = exportModel(model, { parameters, frozen });
  assert.deepEqual(
    exported.graph.inputs.map(({ name }) => name),
    ['input_ids'],
  );
  const expected = await run(textNetwork(), 'scores', { input_ids: tokens, attention_mask: ones });
  assertClose(await run(exported, 'scores', { input_ids: tokens }), expected);
});

test('exportModel declares the shapes of the outputs', () => {
  const prepared = prepareTraining(textNetwork(), textRequest);
  const { parameters, frozen } = prepared;
  const [output] = exportModel(prepared.model, { parameters, frozen }).graph.outputs;
  assert.equal(output?.name, 'scores');
  assert.equal(output?.shape?.length, 3);
  assert.equal(output?.shape?.at(-1), 7);
});

test('exportModel refuses a vector of another length', () => {
  const { model } = prepareTraining(textNetwork(), textRequest);
  assert.throws(
    () => exportModel(model, { parameters: new Float32Array(3) }),
    (error: unknown) => error instanceof AutodiffError && error.facts.length === 3,
  );
});

function normalizing(): Model {
  const builder = createGraphBuilder('batch');
  builder.input('x', 'float32', ['batch', 3]);
  for (const [name, value] of [
    ['scale', 1.5],
    ['bias', 0.5],
    ['mean', 0.25],
    ['variance', 2],
  ] as const)
    builder.initializer(float32Tensor(name, [value, value, value]));
  const [y = ''] = builder.nodes(
    'BatchNormalization',
    ['x', 'scale', 'bias', 'mean', 'variance'],
    ['y', 'newMean', 'newVariance'],
    { training_mode: int(1), momentum: { kind: 'float', value: 0.75 } },
  );
  const dropped = builder.node('Dropout', [y, builder.float32(0.5), 'training']);
  builder.initializer({ name: 'training', type: 'bool', shape: [], data: Uint8Array.of(1) });
  builder.node('Mul', [dropped, dropped], {}, 'z');
  builder.output('z', 'float32');
  return builder.model();
}

test('prepareTraining lists running statistics as averages beside the weights', () => {
  const { model } = prepareTraining(normalizing(), { loss: { kind: 'mse' }, trains: { kind: 'all' } });
  assert.deepEqual(
    parametersOf(model).map(({ name, update, decays }) => ({ name, update, decays })),
    [
      { name: 'scale', update: undefined, decays: false },
      { name: 'bias', update: undefined, decays: false },
      { name: 'mean', update: { kind: 'average', momentum: 0.75 }, decays: false },
      { name: 'variance', update: { kind: 'average', momentum: 0.75 }, decays: false },
    ],
  );
});

test('exportModel uses running statistics and no dropout', async () => {
  const prepared = prepareTraining(normalizing(), { loss: { kind: 'mse' }, trains: { kind: 'all' } });
  const exported = exportModel(prepared.model, prepared);
  const x = tensor([2, 3], [1, 2, 3, 4, 5, 6]);
  const expected = [1, 2, 3, 4, 5, 6].map((value) => (1.5 * (value - 0.25)) / Math.sqrt(2 + 1e-5) + 0.5);
  assertClose(
    await run(exported, 'z', { x }),
    expected.map((value) => value * value),
    1e-3,
  );
});

test('prepareTraining refuses what does not fit the file', () => {
  throwsRequest({ ...textRequest, text: { tokens: 'ids' } }, /the input ids/);
  throwsRequest({ ...textRequest, text: { targets: 'labels' } }, /no such input/);
  throwsRequest({ ...textRequest, trains: { kind: 'pattern', patterns: ['fourth'] } }, /"fourth"/);
  throwsRequest({ ...textRequest, trains: { kind: 'lora', rank: 2, targets: ['norm'] } }, /"norm"/);
  throwsRequest({ ...textRequest, trains: { kind: 'lora', rank: 0, targets: ['first'] } }, /rank/);
  const builder = createGraphBuilder('other', textNetwork());
  builder.input('extra', 'float32', [1]);
  const extra = builder.model();
  throwsRequest(textRequest, /extra float32 \[1\]/, extra);
});
