import { statSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { busyTimeoutMs, checkedBytesMax, checkpointPages, walBytesKept } from './defaults.ts';
import { StoreError, storeErrorOf } from './errors.ts';

/** One row, by the names of its columns. */
export type Row = Record<string, SQLOutputValue>;

/** `ledger.sqlite` with its errors translated. Statements are prepared once each; their texts are constants. */
export interface Database {
  /** Durable when it returns, or with the `atomically` around it. */
  run(sql: string, ...values: SQLInputValue[]): void;
  /** Survives the process, but perhaps not a power failure: no wait for the disk. */
  runRelaxed(sql: string, ...values: SQLInputValue[]): void;
  row(sql: string, ...values: SQLInputValue[]): Row | undefined;
  rows(sql: string, ...values: SQLInputValue[]): Row[];
  /** Rows one by one, until `visit` says `false`. */
  each(sql: string, values: readonly SQLInputValue[], visit: (row: Row) => boolean): void;
  /** All changes made by `work`, or none. */
  atomically<T>(work: () => T): T;
  close(): void;
}

/** `MURM`: tells our ledger from any other SQLite file. */
const applicationId = 0x4d55524d;
const schemaVersion = 1;

const schema = `
  CREATE TABLE facts (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
  CREATE TABLE settings (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
  CREATE TABLE records (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, height INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;
  CREATE INDEX records_by_height ON records (height);
  CREATE TABLE entries (height INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  CREATE TABLE metrics (name TEXT NOT NULL, height INTEGER NOT NULL, value REAL, time_ms REAL NOT NULL,
    PRIMARY KEY (name, height)) STRICT, WITHOUT ROWID;
  CREATE TABLE blobs (id INTEGER PRIMARY KEY AUTOINCREMENT, cid TEXT NOT NULL UNIQUE, size INTEGER NOT NULL,
    manifest BLOB, stored_ms REAL NOT NULL, snapshot_height INTEGER) STRICT;
  CREATE INDEX blobs_by_age ON blobs (stored_ms, id);
  CREATE TABLE chunks (cid TEXT NOT NULL, blob INTEGER NOT NULL REFERENCES blobs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL, PRIMARY KEY (cid, blob, position)) STRICT, WITHOUT ROWID;
  CREATE INDEX chunks_by_blob ON chunks (blob);
  CREATE TABLE pins (cid TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  PRAGMA application_id = ${applicationId};
  PRAGMA user_version = ${schemaVersion};
`;

/**
 * Opens (and unless `readOnly` makes) the ledger. Write-ahead log with a flush at each commit: a reader never waits
 * for the writer, and a commit is on disk when `run` returns. Throws `StoreError` `corrupt`, `unknown-version`,
 * `missing`, `disk-full`.
 */
export function openDatabase(path: string, readOnly: boolean): Database {
  const connections: DatabaseSync[] = [];
  const closeAll = (): void => {
    for (const connection of connections.splice(0)) connection.close();
  };
  const connect = (synchronous: 'FULL' | 'NORMAL'): DatabaseSync => {
    const connection = new DatabaseSync(path, { readOnly });
    connections.push(connection);
    connection.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}; PRAGMA trusted_schema = OFF;`);
    if (!readOnly)
      connection.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}; PRAGMA fullfsync = ON;
        PRAGMA wal_autocheckpoint = ${checkpointPages}; PRAGMA journal_size_limit = ${walBytesKept};
        PRAGMA foreign_keys = ON;`);
    return connection;
  };
  try {
    if (readOnly && !statSync(path, { throwIfNoEntry: false }))
      throw new StoreError(`${path}: expected a ledger to read, found none`, { code: 'missing', path });
    const durable = connect('FULL');
    checkOrCreate(durable, path, readOnly);
    const relaxed = readOnly ? durable : connect('NORMAL');
    return accessTo(durable, relaxed, path, closeAll);
  } catch (error) {
    closeAll();
    throw storeErrorOf(error, path);
  }
}

function checkOrCreate(connection: DatabaseSync, path: string, readOnly: boolean): void {
  const pragma = (name: string): unknown =>
    Object.values(connection.prepare(`PRAGMA ${name}`).get() ?? {})[0];
  const isNew = pragma('schema_version') === 0;
  if (isNew && readOnly)
    throw new StoreError(`${path}: expected a ledger to read, found an empty file`, {
      code: 'missing',
      path,
    });
  if (isNew) connection.exec(`BEGIN IMMEDIATE; ${schema} COMMIT;`);
  if (pragma('application_id') !== applicationId)
    throw new StoreError(`${path}: expected a ledger of murmur, found another program's SQLite file`, {
      code: 'corrupt',
      path,
    });
  const version = pragma('user_version');
  if (version !== schemaVersion)
    throw new StoreError(
      `${path}: expected ledger format ${schemaVersion}, found ${version}: another release of murmur wrote it`,
      { code: 'unknown-version', path, version },
    );
  if (readOnly || statSync(path).size > checkedBytesMax) return;
  const verdict = pragma('quick_check(1)');
  if (verdict !== 'ok')
    throw new StoreError(`${path}: the file is damaged: ${verdict}`, { code: 'corrupt', path, verdict });
}

/** SQLite has already rolled back after some errors (a full disk); then there is nothing left to do. */
function rollBack(connection: DatabaseSync): void {
  try {
    connection.exec('ROLLBACK');
  } catch {
    return;
  }
}

function accessTo(
  durable: DatabaseSync,
  relaxed: DatabaseSync,
  path: string,
  closeAll: () => void,
): Database {
  const statements = new Map<DatabaseSync, Map<string, StatementSync>>([
    [durable, new Map()],
    [relaxed, new Map()],
  ]);
  let depth = 0;

  const translated = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw storeErrorOf(error, path);
    }
  };
  const prepared = (connection: DatabaseSync, sql: string): StatementSync => {
    const known = statements.get(connection) as Map<string, StatementSync>;
    const statement = known.get(sql) ?? connection.prepare(sql);
    known.set(sql, statement);
    return statement;
  };
  const atomically = <T>(work: () => T): T => {
    if (depth === 0) translated(() => durable.exec('BEGIN IMMEDIATE'));
    depth++;
    try {
      const result = work();
      if (depth === 1) translated(() => durable.exec('COMMIT'));
      return result;
    } catch (error) {
      if (depth === 1) rollBack(durable);
      throw error;
    } finally {
      depth--;
    }
  };

  return {
    run(sql, ...values) {
      translated(() => prepared(durable, sql).run(...values));
    },
    runRelaxed(sql, ...values) {
      translated(() => prepared(depth > 0 ? durable : relaxed, sql).run(...values));
    },
    row: (sql, ...values) => translated(() => prepared(durable, sql).get(...values) as Row | undefined),
    rows: (sql, ...values) => translated(() => prepared(durable, sql).all(...values) as Row[]),
    each: (sql, values, visit) =>
      translated(() => {
        for (const row of prepared(durable, sql).iterate(...values)) if (!visit(row as Row)) break;
      }),
    atomically,
    close: () => translated(closeAll),
  };
}
