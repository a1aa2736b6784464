import { createHash } from 'node:crypto';
import { endianness } from 'node:os';
import { assert, blobChunkBytes, type NamedBlob, nameChunks } from '@murmuration/base';

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
