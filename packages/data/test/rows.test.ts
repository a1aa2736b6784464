import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRowSampler, splitRows } from '@murmuration/data';
import fc from 'fast-check';
import { createPermutation } from '../src/rows.ts';

const range = (length: number): number[] => Array.from({ length }, (_, index) => index);
const sorted = (values: readonly number[]): number[] => values.toSorted((left, right) => left - right);

test('createPermutation gives every index once, in an order that the seed decides', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3_000 }), fc.string(), (size, seed) => {
      const order = range(size).map(createPermutation(size, seed));
      assert.deepEqual(sorted(order), range(size));
      assert.deepEqual(range(size).map(createPermutation(size, seed)), order);
    }),
  );
  const orders = range(20).map((seed) =>
    range(50)
      .map(createPermutation(50, `${seed}`))
      .join(),
  );
  assert.equal(new Set(orders).size, 20);
});

test('createPermutation leaves neither neighbours nor places as they were', () => {
  const size = 10_000;
  const permute = createPermutation(size, 'seed');
  const order = range(size).map(permute);
  const fixed = order.filter((place, index) => place === index).length;
  const neighbours = order.filter((place, index) => place === (order[index - 1] ?? -9) + 1).length;
  assert.ok(fixed < 10 && neighbours < 10, `${fixed} fixed, ${neighbours} neighbours`);
  const half = order.slice(0, size / 2);
  const mean = half.reduce((sum, place) => sum + place, 0) / half.length;
  assert.ok(Math.abs(mean - size / 2) < 3 * (size / Math.sqrt(12 * half.length)), `${mean}`);
});

test('splitRows holds a tenth out, and createRowSampler shows every other row once per pass', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 500 }), fc.string(), (rows, seed) => {
      const split = splitRows(rows, seed);
      assert.equal(split.heldOut, Math.max(1, Math.floor(rows / 10)));
      const heldOut = range(split.heldOut).map(split.rowOf);
      const sampler = createRowSampler(split, { seed });
      const [first, second] = [1, 2].map(() => range(split.training).map(() => sampler.next()));
      assert.deepEqual(sorted([...heldOut, ...(first ?? [])]), range(rows));
      assert.deepEqual(sorted(first ?? []), sorted(second ?? []));
    }),
  );
});

test('createRowSampler goes on from a position as if it had not stopped, and shuffles each pass', () => {
  const split = splitRows(100, 'seed');
  const whole = createRowSampler(split, { seed: 'peer' });
  const rows = range(300).map(() => whole.next());
  for (const position of [0, 1, 89, 90, 91, 200]) {
    const resumed = createRowSampler(split, { seed: 'peer', position });
    assert.deepEqual(
      range(300 - position).map(() => resumed.next()),
      rows.slice(position),
    );
    assert.equal(resumed.position, 300);
  }
  assert.notDeepEqual(rows.slice(0, 90), rows.slice(90, 180));
});

test('splitRows and createRowSampler refuse too few rows and bad positions', () => {
  assert.throws(() => splitRows(1, 's'), { code: 'too-little-data' });
  assert.throws(() => splitRows(0.5, 's'), { code: 'bad-input' });
  for (const position of [-1, 0.5, Number.NaN])
    assert.throws(() => createRowSampler(splitRows(10, 's'), { seed: 's', position }), { code: 'bad-input' });
});
