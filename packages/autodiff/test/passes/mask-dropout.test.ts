import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkModel, createGraphBuilder, type Model, type Tensor } from '@murmuration/onnx';
import { AutodiffError, differentiate, maskDropout, noiseOf } from '../../src/index.ts';
import { runModel, tensor } from '../run-model.ts';

/** loss = mean(dropout(x · w)) over [batch, 4]. */
function dropping(ratio: number, trains = true): Model {
  const graph = createGraphBuilder('dropping');
  const x = graph.input('x', 'float32', ['batch', 3]);
  const w = graph.input('w', 'float32', [3, 4]);
  const mode = graph.initializer({
    name: 'mode',
    type: 'bool',
    shape: [],
    data: Uint8Array.of(trains ? 1 : 0),
  });
  const product = graph.node('MatMul', [x, w]);
  const dropped = graph.node('Dropout', [product, graph.float32(ratio), mode], {}, 'dropped');
  const loss = graph.node('ReduceMean', [dropped], { keepdims: { kind: 'int', value: 0 } }, 'loss');
  graph.output(loss, 'float32', []);
  graph.output(dropped, 'float32', ['batch', 4]);
  return graph.model();
}

const feeds: Readonly<Record<string, Tensor>> = {
  x: tensor([2, 3], [1, 2, 3, 4, 5, 6]),
  w: tensor([3, 4], [1, 0, 2, 1, 0, 1, 1, 2, 1, 1, 0, 3]),
};
const mask = [1, 0, 0, 1, 1, 1, 0, 1];

test('maskDropout drops what the mask says and scales the rest, and gradients follow', async () => {
  const model = maskDropout(dropping(0.25));
  checkModel(model);
  const [noise, ...more] = noiseOf(model);
  assert.ok(noise && more.length === 0);
  assert.equal(noise.keep, 0.75);
  const input = model.graph.inputs.find(({ name }) => name === noise.name);
  assert.deepEqual(input, { name: noise.name, type: 'bool', shape: ['batch', 4] });
  const given = { ...feeds, [noise.name]: tensor([2, 4], mask, 'bool') };
  const { dropped } = await runModel(model, given);
  const products = [4, 5, 4, 14, 10, 11, 13, 32];
  const expected = products.map((value, i) => ((mask[i] as number) * value) / 0.75);
  expected.forEach((value, i) => {
    assert.ok(Math.abs((dropped?.[i] as number) - value) < 1e-5);
  });
  const training = differentiate(model, { loss: 'loss', parameters: ['w'] });
  assert.deepEqual(noiseOf(training), [noise]);
  const gradient = (await runModel(training, given))['gradient:w'] as Float32Array;
  const rows = [
    [1, 2, 3],
    [4, 5, 6],
  ] as const;
  for (let i = 0; i < 3; i++)
    for (let j = 0; j < 4; j++) {
      const sum = rows.reduce((total, row, b) => total + (row[i] as number) * (mask[b * 4 + j] as number), 0);
      assert.ok(Math.abs((gradient[i * 4 + j] as number) - sum / 0.75 / 8) < 1e-5);
    }
});

test('maskDropout leaves nodes that drop nothing', () => {
  for (const model of [dropping(0.5, false), dropping(0)]) {
    const result = maskDropout(model);
    assert.deepEqual(result.graph, model.graph);
    assert.deepEqual(noiseOf(result), []);
  }
});

test('maskDropout refuses ratios that it cannot know, and noiseOf lists that are none', () => {
  const model = dropping(0.5);
  const mode = {
    ...model.graph,
    initializers: model.graph.initializers.filter(({ name }) => name !== 'mode'),
  };
  const open: Model = {
    ...model,
    graph: { ...mode, inputs: [...mode.inputs, { name: 'mode', type: 'bool', shape: [] }] },
  };
  assert.throws(() => maskDropout(open), { code: 'unsupported' });
  for (const ratio of [1, -0.1]) assert.throws(() => maskDropout(dropping(ratio)), { code: 'unsupported' });
  for (const json of [
    '',
    '{}',
    '[{"name":"x","keep":0.5}]',
    '[{"name":"x"}]',
    '[{"name":"nowhere","keep":0.5}]',
  ])
    assert.throws(() => noiseOf({ ...model, metadata: { 'murmuration.noise': json } }), AutodiffError);
});
