/**
 * How a file comes to be: written beside its place under a temporary name, flushed, renamed into place, and the folder
 * flushed. A crash leaves either no file, or the whole one, or a temporary file that the next start removes.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { copyFile, type FileHandle, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { storeErrorOf } from './errors.ts';

/** How the names of files end that are not in place yet. */
export const temporarySuffix = '.tmp';

const canFlushFolders = process.platform !== 'win32';
let temporaryCount = 0;

const temporaryName = (path: string): string =>
  `${path}.${process.pid}.${temporaryCount++}${temporarySuffix}`;

/**
 * Writes and flushes a file under a temporary name beside `path`; the caller renames it. Throws `StoreError`
 * `disk-full`.
 */
export async function stageFile(path: string, bytes: Uint8Array): Promise<string> {
  const temporary = temporaryName(path);
  let file: FileHandle | undefined;
  try {
    file = await open(temporary, 'wx', 0o600);
    await file.writeFile(bytes);
    await file.sync();
    await file.close();
    return temporary;
  } catch (error) {
    await file?.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw storeErrorOf(error, path);
  }
}

/** Copies a file to a temporary name beside `target` (another file system); the caller renames it. */
export async function copyDurably(path: string, target: string): Promise<string> {
  const temporary = temporaryName(target);
  try {
    await copyFile(path, temporary);
    await flushFile(temporary);
    return temporary;
  } catch (error) {
    await rm(temporary, { force: true });
    throw storeErrorOf(error, target);
  }
}

/** Flushes a file that another process wrote. */
export async function flushFile(path: string): Promise<void> {
  const file = await open(path, 'r+').catch((error) => {
    throw storeErrorOf(error, path);
  });
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the names in a folder durable. */
export async function flushFolder(path: string): Promise<void> {
  if (!canFlushFolders) return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Writes a small file whole, readable by its owner only; durable when it returns. */
export function writeFileDurably(path: string, text: string): void {
  const temporary = temporaryName(path);
  try {
    const file = openSync(temporary, 'wx', 0o600);
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    if (!canFlushFolders) return;
    const folder = openSync(dirname(path), 'r');
    fsyncSync(folder);
    closeSync(folder);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw storeErrorOf(error, path);
  }
}
