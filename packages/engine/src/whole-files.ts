/** Files that are there whole or not at all. */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { diskError } from './errors.ts';

const temporarySuffix = '.partial';

/** Writes a file durably under another name, then renames it. Throws `EngineError` `disk-full`, `disk`. */
export const writeWholeFile = (path: string, bytes: Uint8Array): void => writeRenamed(path, bytes, fsyncSync);

/** The same, but for somebody else to flush: a file whose name tells what it must hold. */
export const writeFileOnce = (path: string, bytes: Uint8Array): void =>
  writeRenamed(path, bytes, () => undefined);

function writeRenamed(path: string, bytes: Uint8Array, flush: (file: number) => void): void {
  const temporary = `${path}${temporarySuffix}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(temporary, 'w');
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      flush(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw diskError(error, 'write', path);
  }
}

/** Waits until what was written to a file is on the disk. Throws `EngineError` `disk-full`, `disk`. */
export async function flushFile(path: string): Promise<void> {
  try {
    const file = await open(path, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw diskError(error, 'write', path);
  }
}

/** Removes a folder's files that match, but the `kept` given ones, and what a killed process left half-written. */
export function removeFilesBut(directory: string, kept: ReadonlySet<string>, pattern: RegExp): void {
  for (const name of readdirSync(directory)) {
    const whole = basename(name, temporarySuffix);
    if (pattern.test(whole) && !kept.has(name)) rmSync(join(directory, name), { force: true });
  }
}
