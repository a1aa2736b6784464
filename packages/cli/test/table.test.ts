import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatTable } from '../src/table.ts';
import { textWidth } from '../src/text-width.ts';

test('formatTable aligns the first column to the left and numbers to the right', () => {
  const table = formatTable(
    ['language', 'common', 'alone'],
    [
      ['French', '1.234', '12.5'],
      ['日本語', '–'],
    ],
  );
  assert.equal(
    table,
    [
      'language  common  alone',
      '────────  ──────  ─────',
      'French     1.234   12.5',
      '日本語         –',
    ].join('\n'),
  );
});

test('formatTable follows another alignment, and shows only a header when there are no rows', () => {
  assert.equal(formatTable(['a', 'bbb'], [['1', '2']], ['right', 'left']), 'a  bbb\n─  ───\n1  2');
  assert.equal(formatTable(['a', 'b'], []), 'a  b\n─  ─');
});

test('formatTable keeps columns in line whatever is in the cells', () => {
  const cell = fc.string({ unit: 'grapheme', maxLength: 8 });
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell), { maxLength: 5 }), (rows) => {
      const lines = formatTable(
        ['name', 'value'],
        rows.map(([name, value]) => [name, `${value}|`]),
      ).split('\n');
      assert.equal(lines.length, rows.length + 2);
      const width = textWidth(lines[1] as string);
      for (const line of lines.slice(2)) assert.equal(textWidth(line), width, JSON.stringify(line));
    }),
  );
});
