import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addDimensions, divideDimensions, multiplyDimensions } from '../src/dimension.ts';
import { createGraphBuilder, type Dimension, inferShapes, int, ints, OnnxError } from '../src/index.ts';

const size = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom('batch', 'context', '3*batch'));

test('multiplyDimensions does not depend on the order', () => {
  fc.assert(
    fc.property(fc.array(size, { maxLength: 4 }), (sizes) => {
      assert.equal(multiplyDimensions(sizes), multiplyDimensions(sizes.toReversed()));
    }),
  );
});

test('divideDimensions undoes multiplyDimensions', () => {
  fc.assert(
    fc.property(size, size, (a, b) => {
      assert.equal(divideDimensions(multiplyDimensions([a, b]), b), multiplyDimensions([a]));
    }),
  );
});

test('dimension arithmetic says unknown instead of guessing', () => {
  assert.equal(multiplyDimensions(['?', 2]), '?');
  assert.equal(divideDimensions('batch', 2), '?');
  assert.equal(divideDimensions('batch', 'context'), '?');
  assert.equal(addDimensions('batch', 1), '?');
});

test('inferShapes follows a shape through Shape, Concat and Reshape', () => {
  const builder = createGraphBuilder('shapes');
  const x = builder.input('x', 'float32', ['batch', 'context', 12]);
  const lead = builder.node('Shape', [x], { end: int(2) });
  const shape = builder.node('Concat', [lead, builder.int64s([3, 4])], { axis: int(0) });
  const heads = builder.node('Reshape', [x, shape]);
  const turned = builder.node('Transpose', [heads], { perm: ints([0, 2, 1, 3]) });
  const flat = builder.node('Reshape', [turned, builder.int64s([-1, 4])]);
  const known = inferShapes(builder.model());
  assert.deepEqual(known.get(turned)?.shape, ['batch', 3, 'context', 4]);
  assert.deepEqual(known.get(flat)?.shape, ['3*batch*context', 4]);
});

test('inferShapes refuses axes that do not exist', () => {
  const builder = createGraphBuilder('axes');
  const x = builder.input('x', 'float32', [2, 3]);
  builder.node('Concat', [x, x], { axis: int(2) });
  assert.throws(() => inferShapes(builder.model()), OnnxError);
});

test('inferShapes stays small on a graph that doubles something with every node', () => {
  const builder = createGraphBuilder('doubling');
  const x = builder.input('x', 'float32', ['n']);
  let list = builder.node('Shape', [x]);
  let grown = x;
  let wide = builder.node('Reshape', [x, builder.int64s([-1, 1])]);
  for (let index = 0; index < 200; index++) {
    list = builder.node('Concat', [list, list], { axis: int(0) });
    grown = builder.node('Tile', [grown, builder.node('Shape', [grown])]);
    wide = builder.node('Concat', [wide, wide], { axis: int(0) });
  }
  const known = inferShapes(builder.model());
  const text = (value: string): Dimension => String(known.get(value)?.shape);
  assert.equal(text(grown), '?');
  assert.equal(known.get(list)?.elements, undefined);

  const gathers = createGraphBuilder('ranks');
  let indices = gathers.input('i', 'int64', [2, 2]);
  for (let index = 0; index < 40; index++) indices = gathers.node('Gather', [indices, indices]);
  assert.throws(() => inferShapes(gathers.model()), { code: 'invalid-model' });
});
