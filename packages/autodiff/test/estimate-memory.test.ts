import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, type Model } from '@murmuration/onnx';
import { estimateMemory } from '../src/index.ts';

/** y = exp(tanh(exp(x))) of `x` [batch, 4], reshaped on the way. */
function model(): Model {
  const builder = createGraphBuilder('chain');
  const first = builder.node('Exp', [builder.input('x', 'float32', ['batch', 4])]);
  const flat = builder.node('Reshape', [first, builder.int64s([-1])]);
  builder.output(builder.node('Exp', [builder.node('Tanh', [flat])]), 'float32');
  return builder.model();
}

test('estimateMemory counts each value until its last use, and a reshaped one once', () => {
  assert.deepEqual(estimateMemory(model(), { batch: 10 }), {
    given: 10 * 4 * 4 + 8,
    outputs: 10 * 4 * 4,
    peak: 2 * 10 * 4 * 4,
    unknown: 0,
  });
});

test('estimateMemory counts values of unknown size', () => {
  const { given, unknown } = estimateMemory(model());
  assert.deepEqual([given, unknown], [8, 4]);
});
