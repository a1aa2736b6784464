import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, float32Tensor, type Model } from '@murmuration/onnx';
import { exportModel, prepareTraining, type WithoutWeights } from '../../src/index.ts';

/** `y` = x·weight, trained to meet targets. */
function prepared(weight: string, y: string): WithoutWeights {
  const builder = createGraphBuilder('line');
  const x = builder.input('x', 'float32', ['batch', 4]);
  builder.initializer(
    float32Tensor(
      weight,
      Float32Array.from({ length: 12 }, (_, index) => Math.sin(index)),
      [4, 3],
    ),
  );
  builder.output(builder.node('MatMul', [x, weight], {}, y), 'float32', ['batch', 3]);
  return prepareTraining(builder.model(), { loss: { kind: 'mse' }, trains: { kind: 'all' } });
}

const withNames = ({ model }: WithoutWeights, names: unknown): Model => ({
  ...model,
  metadata: { ...model.metadata, 'murmuration.names': JSON.stringify(names) },
});

test('exportModel keeps names that every object has', () => {
  const { model, parameters } = prepared('constructor', 'toString');
  const [node] = exportModel(model, { parameters }).graph.nodes;
  assert.deepEqual([node?.inputs, node?.outputs], [['x', 'constructor'], ['toString']]);
});

test('exportModel takes any number of original names, and refuses what is no name', () => {
  const training = prepared('weight', 'y');
  const { parameters } = training;
  const many = Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`name${index}`, 'other']));
  assert.equal(
    exportModel(withNames(training, { ...many, x: 'given' }), { parameters }).graph.inputs[0]?.name,
    'given',
  );
  for (const names of [{ x: 1 }, null, 'x'])
    assert.throws(() => exportModel(withNames(training, names), { parameters }), { code: 'bad-request' });
});

test('exportModel refuses adapters that do not fit their weight, or are not there', () => {
  const { model, parameters } = prepared('weight', 'y');
  const adapter = { weight: 'weight', a: 'weight', b: 'weight', scale: 1, transposed: false };
  for (const wrong of [adapter, { ...adapter, a: 'other' }]) {
    const metadata = { ...model.metadata, 'murmuration.lora': JSON.stringify([wrong]) };
    assert.throws(() => exportModel({ ...model, metadata }, { parameters, merge: true }), {
      code: 'bad-request',
    });
  }
});
