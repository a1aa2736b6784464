import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder } from '@murmuration/onnx';
import { expressionsOf, matchPattern, type Pattern } from '../../src/passes/pattern.ts';

const builder = createGraphBuilder('patterns');
const x = builder.input('x', 'float32', [2]);
const y = builder.input('y', 'float32', [2]);
const scaled = builder.node('Mul', [builder.float32(0.5), x], {}, 'scaled');
const sum = builder.node('Add', [y, scaled], {}, 'sum');
const difference = builder.node('Sub', [x, y], {}, 'difference');
const square = builder.node('Mul', [difference, difference], {}, 'square');
builder.node('Mul', [difference, scaled], {}, 'product');
const expressions = expressionsOf(builder.model());
const match = (pattern: Pattern, value: string) => matchPattern(pattern, value, expressions);

test('matchPattern takes the factors and terms of commutative operators in either order', () => {
  const half: Pattern = { operator: 'Mul', inputs: ['a', 0.5] };
  assert.equal(match(half, scaled)?.values.get('a'), x);
  const found = match({ operator: 'Add', inputs: [half, 'b'] }, sum);
  assert.deepEqual([...(found?.values ?? [])].sort(), [
    ['a', x],
    ['b', y],
  ]);
  assert.equal(match({ operator: 'Sub', inputs: ['b', 'a'] }, difference)?.values.get('b'), x);
});

test('matchPattern wants one value for all places of a name', () => {
  const squared: Pattern = { operator: 'Mul', inputs: ['d', 'd'] };
  assert.equal(match(squared, square)?.values.get('d'), difference);
  assert.equal(match(squared, 'product'), undefined);
});

test('matchPattern compares constants as float32 holds them, and gives those that have a name', () => {
  const close: Pattern = { operator: 'Mul', inputs: ['a', 0.500001] };
  const far: Pattern = { operator: 'Mul', inputs: ['a', 0.501] };
  assert.ok(match(close, scaled));
  assert.equal(match(far, scaled), undefined);
  assert.equal(
    match({ operator: 'Mul', inputs: [{ constant: 'factor' }, 'a'] }, scaled)?.constants.get('factor'),
    0.5,
  );
});

test('matchPattern tries alternatives one after another', () => {
  const pattern: Pattern = {
    either: [
      { operator: 'Add', inputs: ['a', 'a'] },
      { operator: 'Sub', inputs: ['a', 'b'] },
    ],
  };
  assert.equal(match(pattern, difference)?.values.get('b'), y);
  assert.equal(match(pattern, square), undefined);
});

test('matchPattern takes no initializer for a constant that an input of its name may replace', () => {
  const open = createGraphBuilder('open');
  const factor = open.float32(0.5);
  open.input(factor, 'float32', []);
  const half = open.node('Mul', [open.input('x', 'float32', [2]), factor]);
  assert.equal(
    matchPattern({ operator: 'Mul', inputs: ['a', 0.5] }, half, expressionsOf(open.model())),
    undefined,
  );
});
