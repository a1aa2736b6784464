/**
 * What a killed engine goes on from. Two files take turns, so that one is whole at every instant; each carries a
 * counter and a checksum of all that precedes it. The newest whole one is read; a torn or damaged one counts as absent.
 * A file that is written can wait for the disk while the engine trains; the next one is not begun before it is there.
 *
 * File: 8 bytes `MURMCKPT`, uint32 format version, uint32 length of the facts, the facts (dag-cbor, padded with zeros
 * to a multiple of 4), the arrays one after another (32-bit little-endian), 16 bytes checksum. Facts:
 * `{ run, counter, lengths, state }` with the arrays' lengths in values.
 */
import { createCipheriv } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Cid, decodeCbor, encodeCbor } from '@murmuration/base';
import { checkpointFactsBytesMax, pieceBytesMax } from './defaults.ts';
import { diskError, EngineError } from './errors.ts';
import { bytesOf } from './names.ts';

export type CheckpointArray = Float32Array | Uint32Array;

/** What one checkpoint holds: facts that dag-cbor can carry, and arrays that go with them. */
export interface CheckpointContents {
  readonly state: unknown;
  readonly arrays: readonly CheckpointArray[];
}

/** What was read: the arrays are raw 32-bit words, to be viewed as the writer knows them. */
export interface LoadedCheckpoint {
  readonly state: unknown;
  readonly arrays: readonly ArrayBuffer[];
}

export interface Checkpoints {
  /** The newest whole checkpoint. Throws `foreign-checkpoint` when it belongs to another run. */
  load(): LoadedCheckpoint | undefined;
  /** Durable when it returns; 22 MB take about 15 ms. */
  save(contents: CheckpointContents): void;
  /**
   * As `save`, but not on the disk yet (22 MB: about 3 ms): the file's path, for whoever flushes it meanwhile and says
   * so to `flushed`. Asynchronous file calls from here would each wait for an inner step, and the round with them.
   */
  write(contents: CheckpointContents): string;
  flushed(path: string): void;
}

const magic = new TextEncoder().encode('MURMCKPT');
const formatVersion = 4;
const headBytes = magic.length + 8;
const checksumBytes = 16;
const fileNames = ['checkpoint-0', 'checkpoint-1'] as const;

interface Found {
  readonly facts: {
    readonly run: string;
    readonly counter: number;
    readonly lengths: readonly number[];
    readonly state: unknown;
  };
  readonly buffer: Buffer<ArrayBuffer>;
  readonly arraysAt: number;
}

function readWhole(path: string): Buffer<ArrayBuffer> | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw diskError(error, 'read', path);
  }
  try {
    const { size } = fstatSync(file);
    const buffer = Buffer.from(new ArrayBuffer(size));
    let at = 0;
    while (at < size) {
      const read = readSync(file, buffer, at, Math.min(size - at, pieceBytesMax), at);
      if (read === 0) return undefined;
      at += read;
    }
    return buffer;
  } catch (error) {
    throw diskError(error, 'read', path);
  } finally {
    closeSync(file);
  }
}

/** Writes all of `bytes` at a position; returns their length. */
function writeWhole(file: number, bytes: Uint8Array, position: number): number {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, position + at);
  return bytes.length;
}

function syncPath(path: string, flags: number): void {
  const file = openSync(path, flags);
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** A new file's name is durable only when its folder is. */
const syncFolder = (directory: string): void => syncPath(directory, constants.O_RDONLY);

/** AES-GMAC under a key of zeros: it tells accidents, not forgeries. 22 MB take 1 ms, by SHA-256 12 to 30 ms. */
function checksumOf(parts: readonly Uint8Array[]): Buffer {
  const cipher = createCipheriv('aes-128-gcm', new Uint8Array(16), new Uint8Array(12), {
    authTagLength: checksumBytes,
  });
  for (const part of parts)
    for (let at = 0; at < part.length; at += pieceBytesMax)
      cipher.setAAD(part.subarray(at, at + pieceBytesMax));
  cipher.final();
  return cipher.getAuthTag();
}

function parse(buffer: Buffer<ArrayBuffer>): Found | undefined {
  const end = buffer.length - checksumBytes;
  if (end < headBytes || !buffer.subarray(0, magic.length).equals(magic)) return undefined;
  if (buffer.readUInt32LE(magic.length) !== formatVersion) return undefined;
  if (!buffer.subarray(end).equals(checksumOf([buffer.subarray(0, end)]))) return undefined;
  const factsLength = buffer.readUInt32LE(magic.length + 4);
  const facts = decodeCbor(buffer.subarray(headBytes, headBytes + factsLength)) as Found['facts'];
  return { facts, buffer, arraysAt: headBytes + Math.ceil(factsLength / 4) * 4 };
}

/** The newest whole one of two files. */
function newestOf(paths: readonly string[]): Found | undefined {
  let newest: Found | undefined;
  for (const path of paths) {
    const whole = readWhole(path);
    const found = whole && parse(whole);
    if (found && found.facts.counter > (newest?.facts.counter ?? 0)) newest = found;
  }
  return newest;
}

/** The arrays of a file, each a copy. */
function arraysOf({ facts, buffer, arraysAt }: Found): readonly ArrayBuffer[] {
  let at = arraysAt;
  return facts.lengths.map((length) => {
    const start = at;
    at += length * 4;
    return buffer.buffer.slice(buffer.byteOffset + start, buffer.byteOffset + at);
  });
}

/** The bytes before the arrays. */
function encodeStart(facts: Found['facts']): Uint8Array {
  const encoded = encodeCbor(facts);
  if (encoded.length > checkpointFactsBytesMax)
    throw new EngineError(`checkpoint facts of ${encoded.length} bytes, at most ${checkpointFactsBytesMax}`, {
      code: 'internal',
      length: encoded.length,
    });
  const start = Buffer.alloc(headBytes + Math.ceil(encoded.length / 4) * 4);
  start.set(magic, 0);
  start.writeUInt32LE(formatVersion, magic.length);
  start.writeUInt32LE(encoded.length, magic.length + 4);
  start.set(encoded, headBytes);
  return start;
}

/** Opens (and makes) a folder's pair of checkpoint files for one run. */
export function openCheckpoints(directory: string, runId: Cid): Checkpoints {
  try {
    mkdirSync(directory, { recursive: true });
  } catch (error) {
    throw diskError(error, 'make the folder', directory);
  }
  const paths = fileNames.map((name) => join(directory, name)) as [string, string];
  const created = new Set<string>();
  let counter = 0;
  /** Written and perhaps not on the disk. */
  let unflushed: string | undefined;

  function load(): LoadedCheckpoint | undefined {
    const newest = newestOf(paths);
    if (!newest) return undefined;
    const { facts } = newest;
    if (facts.run !== runId)
      throw new EngineError(`${directory}: expected a checkpoint of run ${runId}, got one of ${facts.run}`, {
        code: 'foreign-checkpoint',
        directory,
        expected: runId,
        run: facts.run,
      });
    counter = facts.counter;
    return { state: facts.state, arrays: arraysOf(newest) };
  }

  /** The other file must be whole on the disk before this one's old contents go. */
  function write({ state, arrays }: CheckpointContents): string {
    flush();
    counter++;
    const path = paths[counter % 2] as string;
    let file: number | undefined;
    try {
      const lengths = arrays.map(({ length }) => length);
      const start = encodeStart({ run: runId, counter, lengths, state });
      const parts = [start, ...arrays.map((array) => bytesOf(array))];
      parts.push(checksumOf(parts));
      file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
      let at = 0;
      for (const part of parts) at += writeWhole(file, part, at);
      ftruncateSync(file, at);
      if (!created.has(path)) syncFolder(directory);
      created.add(path);
      unflushed = path;
      return path;
    } catch (error) {
      // The next attempt must go to the same file: the other one is the whole one.
      counter--;
      throw error instanceof EngineError ? error : diskError(error, 'write', path);
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  function flush(): void {
    const path = unflushed;
    if (path === undefined) return;
    try {
      syncPath(path, constants.O_RDWR);
      unflushed = undefined;
    } catch (error) {
      throw diskError(error, 'write', path);
    }
  }

  return {
    load,
    write,
    save(contents) {
      write(contents);
      flush();
    },
    flushed(path) {
      if (path === unflushed) unflushed = undefined;
    },
  };
}
