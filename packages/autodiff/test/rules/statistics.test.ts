import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, type GraphBuilder, int, type Model } from '@murmuration/onnx';
import { AutodiffError, differentiate } from '../../src/index.ts';
import { runModel, tensor } from '../run-model.ts';

/** A model in opset 23 with input x of shape [2, 4] and the loss Σ weight · value. */
function modelOf(shape: readonly number[], value: (builder: GraphBuilder, x: string) => string): Model {
  const builder = createGraphBuilder('statistics');
  const x = builder.input('x', 'float32', [2, 4]);
  const weight = builder.input('weight', 'float32', shape);
  const product = builder.node('Mul', [value(builder, x), weight]);
  builder.output(builder.node('ReduceSum', [product], { keepdims: int(0) }, 'loss'), 'float32', []);
  const model = builder.model();
  return { ...model, irVersion: 11, opsets: { ...model.opsets, '': 23 } };
}

const request = { loss: 'loss', parameters: ['x'] };
const x = tensor([2, 4], [3, 1, 4, 2, 6, 5, 9, 8]);

async function gradientOf(model: Model, weight: readonly number[], shape: readonly number[]) {
  const outputs = await runModel(differentiate(model, request), { x, weight: tensor(shape, weight) });
  return [...(outputs['gradient:x'] ?? [])];
}

test('the gradient of TopK needs no indices in the graph', async () => {
  const model = modelOf([2, 2], (builder, input) => {
    const [values = ''] = builder.nodes('TopK', [input, builder.int64s([2])], ['y', '']);
    return values;
  });
  assert.deepEqual(await gradientOf(model, [1, 2, 3, 4], [2, 2]), [2, 0, 1, 0, 0, 0, 3, 4]);
});

test('the gradient of Split takes a part that nobody reads for zeros', async () => {
  const model = modelOf([2, 1], (builder, input) => {
    const sizes = builder.int64s([1, 1, 2]);
    const [, second = ''] = builder.nodes('Split', [input, sizes], ['a', 'b', ''], { axis: int(1) });
    return second;
  });
  assert.deepEqual(await gradientOf(model, [5, 7], [2, 1]), [0, 5, 0, 0, 0, 7, 0, 0]);
});

test('the gradient of Dropout in training is zero where it dropped and scaled elsewhere', async () => {
  const model = modelOf([2, 4], (builder, input) => {
    const training = builder.initializer({ ...tensor([], [1], 'bool'), name: 'training' });
    return builder.node('Dropout', [input, builder.float32(0.5), training], { seed: int(7) });
  });
  const training = differentiate(model, request);
  const ones = tensor([2, 4], [1, 1, 1, 1, 1, 1, 1, 1]);
  const seen = new Set<number>();
  for (let run = 0; run < 20; run++) {
    const outputs = await runModel(training, { x, weight: ones });
    const gradient = [...(outputs['gradient:x'] ?? [])];
    const loss = gradient.reduce((sum, slope, index) => sum + slope * Number(x.data[index]), 0);
    assert.ok(Math.abs(loss - Number(outputs.loss?.[0])) < 1e-4);
    for (const slope of gradient) seen.add(slope);
  }
  assert.deepEqual([...seen].sort(), [0, 2]);
});

test('the gradient of LayerNormalization refuses a loss that depends on its statistics', () => {
  const model = modelOf([2, 1], (builder, input) => {
    const gain = builder.initializer({ ...tensor([4], [1, 1, 1, 1]), name: 'gain' });
    const [, mean = ''] = builder.nodes('LayerNormalization', [input, gain], ['y', 'mean', 'inverse']);
    return mean;
  });
  assert.throws(
    () => differentiate(model, request),
    (error) => error instanceof AutodiffError && error.code === 'unsupported',
  );
});

test('the gradient of Det refuses matrices that are too large for the recursion', () => {
  const builder = createGraphBuilder('large');
  const matrix = builder.input('x', 'float32', [9, 9]);
  builder.output(builder.node('Det', [matrix], {}, 'loss'), 'float32', []);
  assert.throws(
    () => differentiate(builder.model(), request),
    (error) => error instanceof AutodiffError && /at most 8 rows/.test(error.message),
  );
});
