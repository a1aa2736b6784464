/** Folders of `.npy` files, one per input of a model, whose rows are read, and checked, when they are needed. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ArrayType,
  DataError,
  type NpyHeader,
  npyHeaderBytesMax,
  parseNpyHeader,
  type StoredType,
  valueBytes,
} from '@murmuration/data';
import type { ValueInfo } from '@murmuration/onnx';
import { scannedBytesMax, scanPieceBytes } from './defaults.ts';
import { diskError, EngineError } from './errors.ts';
import { createInput, type InputArray, isArrayType } from './samples.ts';
import type { ValueRule, ValueRules } from './value-rules.ts';

/** An open file of samples. */
export interface ArrayFile {
  readonly input: string;
  /** The graph's type, which values are converted to. */
  readonly type: ArrayType;
  readonly rows: number;
  /** Shape of one sample. */
  readonly sample: readonly number[];
  readonly rowBytes: number;
  /** Writes one sample's values into `target` from an index on. Throws `EngineError` `bad-samples`, `bad-data-path`. */
  read(row: number, target: InputArray, at: number): void;
  /** Reads the first rows for their checks alone, as many as `scannedBytesMax` allows. Throws as `read`. */
  scan(): void;
  close(): void;
}

const bad = (path: string, problem: string, cause?: unknown): EngineError =>
  new EngineError(`data ${path}: ${problem}`, { code: 'bad-data-path', path }, { cause });

/** Types of values that a graph's type may be made of. Only float32 loses something: it rounds, as NumPy does. */
const sourcesOf: Readonly<Record<ArrayType, readonly StoredType[]>> = {
  float32: ['float32', 'float64', 'uint8', 'int32', 'int64'],
  int64: ['int64', 'int32', 'uint8'],
  int32: ['int32', 'uint8'],
  uint8: ['uint8'],
  bool: ['bool', 'uint8'],
};

function readAt(file: number, bytes: Uint8Array, position: number, path: string): number {
  let at = 0;
  try {
    while (at < bytes.length) {
      const read = readSync(file, bytes, at, bytes.length - at, position + at);
      if (read === 0) break;
      at += read;
    }
  } catch (error) {
    throw diskError(error, 'read', path);
  }
  return at;
}

/** Values as they lie in a file. */
type StoredArray = InputArray | Float64Array;

function viewAs(type: StoredType, buffer: ArrayBuffer): StoredArray {
  switch (type) {
    case 'float32':
      return new Float32Array(buffer);
    case 'float64':
      return new Float64Array(buffer);
    case 'int64':
      return new BigInt64Array(buffer);
    case 'int32':
      return new Int32Array(buffer);
    default:
      return new Uint8Array(buffer);
  }
}

/** Copies values; between integers of different width, or into floats, one by one. Of truth values all but 0 are 1. */
function convert(from: StoredArray, to: InputArray, at: number, type: ArrayType): void {
  if (to instanceof BigInt64Array)
    for (let i = 0; i < from.length; i++) to[at + i] = BigInt(from[i] as number | bigint);
  else if (type === 'bool') for (let i = 0; i < from.length; i++) to[at + i] = Number(from[i] !== 0);
  else for (let i = 0; i < from.length; i++) to[at + i] = Number(from[i]);
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === 'ENOENT'
      ? bad(path, 'expected a .npy file, found none', error)
      : diskError(error, 'read', path);
  }
}

/** How to write an array of a type that an input takes. */
const remedy = (type: ArrayType): string =>
  `the input takes ${sourcesOf[type].join(', ')}: write the array with .astype(np.${type})`;

function readHeader(file: number, path: string, type: ArrayType): NpyHeader {
  const head = new Uint8Array(npyHeaderBytesMax + 12);
  try {
    const header = parseNpyHeader(head.subarray(0, readAt(file, head, 0, path)));
    if (!sourcesOf[type].includes(header.type))
      throw bad(path, `expected values for an input of ${type}, got ${header.type}; ${remedy(type)}`);
    return header;
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const isOfAnotherType = error.facts.description !== undefined;
    throw bad(path, isOfAnotherType ? `${error.message}; ${remedy(type)}` : error.message, error);
  }
}

/** What a file is opened for. */
interface Wanted {
  readonly input: string;
  readonly type: ArrayType;
  /** Absent where every value will do. */
  readonly rule: ValueRule | undefined;
}

function openArray(path: string, { input, type, rule: wanted }: Wanted): ArrayFile {
  const file = openFile(path);
  try {
    const header = readHeader(file, path, type);
    const rule = type === 'float32' && !header.type.startsWith('float') ? undefined : wanted;
    const [rows = 0, ...sample] = header.shape;
    const values = sample.reduce((product, size) => product * size, 1);
    const rowBytes = values * valueBytes[header.type];
    const { size } = fstatSync(file);
    if (rows * rowBytes === 0)
      throw bad(path, `expected values, got none: a dimension of [${header.shape}] is 0`);
    if (size !== header.dataAt + rows * rowBytes)
      throw bad(
        path,
        `expected ${header.dataAt + rows * rowBytes} bytes for ${header.type} [${header.shape}], got ${size}`,
      );
    const row = new Uint8Array(rowBytes);

    function check(target: InputArray, first: number, at: number, end: number): void {
      const wrong = rule?.firstWrong(target, at, end) ?? -1;
      if (!rule || wrong < 0) return;
      const wrongRow = first + Math.floor((wrong - at) / values);
      throw new EngineError(
        `data ${path}: input ${input}, row ${wrongRow}: expected ${rule.expected}, got ${target[wrong]}`,
        { code: 'bad-samples', path, input, row: wrongRow },
      );
    }

    /** Rows that fill `bytes`, checked. */
    function readRows(first: number, bytes: Uint8Array<ArrayBuffer>, target: InputArray, at: number): void {
      const read = readAt(file, bytes, header.dataAt + first * rowBytes, path);
      if (read !== bytes.length)
        throw bad(path, `expected ${bytes.length} bytes from row ${first} on, got ${read}`);
      const stored = viewAs(header.type, bytes.buffer);
      if (header.type === type && type !== 'bool') target.set(stored as never, at);
      else convert(stored, target, at, type);
      check(target, first, at, at + stored.length);
    }

    return {
      ...{ input, type, rows, sample, rowBytes },
      read: (index, target, at) => readRows(index, row, target, at),
      scan() {
        if (!rule) return;
        const perPiece = Math.max(1, Math.floor(scanPieceBytes / rowBytes));
        const last = Math.min(rows, Math.floor(scannedBytesMax / rowBytes));
        const { data } = createInput(type, [Math.min(perPiece, rows), ...sample]);
        for (let first = 0; first < last; first += perPiece) {
          const count = Math.min(perPiece, rows - first);
          readRows(first, new Uint8Array(count * rowBytes), data, 0);
        }
      },
      close: () => closeSync(file),
    };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** A file's name for an input: what file systems do not take, or would take for a path, becomes `_`. */
export const arrayFileName = (input: string): string => `${input.replace(/[^A-Za-z0-9._-]/g, '_')}.npy`;

/**
 * Opens a folder's files, one for each input, all of as many rows, each value by its input's rule. They stay open until
 * `close`. Throws `EngineError` `bad-data-path` for a missing file, one of another format, type or size, or of other
 * rows; `bad-graph` for inputs that cannot be fed from arrays.
 */
export function openArrays(
  folder: string,
  inputs: readonly ValueInfo[],
  rules: ValueRules = new Map(),
): readonly ArrayFile[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw bad(folder, 'expected a folder with a .npy file for each input of the model');
  const names = inputs.map(({ name }) => arrayFileName(name));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined || inputs.length === 0)
    throw new EngineError(
      `expected inputs with different file names, got ${twice === undefined ? 'no inputs' : `two for ${twice}`}`,
      { code: 'bad-graph' },
    );
  const files: ArrayFile[] = [];
  try {
    inputs.forEach(({ name, type }, index) => {
      if (!isArrayType(type))
        throw new EngineError(`input ${name}: expected a type that arrays have, got ${type}`, {
          code: 'bad-graph',
          input: name,
        });
      files.push(
        openArray(join(folder, names[index] as string), { input: name, type, rule: rules.get(name) }),
      );
    });
    const [first] = files;
    const other = files.find(({ rows }) => rows !== first?.rows);
    if (first && other)
      throw bad(
        folder,
        `expected as many rows in each file, got ${first.rows} for ${first.input} and ${other.rows} for ${other.input}`,
      );
    return files;
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
}
