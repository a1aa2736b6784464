import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, int, readModel, writeModel } from '@murmuration/onnx';
import { differentiate } from '../src/index.ts';
import { runModel, tensor } from './run-model.ts';

test('differentiate labels what it makes with the operator set that a frozen operator runs in', async () => {
  const builder = createGraphBuilder('noisy');
  const x = builder.input('x', 'float32', ['batch', 3]);
  const weight = builder.input('weight', 'float32', [3]);
  const noise = builder.node('RandomUniformLike', [x]);
  const product = builder.node('Mul', [builder.node('Add', [x, noise]), weight]);
  builder.output(builder.node('ReduceSum', [product], { keepdims: int(0) }, 'loss'), 'float32', []);
  const training = differentiate(builder.model(), { loss: 'loss', parameters: ['weight'] });
  assert.equal(training.opsets[''], 21);
  const feeds = { x: tensor([2, 3], [1, 2, 3, 4, 5, 6]), weight: tensor([3], [1, 1, 1]) };
  const values = await runModel(readModel(writeModel(training)), feeds);
  for (const [index, sum] of [5, 7, 9].entries()) {
    const drawn = (values['gradient:weight']?.[index] ?? Number.NaN) - sum;
    assert.ok(drawn >= 0 && drawn <= 2, `${drawn}`);
  }
});
