import { setTimeout as sleep } from 'node:timers/promises';
import { blobChunkBytes, type Cid, cidOfDigest, createRandom, nameBlob } from '@murmuration/base';
import type { ServedBlob } from '../src/index.ts';

/** Blobs in memory, chunk by chunk, which remember who asked for what and may be slow. */
export class BlobMemory {
  readonly #blobs = new Map<Cid, Uint8Array>();
  /** CIDs in the order in which they were asked for. */
  readonly asked: Cid[] = [];
  /** Waited for before each read. */
  delayMs = 0;

  put(bytes: Uint8Array): Cid {
    const { cid, manifest, manifestBytes } = nameBlob(bytes);
    if (manifestBytes) this.#blobs.set(cid, manifestBytes);
    manifest.chunks.forEach((digest, index) => {
      const at = index * blobChunkBytes;
      this.#blobs.set(cidOfDigest(digest), bytes.subarray(at, at + blobChunkBytes));
    });
    return cid;
  }

  /** Holds bytes under a name that need not be theirs. */
  set(cid: Cid, bytes: Uint8Array): void {
    this.#blobs.set(cid, bytes);
  }

  get(cid: Cid): Uint8Array | undefined {
    return this.#blobs.get(cid);
  }

  async openBlob(cid: Cid): Promise<ServedBlob | undefined> {
    this.asked.push(cid);
    const bytes = this.#blobs.get(cid);
    if (!bytes) return undefined;
    return {
      size: bytes.length,
      read: async (offset, length) => {
        await sleep(this.delayMs, undefined, { ref: false });
        return bytes.subarray(offset, offset + length);
      },
    };
  }
}

/** Bytes that repeat nothing, from a seed. */
export function randomBytes(length: number, seed: string): Uint8Array {
  const random = createRandom(seed);
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let index = 0; index < words.length; index++) words[index] = random.uint32();
  return new Uint8Array(words.buffer, 0, length);
}
