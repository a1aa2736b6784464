import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLayout, LayoutError, tensorView } from '@murmuration/base';
import fc from 'fast-check';

test('createLayout puts tensors one after another', () => {
  assert.deepEqual(
    createLayout([
      { name: 'weight', shape: [2, 3] },
      { name: 'scale', shape: [] },
      { name: 'bias', shape: [4] },
    ]),
    {
      slots: [
        { name: 'weight', shape: [2, 3], offset: 0, length: 6 },
        { name: 'scale', shape: [], offset: 6, length: 1 },
        { name: 'bias', shape: [4], offset: 7, length: 4 },
      ],
      length: 11,
    },
  );
  assert.deepEqual(createLayout([]), { slots: [], length: 0 });
});

test('createLayout leaves no gap and no overlap, for any shapes', () => {
  const shapes = fc.array(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 4 }), { maxLength: 8 });
  fc.assert(
    fc.property(shapes, (list) => {
      const layout = createLayout(list.map((shape, index) => ({ name: `t${index}`, shape })));
      let next = 0;
      for (const slot of layout.slots) {
        assert.equal(slot.offset, next);
        assert.equal(
          slot.length,
          slot.shape.reduce((product, dimension) => product * dimension, 1),
        );
        next += slot.length;
      }
      assert.equal(layout.length, next);
    }),
  );
});

test('createLayout keeps no reference to the shapes it was given', () => {
  const shape = [2];
  const layout = createLayout([{ name: 'a', shape }]);
  shape[0] = 5;
  assert.deepEqual(layout.slots[0]?.shape, [2]);
});

test('createLayout refuses a name that comes twice, and names it', () => {
  const tensors = [
    { name: 'weight', shape: [1] },
    { name: 'weight', shape: [2] },
  ];
  assert.throws(
    () => createLayout(tensors),
    (error) =>
      error instanceof LayoutError && error.code === 'duplicate-name' && /weight/.test(error.message),
  );
});

test('createLayout refuses dimensions that are no positive integers, and says what came', () => {
  for (const bad of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])
    assert.throws(
      () => createLayout([{ name: 'weight', shape: [2, bad] }]),
      (error) =>
        error instanceof LayoutError &&
        error.code === 'bad-dimension' &&
        error.message.includes('weight') &&
        error.message.includes(`2,${bad}`),
    );
});

test('createLayout refuses more values than a number can count', () => {
  const huge = [
    { name: 'a', shape: [2 ** 27, 2 ** 26 - 1] },
    { name: 'b', shape: [2 ** 27] },
  ];
  assert.throws(
    () => createLayout(huge),
    (error) =>
      error instanceof LayoutError && error.code === 'bad-dimension' && /tensor b/.test(error.message),
  );
});

test('tensorView is a window on the vector, not a copy', () => {
  const layout = createLayout([
    { name: 'a', shape: [2] },
    { name: 'b', shape: [2, 2] },
  ]);
  const vector = Float32Array.of(0, 1, 2, 3, 4, 5);
  const view = tensorView(vector, layout.slots[1] as (typeof layout.slots)[0]);
  assert.deepEqual([...view], [2, 3, 4, 5]);
  view[0] = 9;
  assert.equal(vector[2], 9);
});
