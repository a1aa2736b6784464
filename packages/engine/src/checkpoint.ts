/**
 * What a killed engine goes on from. Two files take turns, so that one is whole at every instant; each carries a
 * counter and the SHA-256 of all that precedes it. The newest whole one is read; a torn or damaged one counts as absent.
 *
 * File: 8 bytes `MURMCKPT`, uint32 format version, uint32 length of the facts, the facts (dag-cbor, padded with zeros
 * to a multiple of 4), the arrays one after another (32-bit little-endian), 32 bytes SHA-256. Facts:
 * `{ run, counter, lengths, state }` with the arrays' lengths in values.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { type Cid, decodeCbor, encodeCbor } from '@murmuration/base';
import { checkpointFactsBytesMax } from './defaults.ts';
import { diskError, EngineError } from './errors.ts';
import { bytesOf, sha256 } from './names.ts';

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
  /**
   * Resolves when a state that is at least as new as this call's is durable. `collect` is called once per file
   * written, and what it returns is copied at once.
   */
  save(collect: () => CheckpointContents): Promise<void>;
}

const magic = new TextEncoder().encode('MURMCKPT');
const formatVersion = 1;
const headBytes = magic.length + 8;
const digestBytes = 32;
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
      const read = readSync(file, buffer, at, size - at, at);
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

function parse(buffer: Buffer<ArrayBuffer>): Found | undefined {
  const end = buffer.length - digestBytes;
  if (end < headBytes || !buffer.subarray(0, magic.length).equals(magic)) return undefined;
  if (buffer.readUInt32LE(magic.length) !== formatVersion) return undefined;
  if (!buffer.subarray(end).equals(sha256(buffer.subarray(0, end)))) return undefined;
  const factsLength = buffer.readUInt32LE(magic.length + 4);
  const facts = decodeCbor(buffer.subarray(headBytes, headBytes + factsLength)) as Found['facts'];
  return { facts, buffer, arraysAt: headBytes + Math.ceil(factsLength / 4) * 4 };
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
  let scratch = Buffer.alloc(0);
  let writing: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  function load(): LoadedCheckpoint | undefined {
    const found = paths
      .map((path) => readWhole(path))
      .map((buffer) => buffer && parse(buffer))
      .filter((each) => each !== undefined)
      .sort((left, right) => right.facts.counter - left.facts.counter)[0];
    if (!found) return undefined;
    const { facts, buffer } = found;
    if (facts.run !== runId)
      throw new EngineError(`${directory}: expected a checkpoint of run ${runId}, got one of ${facts.run}`, {
        code: 'foreign-checkpoint',
        directory,
        expected: runId,
        run: facts.run,
      });
    counter = facts.counter;
    let at = found.arraysAt;
    const arrays = facts.lengths.map((length) => {
      const start = at;
      at += length * 4;
      return buffer.buffer.slice(buffer.byteOffset + start, buffer.byteOffset + at);
    });
    return { state: facts.state, arrays };
  }

  /** Copies the contents into the scratch buffer, so that training may go on while it is written. */
  function assemble({ state, arrays }: CheckpointContents): Buffer {
    counter++;
    const facts = encodeCbor({ run: runId, counter, lengths: arrays.map(({ length }) => length), state });
    if (facts.length > checkpointFactsBytesMax)
      throw new EngineError(`checkpoint facts of ${facts.length} bytes, at most ${checkpointFactsBytesMax}`, {
        code: 'internal',
        length: facts.length,
      });
    const arraysAt = headBytes + Math.ceil(facts.length / 4) * 4;
    const size = arrays.reduce((sum, { byteLength }) => sum + byteLength, arraysAt + digestBytes);
    if (scratch.length < size) scratch = Buffer.alloc(size);
    const file = scratch.subarray(0, size);
    file.fill(0, 0, arraysAt);
    file.set(magic, 0);
    file.writeUInt32LE(formatVersion, magic.length);
    file.writeUInt32LE(facts.length, magic.length + 4);
    file.set(facts, headBytes);
    let at = arraysAt;
    for (const array of arrays) {
      file.set(bytesOf(array), at);
      at += array.byteLength;
    }
    return file;
  }

  async function write(collect: () => CheckpointContents): Promise<void> {
    const file = assemble(collect());
    file.set(sha256(file.subarray(0, file.length - digestBytes)), file.length - digestBytes);
    const path = paths[counter % 2] as string;
    try {
      await using handle = await openForWriting(path);
      await handle.truncate(file.length);
      for (let at = 0; at < file.length; ) {
        const { bytesWritten } = await handle.write(file, at, file.length - at, at);
        at += bytesWritten;
      }
      await handle.sync();
    } catch (error) {
      // The next attempt must go to the same file: the other one is the whole one.
      counter--;
      throw diskError(error, 'write', path);
    }
  }

  async function openForWriting(path: string): Promise<FileHandle> {
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    if (!created.has(path)) {
      await using folder = await open(directory, 'r');
      await folder.sync();
      created.add(path);
    }
    return handle;
  }

  function begin(collect: () => CheckpointContents): Promise<void> {
    writing = write(collect).finally(() => {
      writing = undefined;
    });
    return writing;
  }

  function save(collect: () => CheckpointContents): Promise<void> {
    if (!writing) return begin(collect);
    next ??= writing
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return begin(collect);
      });
    return next;
  }

  return { load, save };
}
