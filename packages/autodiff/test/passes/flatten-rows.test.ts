import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, type GraphBuilder, type Model } from '@murmuration/onnx';
import { flattenRows } from '../../src/passes/flatten-rows.ts';
import { assertEqualResults } from './equal-results.ts';

const modelOf = (write: (builder: GraphBuilder, product: string) => string): Model => {
  const builder = createGraphBuilder('rows');
  const [x, w] = [builder.input('x', 'float32', [2, 3, 4]), builder.input('w', 'float32', [4, 5])];
  builder.output(write(builder, builder.node('MatMul', [x, w])), 'float32');
  return builder.model();
};

test('flattenRows joins rows before a product with a matrix', async () => {
  const written = modelOf((builder, product) => builder.node('Reshape', [product, builder.int64s([-1, 5])]));
  const flat = flattenRows(written);
  assert.deepEqual(
    flat.graph.nodes.map(({ operator }) => operator),
    ['Reshape', 'MatMul'],
  );
  await assertEqualResults(written, flat, 0);
});

test('flattenRows leaves a Reshape that parts rows, and a product that something else reads', () => {
  const parted = modelOf((builder, product) => builder.node('Reshape', [product, builder.int64s([10, 3])]));
  assert.equal(flattenRows(parted), parted);
  const read = modelOf((builder, product) => {
    const flat = builder.node('Reshape', [product, builder.int64s([6, 5])]);
    const sum = builder.node('ReduceSum', [product]);
    return builder.node('Add', [flat, builder.node('Reshape', [sum, builder.int64s([1, 1])])]);
  });
  assert.equal(flattenRows(read), read);
});

test('flattenRows tells products apart whose nodes have no names', async () => {
  const builder = createGraphBuilder('nameless');
  for (const side of ['left', 'right']) {
    const x = builder.input(`${side}.x`, 'float32', [2, 3, 4]);
    const product = builder.node('MatMul', [x, builder.input(`${side}.w`, 'float32', [4, 5])]);
    builder.output(builder.node('Reshape', [product, builder.int64s([-1, 5])]), 'float32', [6, 5]);
  }
  const { graph, ...rest } = builder.model();
  const nameless = {
    ...rest,
    graph: { ...graph, nodes: graph.nodes.map((node) => ({ ...node, name: '' })) },
  };
  await assertEqualResults(nameless, flattenRows(nameless), 0);
});
