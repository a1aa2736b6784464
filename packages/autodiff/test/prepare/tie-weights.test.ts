import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, float32Tensor, type Model } from '@murmuration/onnx';
import { tieWeights } from '../../src/prepare/tie-weights.ts';

/** Tables that are looked up, and as many heads; each pair differs from the others in its last element only. */
function manyTables(count: number, valuesOf: (index: number) => readonly number[]): Model {
  const builder = createGraphBuilder('many');
  builder.input('x', 'int64', ['n']);
  for (let index = 0; index < count; index++) {
    builder.initializer(float32Tensor(`table${index}`, valuesOf(index), [32, 32]));
    builder.initializer(float32Tensor(`head${index}`, valuesOf(index), [32, 32]));
    const rows = builder.node('Gather', [`table${index}`, 'x']);
    const turned = builder.node('Transpose', [`head${index}`]);
    builder.output(builder.node('MatMul', [rows, turned]), 'float32');
  }
  return builder.model();
}

test('tieWeights takes time in proportion to the number of tables', { timeout: 20_000 }, () => {
  const values = Array.from({ length: 1_024 }, (_, index) => index);
  const { tied } = tieWeights(manyTables(2_000, (index) => [...values.slice(1), 2_000 + index]));
  assert.equal(tied.length, 2_000);
  assert.ok(tied.every(({ head, embedding }) => head.slice(4) === embedding.slice(5)));
});

test('tieWeights ties no tables of one repeated value', () => {
  const model = manyTables(2, () => new Array(1_024).fill(0.5));
  assert.deepEqual(tieWeights(model), { model, tied: [] });
});

test('tieWeights ties no product behind which others come', () => {
  const builder = createGraphBuilder('inner');
  const values = [1, 2, 3, 4];
  builder.input('x', 'int64', ['n']);
  for (const name of ['table', 'inner', 'last'])
    builder.initializer(float32Tensor(name, name === 'last' ? [4, 3, 2, 1] : values, [2, 2]));
  const rows = builder.node('Gather', ['table', 'x']);
  const inner = builder.node('MatMul', [rows, builder.node('Transpose', ['inner'])]);
  builder.output(builder.node('MatMul', [inner, 'last']), 'float32');
  assert.deepEqual(tieWeights(builder.model()).tied, []);
});
