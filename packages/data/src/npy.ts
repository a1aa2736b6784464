/**
 * Headers of NumPy's `.npy` files (numpy.lib.format, versions 1.0 to 3.0): magic, version, the header's length, a
 * Python dictionary of three keys as text, then the values. Only what tensors need is taken: little-endian numbers in
 * row-major order.
 */
import { npyHeaderBytesMax, rankMax } from './defaults.ts';
import { DataError } from './errors.ts';

/** Types of values that arrays may have. */
export type ArrayType = 'float32' | 'int64' | 'int32' | 'uint8' | 'bool';

/** Types of values that files may have: those, and NumPy's default, which is rounded to float32. */
export type StoredType = ArrayType | 'float64';

/** What a `.npy` file holds, and where its values begin. */
export interface NpyHeader {
  readonly type: StoredType;
  /** The first dimension counts the samples. */
  readonly shape: readonly number[];
  readonly dataAt: number;
}

/** Bytes of one value. */
export const valueBytes: Readonly<Record<StoredType, number>> = {
  float32: 4,
  float64: 8,
  int64: 8,
  int32: 4,
  uint8: 1,
  bool: 1,
};

const types: Readonly<Record<string, StoredType>> = {
  '<f4': 'float32',
  '<f8': 'float64',
  '<i8': 'int64',
  '<i4': 'int32',
  '|u1': 'uint8',
  '|b1': 'bool',
};

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

const bad = (expected: string, got: unknown, facts: { readonly description?: string } = {}): DataError =>
  new DataError(`.npy file: expected ${expected}, got ${got}`, { code: 'bad-array', expected, ...facts });

/** The dictionary's text and where the values begin. */
function headerText(bytes: Uint8Array): { readonly text: string; readonly dataAt: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || magic.some((byte, index) => bytes[index] !== byte))
    throw bad('the magic \\x93NUMPY', `${bytes.length} other bytes`);
  const major = bytes[6] as number;
  if (major < 1 || major > 3) throw bad('format version 1, 2 or 3', major);
  const start = major === 1 ? 10 : 12;
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > npyHeaderBytesMax) throw bad(`a header of at most ${npyHeaderBytesMax} bytes`, length);
  if (start + length > bytes.length) throw bad(`a header of ${length} bytes`, `${bytes.length - start}`);
  const text = new TextDecoder().decode(bytes.subarray(start, start + length));
  return { text, dataAt: start + length };
}

/** The value of a key in the dictionary's text. */
function entry(text: string, key: string, pattern: string): string {
  const found = new RegExp(`['"]${key}['"]\\s*:\\s*(${pattern})`).exec(text)?.[1];
  if (found === undefined) throw bad(`a header with ${key}`, JSON.stringify(text.trim().slice(0, 80)));
  return found;
}

/**
 * Reads the beginning of a file, at least `npyHeaderBytesMax` + 12 bytes of it (or all). Throws `DataError`
 * `bad-array` for another format, type (then with NumPy's `description` of it), byte order or memory order.
 */
export function parseNpyHeader(bytes: Uint8Array): NpyHeader {
  const { text, dataAt } = headerText(bytes);
  if (!/^\s*\{.*\}\s*$/s.test(text)) throw bad('a dictionary as header', JSON.stringify(text.slice(0, 80)));
  const description = entry(text, 'descr', `'[^']*'|"[^"]*"`).slice(1, -1);
  const type = Object.hasOwn(types, description) ? types[description] : undefined;
  if (!type)
    throw bad(`values of type ${Object.keys(types).join(', ')}`, JSON.stringify(description), {
      description,
    });
  const shape = entry(text, 'shape', '\\([\\d,\\sL]*\\)')
    .slice(1, -1)
    .split(',')
    .map((part) => part.trim().replace(/L$/, ''))
    .filter((part) => part !== '')
    .map(Number);
  if (shape.length < 1 || shape.length > rankMax || !shape.every(Number.isSafeInteger))
    throw bad(`a shape of 1 to ${rankMax} dimensions`, `[${shape}]`);
  if (!Number.isSafeInteger(shape.reduce((product, size) => product * size, valueBytes[type])))
    throw bad('a shape whose bytes can be counted', `[${shape}]`);
  if (entry(text, 'fortran_order', 'True|False') === 'True' && shape.length > 1)
    throw bad('row-major values (fortran_order False)', 'column-major ones');
  return { type, shape, dataAt };
}
