import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  type Attributes,
  checkModel,
  createGraphBuilder,
  float,
  graphAttribute,
  int,
  ints,
  type Model,
  type Node,
  OnnxError,
  readModel,
  upgradeModel,
  writeModel,
} from '../../src/index.ts';
import { changes } from '../../src/upgrade/table.ts';
import { assertClose, noise, runModel, tensor } from '../run-model.ts';
import { type OldNode, oldModel, oldNodes } from './old-models.ts';

const describe = ({ operator, opset, attributes = {} }: OldNode): string =>
  `${operator} of opset ${opset} ${Object.entries(attributes)
    .map(([name, { value }]) => `${name}=${String(value)}`)
    .join(' ')}`;

oldNodes.forEach((old, index) => {
  test(`upgradeModel keeps what onnxruntime computes: ${index} ${describe(old)}`, async () => {
    const model = oldModel(old);
    const upgraded = upgradeModel(model);
    checkModel(upgraded);
    assert.equal(upgraded.opsets[''], old.operator === 'RoiAlign' ? 21 : 23);
    assert.equal(upgradeModel(upgraded), upgraded);
    assert.deepEqual(readModel(writeModel(upgraded)), upgraded);
    assertClose(await runModel(upgraded, old.feeds), await runModel(model, old.feeds), 1e-6);
  });
});

test('upgradeModel knows every operator that the official schemas changed', () => {
  const file = new URL('../fixtures/breaking-changes.json', import.meta.url);
  const broken = JSON.parse(readFileSync(file, 'utf8')) as readonly (readonly [string, number])[];
  for (const [operator, since] of broken)
    assert.ok(
      changes[operator]?.some((change) => change.since === since),
      `${operator} of opset ${since}`,
    );
});

test('upgradeModel is tested on both sides of each of its changes', () => {
  const withoutKernel = ['Scan'];
  for (const [operator, list] of Object.entries(changes))
    for (const { since } of list) {
      const covered = oldNodes.some((old) => old.operator === operator && old.opset < since);
      const renamed = operator === 'Resize' || operator === 'Upsample';
      assert.ok(covered || renamed || withoutKernel.includes(operator), `${operator} of opset ${since}`);
    }
});

const single = (
  operator: string,
  opset: number,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Attributes = {},
  used: readonly string[] = outputs.slice(0, 1),
): Model => ({
  irVersion: 7,
  producer: '',
  opsets: { '': opset },
  metadata: {},
  graph: {
    name: '',
    nodes: [{ name: 'node', operator, domain: '', inputs, outputs, attributes }],
    inputs: inputs.filter((name) => name !== '').map((name) => ({ name, type: 'float32' })),
    outputs: used.map((name) => ({ name, type: 'float32' })),
    initializers: [],
  },
});

const unsupported = (model: Model, message: RegExp): void =>
  assert.throws(
    () => upgradeModel(model),
    (error) => {
      assert.ok(error instanceof OnnxError);
      assert.equal(error.code, 'unsupported');
      assert.match(error.message, message);
      return true;
    },
  );

test('upgradeModel refuses opsets and old forms that it does not know', () => {
  unsupported(single('Relu', 6, ['x'], ['y']), /opset 7 to 23 .*, got 6/);
  unsupported(single('Relu', 24, ['x'], ['y']), /opset 7 to 23 .*, got 24/);
  unsupported(single('Scan', 8, ['', 'x'], ['y']), /batched one of opset 8/);
  const statistics = ['x', 'scale', 'bias', 'mean', 'variance'];
  const outputs = ['y', 'newMean', 'newVariance', 'savedMean', 'savedVariance'];
  unsupported(
    single('BatchNormalization', 9, statistics, outputs, {}, ['y', 'savedMean']),
    /use of savedMean/,
  );
  const scales = tensor([4], [1, 1, 2, 0.5], 'float32', 'scales');
  const resize = single('Resize', 10, ['x'], ['y']);
  const [node] = resize.graph.nodes as [Node];
  unsupported(
    {
      ...resize,
      graph: { ...resize.graph, nodes: [{ ...node, inputs: ['x', 'scales'] }], initializers: [scales] },
    },
    /all grow or all shrink/,
  );
});

test('upgradeModel takes a BatchNormalization with further outputs for one that trains', async () => {
  const names = ['x', 'scale', 'bias', 'mean', 'variance'];
  const outputs = ['y', 'newMean', 'newVariance', 'savedMean', 'savedVariance'];
  const old = single('BatchNormalization', 9, names, outputs, { momentum: float(0.75) }, outputs.slice(0, 3));
  const feeds = {
    x: noise([8, 2, 3], 'x'),
    scale: tensor([2], [1, 2]),
    bias: tensor([2], [0, 1]),
    mean: tensor([2], [4, 8]),
    variance: tensor([2], [1, 1]),
  };
  const got = await runModel(upgradeModel(old), feeds);
  const values = feeds.x.data as Float32Array;
  const channel = Array.from(values).filter((_, index) => Math.floor(index / 3) % 2 === 0);
  const mean = channel.reduce((sum, value) => sum + value, 0) / channel.length;
  assert.ok(Math.abs(Number(got.newMean?.data[0]) - (0.75 * 4 + 0.25 * mean)) < 1e-6);
});

test('upgradeModel keeps the type of an old mask of Dropout and the ratio', async () => {
  const old = single('Dropout', 7, ['x'], ['y', 'mask'], { ratio: float(0.25) }, ['y', 'mask']);
  const upgraded = upgradeModel(old);
  const x = noise([2, 3], 'x');
  const got = await runModel(upgraded, { x });
  assert.deepEqual(got.y?.data, x.data);
  assert.deepEqual(got.mask?.data, new Float32Array(6).fill(1));
  const dropout = upgraded.graph.nodes.find(({ operator }) => operator === 'Dropout');
  const ratio = upgraded.graph.initializers.find(({ name }) => name === dropout?.inputs[1]);
  assert.deepEqual(ratio?.data, Float32Array.of(0.25));
});

test('upgradeModel upgrades graphs inside nodes', async () => {
  const builder = createGraphBuilder('outer');
  const flag = builder.input('flag', 'bool', []);
  const x = builder.input('x', 'float32', [2, 3, 4]);
  const then = builder.subgraph('then');
  then.output(then.node('Softmax', [x], { axis: int(1) }), 'float32', [2, 3, 4]);
  const otherwise = builder.subgraph('else');
  const sum = otherwise.node('ReduceSum', [x], { axes: ints([1]), keepdims: int(0) });
  otherwise.output(otherwise.node('Unsqueeze', [sum], { axes: ints([1]) }), 'float32', [2, 1, 4]);
  builder.node(
    'If',
    [flag],
    { then_branch: graphAttribute(then.graph()), else_branch: graphAttribute(otherwise.graph()) },
    'y',
  );
  builder.output('y', 'float32');
  const model = { ...builder.model(), opsets: { '': 11 } };
  const upgraded = upgradeModel(model);
  checkModel(upgraded);
  for (const value of [0, 1]) {
    const feeds = { flag: tensor([], [value], 'bool'), x: noise([2, 3, 4], 'x') };
    assertClose(await runModel(upgraded, feeds), await runModel(model, feeds), 1e-6);
  }
});

test('upgradeModel leaves other domains and operators as they are', () => {
  const model = {
    ...single('Softmax', 11, ['x'], ['y'], { axis: int(0) }),
    opsets: { '': 11, 'com.microsoft': 1 },
  };
  const [node] = model.graph.nodes as [Node];
  const theirs = { ...model, graph: { ...model.graph, nodes: [{ ...node, domain: 'com.microsoft' }] } };
  assert.deepEqual(upgradeModel(theirs).graph.nodes, theirs.graph.nodes);
  assert.deepEqual(upgradeModel(theirs).opsets, { '': 23, 'com.microsoft': 1 });
});
