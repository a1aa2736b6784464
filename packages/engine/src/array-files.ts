/** Folders of `.npy` files, one per input of a model, whose rows are read when they are needed. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type ArrayType, DataError, npyHeaderBytesMax, parseNpyHeader, valueBytes } from '@murmuration/data';
import type { ValueInfo } from '@murmuration/onnx';
import { diskError, EngineError } from './errors.ts';
import { type InputArray, isArrayType } from './samples.ts';

/** An open file of samples. */
export interface ArrayFile {
  readonly input: string;
  /** The graph's type, which values are converted to. */
  readonly type: ArrayType;
  readonly rows: number;
  /** Shape of one sample. */
  readonly sample: readonly number[];
  readonly rowBytes: number;
  /** Writes one sample's values into `target` from an index on. */
  read(row: number, target: InputArray, at: number): void;
  close(): void;
}

const bad = (path: string, problem: string, cause?: unknown): EngineError =>
  new EngineError(`data ${path}: ${problem}`, { code: 'bad-data-path', path }, { cause });

/** Types of values that a graph's type may be made of without a loss (floats may round large integers). */
const sourcesOf: Readonly<Record<ArrayType, readonly ArrayType[]>> = {
  float32: ['float32', 'uint8', 'int32', 'int64'],
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

function viewAs(type: ArrayType, buffer: ArrayBuffer): InputArray {
  switch (type) {
    case 'float32':
      return new Float32Array(buffer);
    case 'int64':
      return new BigInt64Array(buffer);
    case 'int32':
      return new Int32Array(buffer);
    default:
      return new Uint8Array(buffer);
  }
}

/** Copies values; between integers of different width, or into floats, one by one. Of truth values all but 0 are 1. */
function convert(from: InputArray, to: InputArray, at: number, type: ArrayType): void {
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

function openArray(path: string, input: string, type: ArrayType): ArrayFile {
  const file = openFile(path);
  try {
    const head = new Uint8Array(npyHeaderBytesMax + 12);
    const header = parseNpyHeader(head.subarray(0, readAt(file, head, 0, path)));
    if (!sourcesOf[type].includes(header.type))
      throw bad(path, `expected ${sourcesOf[type].join(' or ')} for the input's ${type}, got ${header.type}`);
    const [rows = 0, ...sample] = header.shape;
    const rowBytes = sample.reduce((product, size) => product * size, valueBytes[header.type]);
    const { size } = fstatSync(file);
    if (rows * rowBytes === 0) throw bad(path, `expected values, got none in [${header.shape}]`);
    if (size !== header.dataAt + rows * rowBytes)
      throw bad(
        path,
        `expected ${header.dataAt + rows * rowBytes} bytes for ${header.type} [${header.shape}], got ${size}`,
      );
    const row = new Uint8Array(rowBytes);
    const values = viewAs(header.type, row.buffer);
    return {
      ...{ input, type, rows, sample, rowBytes },
      read(index, target, at) {
        const read = readAt(file, row, header.dataAt + index * rowBytes, path);
        if (read !== rowBytes) throw bad(path, `expected ${rowBytes} bytes of row ${index}, got ${read}`);
        if (header.type === type && type !== 'bool') target.set(values as never, at);
        else convert(values, target, at, type);
      },
      close: () => closeSync(file),
    };
  } catch (error) {
    closeSync(file);
    throw error instanceof DataError ? bad(path, error.message, error) : error;
  }
}

/** A file's name for an input: what file systems do not take, or would take for a path, becomes `_`. */
export const arrayFileName = (input: string): string => `${input.replace(/[^A-Za-z0-9._-]/g, '_')}.npy`;

/**
 * Opens a folder's files, one for each input, all of as many rows. They stay open until `close`. Throws `EngineError`
 * `bad-data-path` for a missing file, one of another format, type or size, or of other rows; `bad-graph` for inputs
 * that cannot be fed from arrays.
 */
export function openArrays(folder: string, inputs: readonly ValueInfo[]): readonly ArrayFile[] {
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
      files.push(openArray(join(folder, names[index] as string), name, type));
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
