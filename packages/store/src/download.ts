/**
 * A state on its way here: `downloads/<CID>` has each chunk at its place, `downloads/<CID>.manifest` says which they
 * are. What is in the file is known by its hashes alone, so that a crash in the middle of a write loses that chunk.
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BlobManifest,
  blobChunkBytes,
  type Cid,
  chunkLength,
  digestOfCid,
  hasManifest,
  matchesCid,
  parseCid,
  parseManifest,
} from '@murmuration/base';
import { downloadsKept, hashSliceBytes } from './defaults.ts';
import { StoreError, storeErrorOf } from './errors.ts';
import { hashBytes } from './identity.ts';
import type { Download, Store } from './index.ts';

const folder = 'downloads';
const manifestSuffix = '.manifest';
/** The unit of `Stats.blocks`. */
const diskBlockBytes = 512;

/**
 * Opens or begins the download of a blob; the chunks that are there already are looked through. Throws `StoreError`.
 */
export async function openDownload(
  directory: string,
  cid: Cid,
  adopt: Store['adoptSnapshot'],
): Promise<Download> {
  const path = join(directory, folder, parseCid(cid));
  try {
    mkdirSync(join(directory, folder), { recursive: true, mode: 0o700 });
    const manifest = readManifest(path, cid);
    if (!manifest) rmSync(path, { force: true });
    const held = manifest ? await intactChunks(path, parseManifest(manifest, Number.MAX_SAFE_INTEGER)) : [];
    dropOldest(join(directory, folder), cid);
    return new FileDownload({ cid, path, manifest, held: new Set(held), adopt });
  } catch (error) {
    throw storeErrorOf(error, path);
  }
}

/** The downloads in a folder. Files are sparse: what the disk holds of one is what came, or a little more. */
export function openDownloads(directory: string): { readonly cid: Cid; readonly bytes: number }[] {
  const path = join(directory, folder);
  if (!statSync(path, { throwIfNoEntry: false })) return [];
  return readdirSync(path)
    .filter((name) => name.startsWith('baf') && !name.includes('.'))
    .map((name) => {
      const { blocks, size } = statSync(join(path, name));
      return { cid: name as Cid, bytes: Math.min(size, diskBlockBytes * blocks) };
    });
}

function readManifest(path: string, cid: Cid): Uint8Array | undefined {
  if (!statSync(path + manifestSuffix, { throwIfNoEntry: false })) return undefined;
  const bytes = readFileSync(path + manifestSuffix);
  return hasManifest(cid) && matchesCid(bytes, cid, hashBytes) ? new Uint8Array(bytes) : undefined;
}

/** Positions of the chunks that a file has; the event loop gets its turn between slices. */
async function intactChunks(path: string, { size, chunks }: BlobManifest): Promise<number[]> {
  if (!statSync(path, { throwIfNoEntry: false })) return [];
  const intact: number[] = [];
  const file = await open(path, 'r');
  try {
    for (const [position, digest] of chunks.entries()) {
      const bytes = new Uint8Array(chunkLength(size, position));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, position * blobChunkBytes);
      if (bytesRead === bytes.length && Buffer.compare(hashBytes(bytes), digest) === 0) intact.push(position);
      if ((position * blobChunkBytes) % hashSliceBytes === 0)
        await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    await file.close();
  }
  return intact;
}

/** Only the newest few downloads stay: a peer that catches up wants one state. */
function dropOldest(directory: string, cid: Cid): void {
  const others = readdirSync(directory)
    .filter((name) => !name.startsWith(cid) && !name.endsWith(manifestSuffix))
    .map((name) => ({ path: join(directory, name), changedMs: statSync(join(directory, name)).mtimeMs }))
    .sort((a, b) => b.changedMs - a.changedMs);
  for (const { path } of others.slice(downloadsKept - 1)) {
    rmSync(path, { force: true });
    rmSync(path + manifestSuffix, { force: true });
  }
}

interface FileDownloadInit {
  readonly cid: Cid;
  readonly path: string;
  readonly manifest: Uint8Array | undefined;
  readonly held: Set<number>;
  readonly adopt: Store['adoptSnapshot'];
}

class FileDownload implements Download {
  readonly #init: FileDownloadInit;
  readonly #held: Set<number>;
  #manifest: Uint8Array | undefined;
  #file: number | undefined;
  #size = 0;

  constructor(init: FileDownloadInit) {
    this.#init = init;
    this.#held = init.held;
    this.#manifest = init.manifest;
    if (init.manifest) this.#size = parseManifest(init.manifest, Number.MAX_SAFE_INTEGER).size;
  }

  get manifest(): Uint8Array | undefined {
    return this.#manifest;
  }

  get bytesHere(): number {
    return [...this.#held].reduce((sum, position) => sum + chunkLength(this.#size, position), 0);
  }

  begin(manifest: Uint8Array): ReadonlySet<number> {
    const { path } = this.#init;
    return this.#translated(() => {
      if (!this.#manifest) {
        writeFileSync(`${path}.tmp`, manifest, { mode: 0o600 });
        renameSync(`${path}.tmp`, path + manifestSuffix);
      }
      this.#manifest = manifest;
      this.#size = parseManifest(manifest, Number.MAX_SAFE_INTEGER).size;
      return this.#held;
    });
  }

  write(position: number, bytes: Uint8Array): void {
    const { path } = this.#init;
    this.#translated(() => {
      const isThere = statSync(path, { throwIfNoEntry: false }) !== undefined;
      this.#file ??= openSync(path, isThere ? 'r+' : 'wx+', 0o600);
      const written = writeSync(this.#file, bytes, 0, bytes.length, position * blobChunkBytes);
      if (written < bytes.length)
        throw new StoreError(`${path}: expected room for ${bytes.length} bytes, found it for ${written}`, {
          code: 'disk-full',
          path,
        });
      if (!this.#manifest) this.#size = bytes.length;
      this.#held.add(position);
    });
  }

  async finish(height: number): Promise<void> {
    const { cid, path, adopt } = this.#init;
    const size = this.#size;
    const chunks = this.#manifest ? parseManifest(this.#manifest, size).chunks : [digestOfCid(cid)];
    const missing = chunks.length - this.#held.size;
    if (missing > 0)
      throw new StoreError(`${path}: expected all ${chunks.length} chunks, ${missing} are missing`, {
        code: 'bad-blob',
        path,
      });
    this.close();
    await adopt({ path, height, tensors: cid, size, chunks });
    rmSync(path + manifestSuffix, { force: true });
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #translated<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw storeErrorOf(error, this.#init.path);
    }
  }
}
