import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { lockTimeoutMs } from './defaults.ts';
import { StoreError, storeErrorOf } from './errors.ts';

/** The right to write to a folder. */
export interface Lock {
  release(): void;
}

const busy = 5;

/** Keeps held locks reachable: a connection that is collected as garbage would let its lock go. */
const held = new Set<DatabaseSync>();

/**
 * Takes the folder for this process. The lock is the operating system's own, through an empty SQLite file `lock` whose
 * write lock is held: it ends with the process, however that ends, and no process id is mistaken for another one's.
 * The file's `user_version` says which process holds it. Throws `StoreError` `locked`.
 */
export function lockFolder(directory: string): Lock {
  const path = join(directory, 'lock');
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    database.exec(`PRAGMA busy_timeout = ${lockTimeoutMs}; PRAGMA synchronous = OFF; BEGIN IMMEDIATE;
      PRAGMA user_version = ${process.pid}; COMMIT; BEGIN IMMEDIATE;`);
    const connection = database;
    held.add(connection);
    return {
      release() {
        held.delete(connection);
        connection.close();
      },
    };
  } catch (error) {
    const isBusy = (error as { errcode?: number }).errcode === busy;
    const pid = isBusy && database ? holderIn(database) : undefined;
    database?.close();
    if (!isBusy) throw storeErrorOf(error, path);
    throw new StoreError(
      `${directory} is in use by process ${pid ?? '(unknown)'}: one process at a time; stop that one first`,
      { code: 'locked', directory, pid },
    );
  }
}

/** The id of the process that has a folder open for writing, if one has. */
export function processUsing(directory: string): number | undefined {
  const path = join(directory, 'lock');
  let database: DatabaseSync | undefined;
  try {
    if (!statSync(path, { throwIfNoEntry: false })) return undefined;
    database = new DatabaseSync(path, { readOnly: false });
    database.exec('BEGIN IMMEDIATE; ROLLBACK;');
    return undefined;
  } catch (error) {
    if (database && (error as { errcode?: number }).errcode === busy) return holderIn(database);
    throw storeErrorOf(error, path);
  } finally {
    database?.close();
  }
}

function holderIn(database: DatabaseSync): number | undefined {
  const row = database.prepare('PRAGMA user_version').get() as { user_version: number } | undefined;
  return row?.user_version;
}
