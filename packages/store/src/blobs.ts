/**
 * Blobs as files, with an index in the ledger.
 *
 * `blobs/<last two letters of the CID>/<CID>` holds a whole blob, `snapshots/<CID>` a state that was adopted. A blob of
 * several chunks is one file; its manifest lies in the index, and each chunk's CID points to a range of the file. What
 * is handed out was hashed first: a file that has rotted is removed together with its row and counts as absent.
 *
 * A file is in place before its row is written, and its row is gone before the file is: a crash leaves at most a file
 * without a row, which the next start removes. The rename and the row's commit happen without a pause between them, so
 * that no other call sees one without the other.
 */
import { renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Cid, nameChunks } from '@murmuration/base';
import { type BlobIndex, createBlobIndex, type IndexedFile } from './blob-index.ts';
import { nameInSlices, readChunk, readWhole } from './checked-read.ts';
import type { Database } from './database.ts';
import { blobBytesOvershoot, blobRecentMs } from './defaults.ts';
import { copyDurably, flushFile, flushFolder, stageFile } from './durable-file.ts';
import { StoreError, storeErrorOf } from './errors.ts';
import { hashBytes } from './identity.ts';
import type { Store, StoredBlob } from './index.ts';

/** The part of a store that lies in files. */
export type Blobs = Pick<
  Store,
  | 'hasBlob'
  | 'getBlob'
  | 'putBlob'
  | 'pinBlob'
  | 'unpinBlob'
  | 'openBlob'
  | 'blobBytes'
  | 'adoptSnapshot'
  | 'blobPath'
>;

/** Where the files lie and how many stay. */
export interface BlobsInit {
  readonly directory: string;
  readonly readOnly: boolean;
  readonly blobBytesMax: number;
  readonly snapshotsKept: number;
  /** Wall clock, ms. */
  now(): number;
}

/** Opens the files below the store's folder; unless read-only, what a crash left is removed first. */
export function createBlobs(init: BlobsInit, database: Database): Blobs {
  const index = createBlobIndex(database, init.directory);
  if (!init.readOnly) index.reconcile();

  const intactOrGone = async (
    file: IndexedFile,
    bytes: Promise<Uint8Array | undefined>,
  ): Promise<Uint8Array | undefined> => {
    const intact = await bytes;
    if (!intact && !init.readOnly) index.remove(file);
    return intact;
  };
  const wholeOf = (file: IndexedFile) => intactOrGone(file, readWhole(file));
  const chunkOf = async (cid: Cid): Promise<Uint8Array | undefined> => {
    const chunk = index.findChunk(cid);
    return chunk && intactOrGone(chunk.file, readChunk(chunk.file, chunk.position));
  };

  return {
    blobBytes: index.blobBytes,
    hasBlob: (cid) => index.find(cid) !== undefined || index.findChunk(cid) !== undefined,
    async getBlob(cid) {
      const file = index.find(cid);
      return file ? wholeOf(file) : chunkOf(cid);
    },
    putBlob: (cid, bytes) => putBlob(init, index, database, cid, bytes),
    pinBlob(cid) {
      database.run('INSERT OR IGNORE INTO pins (cid) VALUES (?)', cid);
    },
    unpinBlob(cid) {
      database.run('DELETE FROM pins WHERE cid = ?', cid);
    },
    async openBlob(cid) {
      const file = index.find(cid);
      const bytes = file ? (file.manifest ?? (await wholeOf(file))) : await chunkOf(cid);
      return bytes && served(bytes);
    },
    adoptSnapshot: (snapshot) => adoptSnapshot(init, index, database, snapshot),
    blobPath(cid) {
      const file = index.find(cid);
      return file && statSync(file.path, { throwIfNoEntry: false }) ? file.path : undefined;
    },
  };
}

/** Pieces of bytes that have been checked already; at most a chunk or a manifest, 256 KiB. */
const served = (bytes: Uint8Array): StoredBlob => ({
  size: bytes.length,
  read: async (offset, length) => bytes.slice(offset, offset + length),
});

async function putBlob(
  init: BlobsInit,
  index: BlobIndex,
  database: Database,
  cid: Cid,
  bytes: Uint8Array,
): Promise<void> {
  requireWritable(init);
  if (index.find(cid)) {
    database.runRelaxed('UPDATE blobs SET stored_ms = ? WHERE cid = ?', init.now(), cid);
    return;
  }
  const named = await nameInSlices(bytes);
  if (named.cid !== cid)
    throw new StoreError(`expected bytes named ${cid}, got ${bytes.length} bytes named ${named.cid}`, {
      code: 'bad-blob',
      expected: cid,
      got: named.cid,
    });
  const path = index.place(cid, 'blob');
  const staged = await stageFile(path, bytes);
  try {
    if (index.find(cid)) return;
    renameSync(staged, path);
    index.add(named, init.now());
  } catch (error) {
    rmSync(path, { force: true });
    throw storeErrorOf(error, path);
  } finally {
    rmSync(staged, { force: true });
  }
  await flushFolder(dirname(path));
  prune(init, index);
}

function prune(init: BlobsInit, index: BlobIndex): void {
  let bytes = index.blobBytes();
  if (bytes <= init.blobBytesMax) return;
  const recentMs = init.now() - blobRecentMs;
  const doomed: IndexedFile[] = [];
  index.eachOldest((file, storedMs) => {
    const limit = storedMs > recentMs ? init.blobBytesMax * blobBytesOvershoot : init.blobBytesMax;
    if (bytes <= limit) return false;
    doomed.push(file);
    bytes -= file.size;
    return true;
  });
  doomed.forEach(index.remove);
}

async function adoptSnapshot(
  init: BlobsInit,
  index: BlobIndex,
  database: Database,
  { path, height, tensors, size, chunks }: Parameters<Store['adoptSnapshot']>[0],
): Promise<void> {
  requireWritable(init);
  const named = nameChunks({ size, chunks }, hashBytes);
  const found = statSync(path, { throwIfNoEntry: false })?.size;
  if (named.cid !== tensors || found !== size)
    throw new StoreError(
      `snapshot ${path}: expected ${size} bytes named ${tensors}, got ${found ?? 'no'} bytes named ${named.cid}`,
      { code: 'bad-blob', path, expected: tensors, got: named.cid },
    );
  const target = index.place(tensors, 'snapshot');
  const isNear = statSync(path).dev === statSync(dirname(target)).dev;
  const staged = isNear ? path : await copyDurably(path, target);
  if (isNear) await flushFile(path);
  try {
    const old = index.find(tensors);
    renameSync(staged, target);
    database.atomically(() => {
      if (old) index.drop(old);
      index.add(named, init.now(), height);
    });
    if (old && !old.isSnapshot) rmSync(old.path, { force: true });
  } catch (error) {
    throw storeErrorOf(error, target);
  }
  if (!isNear) rmSync(path, { force: true });
  await flushFolder(dirname(target));
  index.surplusSnapshots(init.snapshotsKept).forEach(index.remove);
}

function requireWritable({ readOnly, directory }: BlobsInit): void {
  if (readOnly)
    throw new StoreError(`${directory} is open for reading only`, { code: 'read-only', directory });
}
