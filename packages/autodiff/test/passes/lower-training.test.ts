import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, float, int, ints } from '@murmuration/onnx';
import { lowerTraining } from '../../src/passes/lower-training.ts';
import { runModel, tensor } from '../run-model.ts';

test('lowerTraining gives a batch normalization in training its output and its new running statistics', async () => {
  const builder = createGraphBuilder('normalize');
  const inputs = [
    builder.input('x', 'float32', ['batch', 1, 2]),
    ...['scale', 'bias', 'mean', 'variance'].map((name) => builder.input(name, 'float32', [1])),
  ];
  builder.nodes('BatchNormalization', inputs, ['y', 'newMean', 'newVariance'], {
    training_mode: int(1),
    momentum: float(0.75),
    epsilon: float(0),
  });
  for (const name of ['y', 'newMean', 'newVariance']) builder.output(name, 'float32');
  const found = await runModel(lowerTraining(builder.model()), {
    x: tensor([2, 1, 2], [1, 3, 5, 7]),
    scale: tensor([1], [2]),
    bias: tensor([1], [10]),
    mean: tensor([1], [8]),
    variance: tensor([1], [1]),
  });
  const deviation = Math.sqrt(5);
  const expected = [-3, -1, 1, 3].map((value) => Math.fround((2 * value) / deviation + 10));
  assert.ok(found.y?.every((value, index) => Math.abs(value - (expected[index] as number)) < 1e-5));
  assert.deepEqual([...(found.newMean ?? [])], [8 * 0.75 + 4 * 0.25]);
  assert.deepEqual([...(found.newVariance ?? [])], [0.75 + 5 * 0.25]);
});

test('lowerTraining makes a convolution of small images one product and leaves one of large images', () => {
  const convolution = (size: number): readonly string[] => {
    const builder = createGraphBuilder('convolve');
    const x = builder.input('x', 'float32', ['batch', 2, size, size]);
    builder.node('Conv', [x, builder.input('w', 'float32', [3, 2, 3, 3])], { pads: ints([1, 1, 1, 1]) }, 'y');
    builder.output('y', 'float32');
    return lowerTraining(builder.model()).graph.nodes.map(({ operator }) => operator);
  };
  assert.ok(convolution(16).includes('Gemm'));
  assert.ok(!convolution(16).includes('Conv'));
  assert.deepEqual(convolution(17), ['Conv']);
});
