import { type FileHandle, open } from 'node:fs/promises';
import {
  type BlobManifest,
  blobChunkBytes,
  chunkLength,
  digestOfCid,
  type NamedBlob,
  nameChunks,
  parseManifest,
} from '@murmuration/base';
import type { IndexedFile } from './blob-index.ts';
import { hashSliceBytes } from './defaults.ts';
import { storeErrorOf } from './errors.ts';
import { hashBytes } from './identity.ts';

/** File gone, or a sector that cannot be read: as good as rotten. */
const lost = ['ENOENT', 'EIO'];

/** The whole file, every chunk of it hashed and compared; `undefined` if it is gone, cut, longer or changed. */
export async function readWhole(file: IndexedFile): Promise<Uint8Array | undefined> {
  const digests = digestsOf(file);
  const bytes = new Uint8Array(file.size);
  const intact = await withFile(file.path, async (handle) => {
    if ((await handle.stat()).size !== file.size) return false;
    for (const [position, digest] of digests.entries())
      if (!(await readInto(handle, chunkIn(bytes, position), position, digest))) return false;
    return true;
  });
  return intact ? bytes : undefined;
}

/** One chunk of a file, hashed and compared; `undefined` if the file is gone, cut or changed there. */
export async function readChunk(file: IndexedFile, position: number): Promise<Uint8Array | undefined> {
  const digest = digestsOf(file)[position] as Uint8Array;
  const bytes = new Uint8Array(chunkLength(file.size, position));
  const intact = await withFile(file.path, (handle) => readInto(handle, bytes, position, digest));
  return intact ? bytes : undefined;
}

/** Names a blob in memory; the event loop gets its turn between slices. */
export async function nameInSlices(bytes: Uint8Array): Promise<NamedBlob> {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += blobChunkBytes) {
    chunks.push(hashBytes(bytes.subarray(at, at + blobChunkBytes)));
    if (at > 0 && at % hashSliceBytes === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return nameChunks({ size: bytes.length, chunks }, hashBytes);
}

const chunkIn = (bytes: Uint8Array, position: number): Uint8Array =>
  bytes.subarray(position * blobChunkBytes, (position + 1) * blobChunkBytes);

const digestsOf = ({ cid, manifest, size }: IndexedFile): BlobManifest['chunks'] =>
  manifest ? parseManifest(manifest, size).chunks : [digestOfCid(cid)];

async function readInto(
  handle: FileHandle,
  bytes: Uint8Array,
  position: number,
  digest: Uint8Array,
): Promise<boolean> {
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, position * blobChunkBytes);
  return bytesRead === bytes.length && hashBytes(bytes).every((byte, index) => byte === digest[index]);
}

async function withFile(path: string, check: (handle: FileHandle) => Promise<boolean>): Promise<boolean> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    return await check(handle);
  } catch (error) {
    if (lost.includes((error as { code?: string }).code ?? '')) return false;
    throw storeErrorOf(error, path);
  } finally {
    await handle?.close();
  }
}
