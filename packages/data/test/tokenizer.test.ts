import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { byteTokenizer } from '../src/index.ts';

test('byteTokenizer decodes what it encoded', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const tokens = byteTokenizer.encode(text);
      assert.equal(byteTokenizer.decode(tokens), text);
      assert.equal(byteTokenizer.decode(BigInt64Array.from(tokens, BigInt)), text);
      assert.ok(tokens.every((token) => byteTokenizer.isText(token)));
    }),
  );
});

test('byteTokenizer has 260 tokens of which specials decode to nothing', () => {
  const { vocabulary, begin, end, padding } = byteTokenizer;
  assert.equal(vocabulary, 260);
  assert.deepEqual([begin, end, padding], [256, 257, 258]);
  assert.equal(byteTokenizer.decode([begin, 0x61, padding, 0x62, 259, end]), 'ab');
  assert.ok([begin, end, padding, 259].every((token) => !byteTokenizer.isText(token)));
});

test('byteTokenizer decodes bytes that are not UTF-8 to replacement characters', () => {
  assert.equal(byteTokenizer.decode([0xff, 0x61]), '\ufffda');
});
