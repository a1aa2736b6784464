import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fitWidth, padWidth, printable, textWidth } from '../src/text-width.ts';

test('textWidth counts the columns of our languages', () => {
  const expected: [string, number][] = [
    ['', 0],
    ['français', 8],
    ['franc\u0327ais', 8],
    ['русский', 7],
    ['العربية', 7],
    ['हिन्दी', 5],
    ['日本語', 6],
    ['한국어', 6],
    ['１２', 4],
    ['🐦', 2],
    ['👩‍🔬', 2],
    ['🇫🇷', 2],
    ['❤️', 2],
    ['─…–θ', 4],
  ];
  for (const [text, width] of expected) assert.equal(textWidth(text), width, text);
});

test('fitWidth never takes more columns than there are, and changes nothing that fits', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat(20), (text, columns) => {
      const fitted = fitWidth(text, columns);
      assert.ok(textWidth(fitted) <= columns, JSON.stringify(fitted));
      if (textWidth(text) <= columns) assert.equal(fitted, text);
    }),
  );
  assert.equal(fitWidth('murmuration', 5), 'murm…');
  assert.equal(fitWidth('日本語', 4), '日…');
});

test('padWidth fills one side by columns, not by characters', () => {
  assert.equal(padWidth('日本', 6, 'left'), '日本  ');
  assert.equal(padWidth('日本', 6, 'right'), '  日本');
  assert.equal(padWidth('long', 2, 'left'), 'long');
});

test('printable leaves nothing that steers a terminal', () => {
  assert.equal(printable('a\u001b[2Jb\nc\td\u0085\u2028e'), 'a [2Jb c d  e');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => !/[\p{Cc}\u2028\u2029]/u.test(printable(text))),
  );
});
