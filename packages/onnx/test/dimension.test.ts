import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import {
  addDimensions,
  broadcastShapes,
  canonicalDimension,
  ceilDivideDimension,
  compareDimensions,
  divideDimensions,
  floorDivideDimension,
  isAtLeast,
  multiplyDimensions,
  subtractDimensions,
} from '../src/dimension.ts';
import type { Dimension } from '../src/index.ts';

/** A dimension made by this package's arithmetic, and the same computed with numbers. */
interface Made {
  readonly dimension: Dimension;
  readonly value: (sizes: Sizes) => number;
}

type Sizes = Readonly<Record<'batch' | 'height' | 'width', number>>;

const leaf: fc.Arbitrary<Made> = fc.oneof(
  fc.integer({ min: -9, max: 9 }).map((number): Made => ({ dimension: number, value: () => number })),
  fc
    .constantFrom('batch' as const, 'height' as const, 'width' as const)
    .map((name): Made => ({ dimension: name, value: (sizes) => sizes[name] })),
);

const { made } = fc.letrec<{ made: Made }>((tie) => ({
  made: fc.oneof(
    { maxDepth: 5, depthSize: 'large' },
    leaf,
    fc.tuple(tie('made'), tie('made')).map(
      ([a, b]): Made => ({
        dimension: addDimensions(a.dimension, b.dimension),
        value: (sizes) => a.value(sizes) + b.value(sizes),
      }),
    ),
    fc.tuple(tie('made'), tie('made')).map(
      ([a, b]): Made => ({
        dimension: subtractDimensions(a.dimension, b.dimension),
        value: (sizes) => a.value(sizes) - b.value(sizes),
      }),
    ),
    fc.tuple(tie('made'), tie('made')).map(
      ([a, b]): Made => ({
        dimension: multiplyDimensions([a.dimension, b.dimension]),
        value: (sizes) => a.value(sizes) * b.value(sizes),
      }),
    ),
    fc.tuple(tie('made'), fc.integer({ min: 1, max: 6 })).map(
      ([a, by]): Made => ({
        dimension: floorDivideDimension(a.dimension, by),
        value: (sizes) => Math.floor(a.value(sizes) / by),
      }),
    ),
  ),
}));

const size = fc.integer({ min: 1, max: 50 });
const sizes: fc.Arbitrary<Sizes> = fc.record({ batch: size, height: size, width: size });

const evaluate = (dimension: Dimension, values: Sizes): number =>
  Number(runInNewContext(String(dimension), { ...values, floor: Math.floor }));

test('dimension arithmetic means what arithmetic of numbers means', () => {
  let known = 0;
  fc.assert(
    fc.property(made, sizes, ({ dimension, value }, values) => {
      if (dimension === '?') return;
      known++;
      assert.equal(evaluate(dimension, values) + 0, value(values) + 0, String(dimension));
    }),
    { numRuns: 2_000 },
  );
  assert.ok(known > 1_000, `only ${known} known`);
});

test('canonicalDimension leaves what arithmetic gives as it is', () => {
  fc.assert(
    fc.property(made, ({ dimension }) => {
      assert.equal(canonicalDimension(dimension), dimension);
    }),
    { numRuns: 1_000 },
  );
});

test('addDimensions does not depend on the order', () => {
  fc.assert(
    fc.property(fc.array(made, { maxLength: 4 }), (list) => {
      const sum = (each: readonly Made[]): Dimension =>
        each.reduce<Dimension>((total, { dimension }) => addDimensions(total, dimension), 0);
      const [forwards, backwards] = [sum(list), sum(list.toReversed())];
      if (forwards !== '?' && backwards !== '?') assert.equal(forwards, backwards);
    }),
  );
});

test('subtractDimensions undoes addDimensions, divideDimensions undoes multiplyDimensions', () => {
  fc.assert(
    fc.property(made, made, (a, b) => {
      const sum = addDimensions(a.dimension, b.dimension);
      if (sum !== '?') assert.equal(subtractDimensions(sum, b.dimension), a.dimension);
      const product = multiplyDimensions([a.dimension, b.dimension]);
      if (product === '?' || product === 0) return;
      const quotient = divideDimensions(product, b.dimension);
      if (quotient !== '?') assert.equal(quotient, a.dimension);
    }),
    { numRuns: 1_000 },
  );
  assert.equal(divideDimensions('batch*height + batch', 'height + 1'), 'batch');
  assert.equal(divideDimensions('6*batch*height', '2*height'), '3*batch');
});

test('compareDimensions and isAtLeast hold for all sizes', () => {
  fc.assert(
    fc.property(made, made, sizes, (a, b, values) => {
      const known = a.dimension !== '?' && b.dimension !== '?';
      const rounded = `${a.dimension}${b.dimension}`.includes('floor');
      if (!known || rounded) return;
      const order = compareDimensions(a.dimension, b.dimension);
      if (order !== undefined) assert.equal(Math.sign(a.value(values) - b.value(values)) + 0, order);
      if (isAtLeast(a.dimension, b.dimension)) assert.ok(a.value(values) >= b.value(values));
    }),
    { numRuns: 2_000 },
  );
  assert.equal(compareDimensions('batch + 1', 'batch'), 1);
  assert.equal(compareDimensions('batch', 0), 1);
  assert.equal(compareDimensions('batch', 'height'), undefined);
});

test('floorDivideDimension gives a chain of halvings one text', () => {
  const halved = (from: Dimension): Dimension => ceilDivideDimension(from, 2);
  assert.equal(halved(halved(halved('height'))), 'floor((height + 7)/8)');
  assert.equal(floorDivideDimension('4*height + 6', 4), 'height + 1');
  assert.equal(floorDivideDimension(multiplyDimensions([6, 'height']), 4), 'floor(height/2) + height');
});

test('canonicalDimension reads sums as PyTorch writes them, and leaves hyphens in names', () => {
  assert.equal(canonicalDimension('past + 1'), 'past + 1');
  assert.equal(canonicalDimension('1 + past'), 'past + 1');
  assert.equal(canonicalDimension('batch-size'), 'batch-size');
  assert.equal(addDimensions('batch-size', 1), 'batch-size + 1');
  assert.equal(canonicalDimension('Dim.0'), 'Dim.0');
});

test('canonicalDimension gives up on what is no expression', () => {
  const odd = [
    '',
    '?',
    '(a',
    'a)',
    'a(b)',
    '-',
    '*',
    'a + ',
    'floor(a/0)',
    'floor(a)',
    'a?',
    ' a',
    'x'.repeat(300),
  ];
  for (const text of odd) assert.equal(canonicalDimension(text), '?', text);
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab1 +-*/()?floor,'), maxLength: 40 }), (text) => {
      const once = canonicalDimension(text);
      assert.equal(canonicalDimension(once), once);
    }),
    { numRuns: 3_000 },
  );
});

test('dimension arithmetic stays small', () => {
  let [product, sum]: Dimension[] = ['batch', 'batch'];
  for (let index = 0; index < 100; index++) {
    product = multiplyDimensions([product as Dimension, addDimensions(`size${index}`, 1)]);
    sum = floorDivideDimension(addDimensions(sum as Dimension, `size${index}`), 3);
  }
  assert.equal(product, '?');
  assert.equal(sum, '?');
  assert.equal(multiplyDimensions([2 ** 52, 4]), '?');
});

test('broadcastShapes follows NumPy and does not guess which of two symbols is 1', () => {
  assert.deepEqual(
    broadcastShapes(
      [
        ['batch', 1, 3],
        [4, 1],
      ],
      '',
    ),
    ['batch', 4, 3],
  );
  assert.deepEqual(broadcastShapes([['batch'], ['context']], ''), ['?']);
  assert.deepEqual(broadcastShapes([['batch'], [7]], ''), [7]);
  assert.throws(() => broadcastShapes([[2], [3]], ''), { code: 'invalid-model' });
});
