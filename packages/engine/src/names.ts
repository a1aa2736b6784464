import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { endianness } from 'node:os';
import { assert, blobChunkBytes, type Cid, type NamedBlob, nameChunks } from '@murmuration/base';
import { diskError, EngineError } from './errors.ts';

/** SHA-256 by the platform, several times as fast as portable code. */
export const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

/** The bytes of a vector where it lies. States are named and stored little-endian. */
export function bytesOf(vector: Float32Array | Uint32Array): Uint8Array {
  assert(endianness() === 'LE', 'a little-endian machine');
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}

/** The name of a parameter vector: that of the blob of its float32 values, little-endian. */
export function nameVector(vector: Float32Array): NamedBlob {
  const bytes = bytesOf(vector);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += blobChunkBytes)
    chunks.push(sha256(bytes.subarray(at, at + blobChunkBytes)));
  return nameChunks({ size: bytes.length, chunks }, sha256);
}

/** Fills bytes from the beginning of a file, without another copy of them in memory. */
function readInto(
  path: string,
  bytes: Uint8Array,
  bad: (expected: string, got: string) => EngineError,
): void {
  const file = openSync(path, 'r');
  try {
    for (let at = 0; at < bytes.length; ) {
      const count = readSync(file, bytes, at, bytes.length - at, at);
      if (count === 0) throw bad(`${bytes.length} bytes`, `${at}`);
      at += count;
    }
  } finally {
    closeSync(file);
  }
}

/**
 * Reads a vector of `length` values that must have this name. Throws `EngineError` `bad-snapshot` for other bytes,
 * `disk` when there is nothing to read.
 */
export function readVector(path: string, length: number, name: Cid): Float32Array {
  const bad = (expected: string, got: string): EngineError =>
    new EngineError(`${path}: expected ${expected}, got ${got}`, {
      code: 'bad-snapshot',
      path,
      expected,
      got,
    });
  const expectedBytes = length * Float32Array.BYTES_PER_ELEMENT;
  let values: Float32Array;
  try {
    const { size } = statSync(path);
    if (size !== expectedBytes) throw bad(`${expectedBytes} bytes`, `${size}`);
    values = new Float32Array(length);
    readInto(path, bytesOf(values), bad);
  } catch (error) {
    throw error instanceof EngineError ? error : diskError(error, 'read', path);
  }
  const { cid } = nameVector(values);
  if (cid !== name) throw bad(`the state ${name}`, cid);
  return values;
}
