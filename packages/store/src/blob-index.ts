import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Cid, chunkCids, type NamedBlob } from '@murmuration/base';
import type { Database, Row } from './database.ts';
import { temporarySuffix } from './durable-file.ts';

/** A file that the index knows: a blob, or a state that was adopted as a snapshot. */
export interface IndexedFile {
  readonly id: number;
  readonly cid: Cid;
  readonly path: string;
  readonly isSnapshot: boolean;
  readonly size: number;
  /** Encoded manifest of a blob of several chunks. */
  readonly manifest: Uint8Array | undefined;
}

/** Which blobs there are, where they lie, and which file each chunk is a range of. */
export interface BlobIndex {
  /** Where a blob's file belongs; its folder exists. */
  place(cid: Cid, kind: 'blob' | 'snapshot'): string;
  find(cid: Cid): IndexedFile | undefined;
  findChunk(cid: Cid): { readonly file: IndexedFile; readonly position: number } | undefined;
  add(named: NamedBlob, storedMs: number, snapshotHeight?: number): void;
  /** Removes the row. */
  drop(file: IndexedFile): void;
  /** Removes row and file. */
  remove(file: IndexedFile): void;
  /** Bytes of all blobs that are no snapshots. */
  blobBytes(): number;
  /** Unpinned blobs, oldest first, until `visit` says `false`. */
  eachOldest(visit: (file: IndexedFile, storedMs: number) => boolean): void;
  /** Snapshots beyond the `keep` highest. */
  surplusSnapshots(keep: number): IndexedFile[];
  /** Brings files and rows together again after a crash: files without a row go, and rows without a file. */
  reconcile(): void;
}

const columns = 'blobs.id AS id, blobs.cid AS cid, size, manifest, stored_ms, snapshot_height';
const ownerOnly = 0o700;

/** What a row with `columns` says. */
const indexedFile = (row: Row, pathOf: (cid: string, kind: 'blob' | 'snapshot') => string): IndexedFile => ({
  id: row.id as number,
  cid: row.cid as Cid,
  path: pathOf(row.cid as string, row.snapshot_height === null ? 'blob' : 'snapshot'),
  isSnapshot: row.snapshot_height !== null,
  size: row.size as number,
  manifest: (row.manifest ?? undefined) as Uint8Array | undefined,
});

/** The index of the blobs and snapshots below `directory`, in the database's tables. Methods throw `StoreError`. */
export function createBlobIndex(database: Database, directory: string): BlobIndex {
  const blobsFolder = join(directory, 'blobs');
  const snapshotsFolder = join(directory, 'snapshots');
  const pathOf = (cid: string, kind: 'blob' | 'snapshot'): string =>
    kind === 'snapshot' ? join(snapshotsFolder, cid) : join(blobsFolder, cid.slice(-2), cid);
  const fileOf = (row: Row): IndexedFile => indexedFile(row, pathOf);
  const sumOfBlobs = (): number =>
    database.row('SELECT total(size) AS bytes FROM blobs WHERE snapshot_height IS NULL')?.bytes as number;
  let blobBytes = sumOfBlobs();

  const find = (cid: Cid): IndexedFile | undefined => {
    const row = database.row(`SELECT ${columns} FROM blobs WHERE cid = ?`, cid);
    return row && fileOf(row);
  };

  const drop = (file: IndexedFile): void => {
    const isThere = database.row('SELECT id FROM blobs WHERE id = ?', file.id) !== undefined;
    database.run('DELETE FROM blobs WHERE id = ?', file.id);
    if (isThere && !file.isSnapshot) blobBytes -= file.size;
  };

  return {
    place(cid, kind) {
      const path = pathOf(cid, kind);
      mkdirSync(dirname(path), { recursive: true, mode: ownerOnly });
      return path;
    },
    find,
    findChunk(cid) {
      const row = database.row(
        `SELECT ${columns}, position FROM chunks JOIN blobs ON blobs.id = chunks.blob WHERE chunks.cid = ? LIMIT 1`,
        cid,
      );
      return row && { file: fileOf(row), position: row.position as number };
    },
    add(named, storedMs, snapshotHeight) {
      database.atomically(() => addRows(database, named, storedMs, snapshotHeight));
      if (snapshotHeight === undefined) blobBytes += named.manifest.size;
    },
    drop,
    remove(file) {
      drop(file);
      rmSync(file.path, { force: true });
    },
    blobBytes: () => blobBytes,
    eachOldest(visit) {
      const sql = `SELECT ${columns} FROM blobs
        WHERE snapshot_height IS NULL AND cid NOT IN (SELECT cid FROM pins) ORDER BY stored_ms, id`;
      database.each(sql, [], (row) => visit(fileOf(row), row.stored_ms as number));
    },
    surplusSnapshots: (keep) =>
      database
        .rows(
          `SELECT ${columns} FROM blobs WHERE snapshot_height IS NOT NULL
           ORDER BY snapshot_height DESC LIMIT -1 OFFSET ?`,
          keep,
        )
        .map(fileOf),
    reconcile() {
      const indexed = database.rows(`SELECT ${columns} FROM blobs`).map(fileOf);
      const missing = removeUnindexed(indexed, [blobsFolder, snapshotsFolder]);
      database.atomically(() => {
        for (const { id } of missing) database.run('DELETE FROM blobs WHERE id = ?', id);
      });
      blobBytes = sumOfBlobs();
    },
  };
}

/** A blob's row, and one for each of its chunks where it has several. */
function addRows(
  database: Database,
  { cid, manifest, manifestBytes }: NamedBlob,
  storedMs: number,
  snapshotHeight: number | undefined,
): void {
  database.run(
    'INSERT INTO blobs (cid, size, manifest, stored_ms, snapshot_height) VALUES (?, ?, ?, ?, ?)',
    cid,
    manifest.size,
    manifestBytes ?? null,
    storedMs,
    snapshotHeight ?? null,
  );
  if (!manifestBytes) return;
  const id = database.row('SELECT id FROM blobs WHERE cid = ?', cid)?.id as number;
  for (const [position, chunk] of chunkCids(manifest).entries())
    database.run('INSERT INTO chunks (cid, blob, position) VALUES (?, ?, ?)', chunk, id, position);
}

/** Removes our files that the index does not know; returns those that it knows and that are not there. */
function removeUnindexed(indexed: readonly IndexedFile[], folders: readonly string[]): IndexedFile[] {
  const missing = new Map(indexed.map((file) => [file.path, file]));
  for (const path of folders.flatMap(filesBelow))
    if (!missing.delete(path) && isOurs(path)) rmSync(path, { force: true });
  return [...missing.values()];
}

/** A stranger's file in our folder is left alone. */
const isOurs = (path: string): boolean => path.endsWith(temporarySuffix) || /[/\\]b[a-z2-7]{58}$/.test(path);

function filesBelow(folder: string): string[] {
  mkdirSync(folder, { recursive: true, mode: ownerOnly });
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
