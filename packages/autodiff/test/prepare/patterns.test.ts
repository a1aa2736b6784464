import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { matchesPattern } from '../../src/prepare/patterns.ts';

test('matchesPattern finds a pattern without a star anywhere in a name', () => {
  assert.ok(matchesPattern('layer.0.weight', ['layer.0']));
  assert.ok(!matchesPattern('layer.10.weight', ['layer.0']));
  assert.ok(!matchesPattern('layerx0', ['layer.0']));
});

test('matchesPattern takes a star for any text, and needs the whole name', () => {
  for (const pattern of ['*', 'a*', '*a', 'a*b*a', 'ab*ba', '**a*', 'a*a'])
    assert.ok(matchesPattern('abba', [pattern]), pattern);
  for (const pattern of ['b*', '*b', 'abb*bba', 'a*c*a', 'abba*a'])
    assert.ok(!matchesPattern('abba', [pattern]), pattern);
});

test('matchesPattern agrees with a regular expression', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 });
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 6 });
  fc.assert(
    fc.property(text, pattern, (name, stars) => {
      fc.pre(stars.includes('*'));
      const expected = new RegExp(`^${stars.replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
      assert.equal(matchesPattern(name, [stars]), expected.test(name));
    }),
  );
});

test('matchesPattern takes no time for many stars in a long name', { timeout: 20_000 }, () => {
  assert.ok(!matchesPattern(`${'a'.repeat(10_000)}b`, ['*a'.repeat(50)]));
});
