import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DataError, parseNpyHeader } from '@murmuration/data';
import fc from 'fast-check';

/** A file's beginning as NumPy writes it: the header padded with spaces to a multiple of 64. */
function file(dictionary: string, version = 1): Uint8Array {
  const start = version === 1 ? 10 : 12;
  const length = Math.ceil((start + dictionary.length + 1) / 64) * 64 - start;
  const head = Buffer.alloc(start);
  head.write('\x93NUMPY', 'latin1');
  head[6] = version;
  if (version === 1) head.writeUInt16LE(length, 8);
  else head.writeUInt32LE(length, 8);
  return Buffer.concat([head, Buffer.from(`${dictionary.padEnd(length - 1)}\n`)]);
}
const dictionary = (descr: string, shape: string, order = 'False'): string =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;

test('parseNpyHeader reads every version and type', () => {
  for (const version of [1, 2, 3])
    for (const [descr, type] of [
      ['<f4', 'float32'],
      ['<f8', 'float64'],
      ['<i8', 'int64'],
      ['<i4', 'int32'],
      ['|u1', 'uint8'],
      ['|b1', 'bool'],
    ] as const) {
      const bytes = file(dictionary(descr, '(60000, 28, 28)'), version);
      assert.deepEqual(parseNpyHeader(bytes), { type, shape: [60_000, 28, 28], dataAt: bytes.length });
    }
  assert.deepEqual(parseNpyHeader(file(dictionary('<f4', '(3,)'))).shape, [3]);
  assert.deepEqual(parseNpyHeader(file(dictionary('<f4', '(3,)', 'True'))).shape, [3]);
  const shuffled = `{"shape": (2L, 5), "descr": "<i8", "fortran_order": False}`;
  assert.deepEqual(parseNpyHeader(file(shuffled)).shape, [2, 5]);
});

const refused: [what: string, bytes: Uint8Array, expected: RegExp][] = [
  ['nothing', new Uint8Array(), /magic/],
  ['another file', Buffer.from('PK\x03\x04 a zip archive, say'), /magic/],
  ['another version', file(dictionary('<f4', '(1,)'), 4), /version 1, 2 or 3, got 4/],
  ['big-endian values', file(dictionary('>f4', '(1,)')), /got ">f4"/],
  ['objects', file(dictionary('|O', '(1,)')), /got "\|O"/],
  ['half precision', file(dictionary('<f2', '(1,)')), /values of type <f4, <f8, .*, got "<f2"/],
  ['a prototype as type', file(dictionary('constructor', '(1,)')), /got "constructor"/],
  ['column-major values', file(dictionary('<f4', '(2, 3)', 'True')), /row-major/],
  ['no dimension', file(dictionary('<f4', '()')), /1 to 16 dimensions/],
  ['17 dimensions', file(dictionary('<f4', `(${'1,'.repeat(17)})`)), /1 to 16 dimensions/],
  ['too many bytes', file(dictionary('<f4', '(9007199254740991, 9007199254740991)')), /counted/],
  ['no shape', file("{'descr': '<f4', 'fortran_order': False}"), /with shape/],
  ['no dictionary', file('hello'), /dictionary/],
  ['a cut header', file(dictionary('<f4', '(1,)')).subarray(0, 40), /a header of 118 bytes, got 30/],
  ['an endless header', Buffer.from(`\x93NUMPY\x02\x00\xff\xff\xff\xff{}`, 'latin1'), /at most 65536 bytes/],
];

for (const [what, bytes, expected] of refused)
  test(`parseNpyHeader refuses ${what}`, () => {
    assert.throws(() => parseNpyHeader(bytes), { code: 'bad-array', message: expected });
  });

test('parseNpyHeader ends in DataError, or an array, for any bytes behind the magic', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (tail) => {
      const bytes = Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), tail]);
      try {
        parseNpyHeader(bytes);
      } catch (error) {
        assert.ok(error instanceof DataError && error.code === 'bad-array', String(error));
      }
    }),
  );
});
