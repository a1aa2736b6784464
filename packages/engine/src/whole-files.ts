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
import { basename, dirname, join } from 'node:path';
import { diskError } from './errors.ts';

const temporarySuffix = '.partial';

/** Writes a file durably under another name, then renames it. Throws `EngineError` `disk-full`, `disk`. */
export function writeWholeFile(path: string, bytes: Uint8Array): void {
  const temporary = `${path}${temporarySuffix}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(temporary, 'w');
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
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
