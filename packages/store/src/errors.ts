import { FactError } from '@murmuration/base';

/** What can be wrong with a folder, its files, or a change of them. */
export type StoreErrorCode =
  /** Another process uses the folder; `pid` names it. */
  | 'locked'
  | 'other-run'
  /** The key is not the one that the ledger was written with. */
  | 'other-peer'
  /** Opened read-only, and there is nothing to read. */
  | 'missing'
  | 'bad-key'
  | 'key-permissions'
  | 'corrupt'
  | 'unknown-version'
  | 'disk-full'
  | 'no-access'
  | 'read-only'
  /** An entry that does not follow the last one. */
  | 'gap'
  /** An entry that differs from the one stored at its height. */
  | 'conflict'
  /** Bytes that do not hash to the CID they came with. */
  | 'bad-blob'
  | 'closed'
  | 'io';

/** Whatever goes wrong with a peer's folder. */
export class StoreError extends FactError<StoreErrorCode> {}

const codesOfSystem: Readonly<Record<string, StoreErrorCode>> = {
  ENOSPC: 'disk-full',
  EDQUOT: 'disk-full',
  EACCES: 'no-access',
  EPERM: 'no-access',
  EROFS: 'no-access',
};

/** SQLite's primary result codes (https://sqlite.org/rescode.html). */
const codesOfSqlite: Readonly<Record<number, StoreErrorCode>> = {
  3: 'no-access',
  8: 'read-only',
  11: 'corrupt',
  13: 'disk-full',
  14: 'no-access',
  26: 'corrupt',
};

const advice: Partial<Record<StoreErrorCode, string>> = {
  'disk-full': 'the disk is full; nothing that was stored before is lost. Make room and start again',
  corrupt: 'the file is damaged: restore it from a copy, or join the run anew with an empty folder',
};

/** Says what an error of the file system or of SQLite means for the file at `path`. */
export function storeErrorOf(cause: unknown, path: string): StoreError {
  if (cause instanceof StoreError) return cause;
  const { code, errcode, message } = cause as { code?: string; errcode?: number; message?: string };
  const meaning =
    errcode !== undefined
      ? (codesOfSqlite[errcode & 0xff] ?? 'io')
      : code === 'ERR_INVALID_STATE'
        ? 'closed'
        : (codesOfSystem[code ?? ''] ?? 'io');
  const hint = advice[meaning];
  return new StoreError(
    `${path}: ${message ?? String(cause)}${hint ? ` (${hint})` : ''}`,
    { code: meaning, path },
    { cause },
  );
}
