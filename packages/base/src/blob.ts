/**
 * How bytes of any length get one name. A blob of at most `blobChunkBytes` is one chunk, named by its own CID
 * (codec raw). A longer one is named by the CID (codec dag-cbor) of its manifest, which lists the digests of its
 * chunks: whoever holds the name can check the manifest, then each chunk as it arrives, from any source.
 */
import { equals } from 'uint8arrays/equals';
import {
  type Cid,
  cidOfDigest,
  DigestError,
  decodeCbor,
  digestLength,
  digestOfCid,
  encodeCbor,
  sha256,
} from './digest.ts';
import { FactError } from './errors.ts';
import { KiB } from './units.ts';

/** Every chunk but the last has exactly this many bytes. Part of the wire format. */
export const blobChunkBytes: number = 256 * KiB;

/** A manifest fits into one chunk: 7,700 digests of 34 encoded bytes, almost 2 GB. */
export const blobChunksMax = 7_700;

/** A manifest that is none (`bad-manifest`), or chunks that are not those of a blob (`too-long`: too many, too few). */
export class BlobError extends FactError<'bad-manifest' | 'too-long'> {}

/** The chunks of a blob of `size` bytes, in order. */
export interface BlobManifest {
  readonly size: number;
  readonly chunks: readonly Uint8Array[];
}

/** A blob's name, and the manifest that goes with it when it has more than one chunk. */
export interface NamedBlob {
  readonly cid: Cid;
  readonly manifest: BlobManifest;
  /** Encoded manifest; absent when the blob is one chunk. */
  readonly manifestBytes?: Uint8Array;
}

/** Names a blob whose chunk digests are known (a state that is hashed where it lies). Throws `BlobError` `too-long`. */
export function nameChunks(
  manifest: BlobManifest,
  hash: (bytes: Uint8Array) => Uint8Array = sha256,
): NamedBlob {
  const count = Math.max(1, Math.ceil(manifest.size / blobChunkBytes));
  if (manifest.chunks.length !== count || count > blobChunksMax)
    throw new BlobError(
      `expected ${count} (at most ${blobChunksMax}) chunks for ${manifest.size} bytes, got ${manifest.chunks.length}`,
      {
        code: 'too-long',
        size: manifest.size,
        chunks: manifest.chunks.length,
      },
    );
  if (count === 1) return { cid: cidOfDigest(manifest.chunks[0] as Uint8Array), manifest };
  const manifestBytes = encodeCbor({ size: manifest.size, chunks: manifest.chunks });
  return { cid: cidOfDigest(hash(manifestBytes), 'dag-cbor'), manifest, manifestBytes };
}

/** Names a blob that lies in memory. Throws `BlobError` `too-long` beyond `blobChunksMax`. */
export function nameBlob(bytes: Uint8Array, hash: (bytes: Uint8Array) => Uint8Array = sha256): NamedBlob {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += blobChunkBytes)
    chunks.push(hash(bytes.subarray(at, at + blobChunkBytes)));
  return nameChunks({ size: bytes.length, chunks }, hash);
}

/** Whether a CID names a manifest (dag-cbor) rather than a single chunk (raw). */
export const hasManifest = (cid: Cid): boolean => cid.startsWith('bafyrei');

/**
 * Reads a manifest that came from the network; the caller has already checked that its hash is the blob's CID.
 * Throws `BlobError` unless it lists exactly the chunks of a blob of at most `sizeMax` bytes.
 */
export function parseManifest(bytes: Uint8Array, sizeMax: number): BlobManifest {
  const bad = (expected: string): never => {
    throw new BlobError(`blob manifest: expected ${expected}`, {
      code: 'bad-manifest',
      length: bytes.length,
    });
  };
  let value: unknown;
  try {
    value = decodeCbor(bytes);
  } catch (error) {
    if (error instanceof DigestError) bad('canonical dag-cbor');
    throw error;
  }
  const { size, chunks, ...others } = (value ?? {}) as { size?: unknown; chunks?: unknown };
  if (Object.keys(others).length > 0) return bad('size and chunks only');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size <= blobChunkBytes || size > sizeMax)
    return bad(`a size in (${blobChunkBytes}, ${sizeMax}], got ${String(size)}`);
  const count = Math.ceil(size / blobChunkBytes);
  const digests = Array.isArray(chunks) ? (chunks as unknown[]) : [];
  const wellFormed = digests.every(
    (digest) => digest instanceof Uint8Array && digest.length === digestLength,
  );
  if (digests.length !== count || count > blobChunksMax || !wellFormed)
    return bad(`${count} digests of 32 bytes`);
  return { size, chunks: digests as Uint8Array[] };
}

/** The CIDs of a blob's chunks, in order; the single chunk of a short blob has the blob's own CID. */
export const chunkCids = (manifest: BlobManifest): Cid[] =>
  manifest.chunks.map((digest) => cidOfDigest(digest));

/** Length in bytes of chunk `index` of a blob of `size` bytes. */
export const chunkLength = (size: number, index: number): number =>
  Math.min(blobChunkBytes, size - index * blobChunkBytes);

/** Whether bytes hash to a CID's digest. Throws `DigestError` if the CID is none. */
export function matchesCid(
  bytes: Uint8Array,
  cid: Cid,
  hash: (bytes: Uint8Array) => Uint8Array = sha256,
): boolean {
  return equals(hash(bytes), digestOfCid(cid));
}
