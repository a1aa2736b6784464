import type { Cid } from '@murmuration/base';
import type { Database, Row } from './database.ts';
import { statesKept } from './defaults.ts';
import { StoreError } from './errors.ts';
import type { Store, StoredEntry } from './index.ts';

/** Keys of what belongs to a recovery, and not to the regular chain. */
const recoveryPrefix = 'recovery/';

/** The part of a store that lives in `ledger.sqlite` alone. */
export type Ledger = Pick<
  Store,
  | 'runId'
  | 'bindRun'
  | 'putRecord'
  | 'records'
  | 'forgetRecords'
  | 'putEntry'
  | 'entries'
  | 'putState'
  | 'state'
  | 'firstHeight'
  | 'lastHeight'
  | 'resetLedger'
  | 'getSetting'
  | 'putSetting'
  | 'putMetric'
  | 'metrics'
  | 'atomically'
>;

const equal = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index]);

/** For LIMIT, where a negative number would mean all. */
const rowsAtMost = (count: number): number =>
  Math.max(0, Math.min(Math.floor(count), Number.MAX_SAFE_INTEGER));

type Fact = 'run' | 'peer' | 'nextHeight' | 'voteKey' | 'mark' | 'marking';

/** Keys in the order of heights. */
const stateKey = (height: number): string => `state/${String(height).padStart(10, '0')}`;

/** A fact about the folder itself, such as the run and the peer that it belongs to. */
export function factOf(database: Database, name: Fact): string | number | undefined {
  return (database.row('SELECT value FROM facts WHERE name = ?', name)?.value ?? undefined) as
    | string
    | number
    | undefined;
}

/** Replaces a fact about the folder. */
export function putFact(database: Database, name: Fact, value: string | number): void {
  database.run('INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)', name, value);
}

/** Records, entries, settings and metrics in the database of the folder `directory`. Methods throw `StoreError`. */
export function createLedger(database: Database, directory: string): Ledger {
  const runId = (): Cid | undefined => factOf(database, 'run') as Cid | undefined;
  return {
    get runId() {
      return runId();
    },
    bindRun(run) {
      const bound = runId();
      if (bound === run) return;
      if (bound !== undefined)
        throw new StoreError(`${directory}: expected a folder of run ${run}, found run ${bound}`, {
          code: 'other-run',
          directory,
          expected: run,
          found: bound,
        });
      putFact(database, 'run', run);
    },
    ...recordsIn(database),
    ...entriesIn(database),
    ...statesIn(database),
    ...settingsIn(database),
    ...metricsIn(database),
    atomically: (work) => database.atomically(work),
  };
}

const recordsIn = (database: Database): Pick<Store, 'putRecord' | 'records' | 'forgetRecords'> => ({
  putRecord({ key, height, bytes }) {
    const sql = 'INSERT OR REPLACE INTO records (key, height, bytes) VALUES (?, ?, ?)';
    database.run(sql, key, height, bytes);
  },
  records: () =>
    database.rows('SELECT key, height, bytes FROM records ORDER BY id').map((row) => ({
      key: row.key as string,
      height: row.height as number,
      bytes: row.bytes as Uint8Array,
    })),
  forgetRecords(belowHeight, prefix) {
    const which = prefix ? 'key GLOB ?' : 'key NOT GLOB ?';
    database.run(`DELETE FROM records WHERE height < ? AND ${which}`, belowHeight, `${recoveryPrefix}*`);
  },
});

function entriesIn(
  database: Database,
): Pick<Store, 'putEntry' | 'entries' | 'firstHeight' | 'lastHeight' | 'resetLedger'> {
  const heightOf = (row: Row | undefined): number | undefined =>
    (row?.height ?? undefined) as number | undefined;
  const lastHeight = (): number | undefined =>
    heightOf(database.row('SELECT max(height) AS height FROM entries'));
  return {
    putEntry: (entry) => database.atomically(() => putEntry(database, entry, lastHeight())),
    entries: (fromHeight, countMax, bytesMax = Number.POSITIVE_INFINITY) =>
      readEntries(database, fromHeight, countMax, bytesMax),
    firstHeight: () => heightOf(database.row('SELECT min(height) AS height FROM entries')),
    lastHeight,
    resetLedger: (nextHeight) =>
      database.atomically(() => {
        const last = lastHeight();
        if (last !== undefined && last + 1 < nextHeight) database.run('DELETE FROM entries');
        else database.run('DELETE FROM entries WHERE height >= ?', nextHeight);
        putFact(database, 'nextHeight', nextHeight);
      }),
  };
}

/** The last few ledger states lie among the settings. */
const statesIn = (database: Database): Pick<Store, 'putState' | 'state'> => ({
  putState: (height, bytes) =>
    database.atomically(() => {
      database.run('INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)', stateKey(height), bytes);
      database.run(
        `DELETE FROM settings WHERE key GLOB 'state/*' AND key NOT IN
          (SELECT key FROM settings WHERE key GLOB 'state/*' ORDER BY key DESC LIMIT ${statesKept})`,
      );
    }),
  state: (height) => settingOf(database, stateKey(height)),
});

const settingOf = (database: Database, key: string): Uint8Array | undefined =>
  database.row('SELECT value FROM settings WHERE key = ?', key)?.value as Uint8Array | undefined;

const settingsIn = (database: Database): Pick<Store, 'getSetting' | 'putSetting'> => ({
  getSetting: (key) => settingOf(database, key),
  putSetting(key, value) {
    database.run('INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)', key, value);
  },
});

const metricsIn = (database: Database): Pick<Store, 'putMetric' | 'metrics'> => ({
  putMetric({ height, name, value, timeMs }) {
    const sql = 'INSERT OR REPLACE INTO metrics (name, height, value, time_ms) VALUES (?, ?, ?, ?)';
    database.runRelaxed(sql, name, height, value, timeMs);
  },
  metrics: (name) =>
    database
      .rows('SELECT height, value, time_ms FROM metrics WHERE name = ? ORDER BY height', name)
      .map((row) => ({
        height: row.height as number,
        value: (row.value ?? Number.NaN) as number,
        timeMs: row.time_ms as number,
      })),
});

function readEntries(
  database: Database,
  fromHeight: number,
  countMax: number,
  bytesMax: number,
): StoredEntry[] {
  const found: StoredEntry[] = [];
  let bytesLeft = bytesMax;
  const sql = 'SELECT height, bytes FROM entries WHERE height >= ? ORDER BY height LIMIT ?';
  database.each(sql, [fromHeight, rowsAtMost(countMax)], (row) => {
    const bytes = row.bytes as Uint8Array;
    const height = row.height as number;
    bytesLeft -= bytes.length;
    if (bytesLeft < 0 || height !== fromHeight + found.length) return false;
    found.push({ height, bytes });
    return true;
  });
  return found;
}

function putEntry(database: Database, { height, bytes }: StoredEntry, last: number | undefined): void {
  const next = last === undefined ? (factOf(database, 'nextHeight') as number | undefined) : last + 1;
  if (next === undefined || height === next) {
    database.run('INSERT INTO entries (height, bytes) VALUES (?, ?)', height, bytes);
    return;
  }
  const there = database.row('SELECT bytes FROM entries WHERE height = ?', height)?.bytes;
  if (!there)
    throw new StoreError(`expected the ledger entry of height ${next}, got that of height ${height}`, {
      code: 'gap',
      expected: next,
      height,
    });
  if (!equal(there as Uint8Array, bytes))
    throw new StoreError(`another entry is already certified at height ${height}`, {
      code: 'conflict',
      height,
    });
}
