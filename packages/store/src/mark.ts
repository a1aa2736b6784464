/**
 * Whether a folder is still the one that was written last, or a copy of it, or was put back from a backup: then its
 * votes may not be the newest. Each opening leaves a new small file `mark` with a random number, and notes in the
 * ledger that number, which file it is (inode number, time of its last change) and which file the ledger is (inode
 * number, time of birth). A copy is another file; a ledger put back in place knows an older mark; a mark put back has
 * another time. A key beside a new ledger has lost the old one, and counts as put back, too.
 *
 * What this takes for a copy is at worst a new vote key too many: `chmod` or a hard link is enough. Two things escape
 * it: a snapshot of the whole disk that is put back, and file systems without lasting inode numbers, where only the
 * random number is compared. The protocol notices those when it hears votes of its own that it does not know.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from './database.ts';
import { markBytesMax } from './defaults.ts';
import { writeFileDurably } from './durable-file.ts';
import { StoreError } from './errors.ts';
import { factOf, putFact } from './ledger.ts';

/** Linux' numbers of file systems that make inode numbers up at each mount: FAT, exFAT, FUSE, 9p. */
const madeUpInodes: readonly number[] = [0x4d44, 0x2011bab0, 0x65735546, 0x01021997];

const pathOf = (directory: string): string => join(directory, 'mark');

function numberIn(directory: string): string | undefined {
  const path = pathOf(directory);
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return size > 0 && size <= markBytesMax ? readFileSync(path, 'utf8').trim() : undefined;
}

/** The mark as it lies there, and the files that it and the ledger are; `undefined` without a mark. */
function describe(directory: string): string | undefined {
  const number = numberIn(directory);
  if (number === undefined) return undefined;
  if (madeUpInodes.includes(statfsSync(directory).type)) return number;
  const mark = statSync(pathOf(directory), { bigint: true });
  const ledger = statSync(join(directory, 'ledger.sqlite'), { bigint: true });
  return [number, mark.ino, mark.ctimeNs, ledger.ino, ledger.birthtimeNs].join(' ');
}

/**
 * Whether the folder may be a copy. One that was never marked (new, or of an earlier release) is taken for the
 * original.
 */
export function isCopy(directory: string, database: Database): boolean {
  const known = factOf(database, 'mark');
  if (known === undefined || describe(directory) === known) return false;
  return numberIn(directory) !== factOf(database, 'marking');
}

/** A ledger that began beside an older key: its folder counts as a copy until it is marked with a new vote key. */
export function markLost(database: Database): void {
  database.atomically(() => {
    putFact(database, 'marking', 'lost');
    putFact(database, 'mark', 'lost');
  });
}

/**
 * Marks the folder anew. The number is in the ledger first, so that a crash in between is not mistaken for a copy.
 * Where there is no room for a new mark, the old one stays good.
 */
export function markFolder(directory: string, database: Database): void {
  const number = randomBytes(16).toString('hex');
  try {
    putFact(database, 'marking', number);
    writeFileDurably(pathOf(directory), `${number}\n`);
    database.atomically(() => {
      putFact(database, 'mark', describe(directory) as string);
      putFact(database, 'marking', '');
    });
  } catch (error) {
    const isFull = error instanceof StoreError && (error.code === 'disk-full' || error.code === 'no-access');
    if (!isFull) throw error;
  }
}
