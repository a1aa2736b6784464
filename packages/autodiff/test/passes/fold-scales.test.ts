import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, floatOf, type GraphBuilder, type Model } from '@murmuration/onnx';
import { foldScales } from '../../src/passes/fold-scales.ts';
import { assertEqualResults, operatorCounts } from './equal-results.ts';

const modelOf = (write: (builder: GraphBuilder, a: string, b: string) => readonly string[]): Model => {
  const builder = createGraphBuilder('scaled');
  const a = builder.input('a', 'float32', [2, 3, 4]);
  const b = builder.input('b', 'float32', [2, 4, 5]);
  for (const output of write(builder, a, b)) builder.output(output, 'float32');
  return builder.model();
};

test('foldScales multiplies by the scales of both factors in the product', async () => {
  const written = modelOf((builder, a, b) => {
    const [scaledA, scaledB] = [
      builder.node('Mul', [builder.float32(0.25), a]),
      builder.node('Div', [b, builder.float32(2)]),
    ];
    return [builder.node('MatMul', [scaledA, scaledB])];
  });
  const folded = foldScales(written);
  assert.deepEqual(operatorCounts(folded), { FusedMatMul: 1 });
  const [product] = folded.graph.nodes;
  assert.equal(product && floatOf(product, 'alpha', 1), 0.125);
  await assertEqualResults(written, folded);
});

test('foldScales multiplies by the scale of a product in the product', async () => {
  const written = modelOf((builder, a, b) => [
    builder.node('Div', [builder.node('MatMul', [a, b]), builder.float32(Math.sqrt(8))]),
  ]);
  const folded = foldScales(written);
  assert.deepEqual(operatorCounts(folded), { FusedMatMul: 1 });
  await assertEqualResults(written, folded);
});

test('foldScales computes no product twice when something reads it unscaled', async () => {
  const written = modelOf((builder, a, b) => {
    const product = builder.node('MatMul', [a, b]);
    const scaled = builder.node('Mul', [product, builder.float32(3)]);
    return [builder.node('Sub', [scaled, builder.node('Tanh', [product])])];
  });
  assert.equal(foldScales(written), written);
});

test('foldScales keeps a scale that adds dimensions', () => {
  const written = modelOf((builder, a, b) => {
    const data = Float32Array.of(0.5);
    const scale = builder.initializer({ name: 'scale', type: 'float32', shape: [1, 1, 1, 1], data });
    return [builder.node('Mul', [builder.node('MatMul', [a, b]), scale])];
  });
  assert.equal(foldScales(written), written);
});
