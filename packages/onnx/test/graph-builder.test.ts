import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkModel, createGraphBuilder, microsoft } from '../src/index.ts';

test('createGraphBuilder shares equal constants', () => {
  const builder = createGraphBuilder('constants');
  assert.equal(builder.int64s([1, 2]), builder.int64s([1, 2]));
  assert.notEqual(builder.int64s([1, 2]), builder.int64s([2, 1]));
  assert.notEqual(builder.int64(1), builder.int64s([1]));
  assert.notEqual(builder.float32(1), builder.float64(1));
  assert.equal(builder.model().graph.initializers.length, 6);
});

test('createGraphBuilder never takes a name that is in use', () => {
  const builder = createGraphBuilder('names');
  const x = builder.input('int64[1]', 'float32', [2]);
  const y = builder.node('Neg', [x], {}, 'Neg');
  const again = createGraphBuilder('again', builder.model());
  const z = again.node('Neg', [y]);
  assert.notEqual(z, y);
  assert.notEqual(again.int64s([1]), x);
  again.output(z, 'float32', [2]);
  checkModel(again.model());
});

test('createGraphBuilder declares the domains of its operators', () => {
  const builder = createGraphBuilder('domains');
  const x = builder.input('x', 'float32', [2, 2]);
  assert.deepEqual(builder.model().opsets, { '': 20 });
  builder.output(builder.node('FusedMatMul', [x, x], {}, 'y'), 'float32', [2, 2]);
  assert.deepEqual(builder.model().opsets, { '': 20, [microsoft]: 1 });
  checkModel(builder.model());
});
