import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { areEqual, Ledgers, type Round } from '../../bench/chaos/ledgers.ts';

const ledger = (roots: string, from = 1): Round[] =>
  [...roots].map((root, index) => ({ height: from + index, block: `block ${root}` as Round['block'], root }));

describe('Ledgers', () => {
  test('lose nothing when every round that was shown is kept, also by one who begins later', () => {
    const ledgers = new Ledgers();
    for (const { height, root } of ledger('abc')) ledgers.show(height, root);
    assert.deepEqual(ledgers.lost([ledger('abcd'), ledger('cd', 3)]), []);
  });

  test('miss a round that nobody has, that somebody has otherwise, or that was shown twice', () => {
    const ledgers = new Ledgers();
    for (const { height, root } of [...ledger('abcd'), ...ledger('x', 2)]) ledgers.show(height, root);
    assert.deepEqual(ledgers.lost([ledger('abc'), ledger('aby')]), [2, 3, 4]);
  });
});

describe('areEqual', () => {
  test('asks for the same block everywhere, and for a height that all reach', () => {
    assert.equal(areEqual([ledger('abc'), ledger('bc', 2)], 3), true);
    assert.equal(areEqual([ledger('abc'), ledger('ab')], 3), false);
    assert.equal(areEqual([ledger('abc'), ledger('xbc')], 3), false);
  });
});
