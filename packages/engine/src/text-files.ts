/** Text files and folders of them, read as documents. */
import {
  closeSync,
  fstatSync,
  globSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Document } from '@murmuration/data';
import { binaryProbeBytes, folderDepthMax, textBytesMax, textFilesMax } from './defaults.ts';
import { EngineError } from './errors.ts';

const bad = (path: string, problem: string, cause?: unknown): EngineError =>
  new EngineError(`data ${path}: ${problem}`, { code: 'bad-data-path', path }, { cause });

const tooMuch = (fact: string): EngineError =>
  new EngineError(`expected at most ${textFilesMax} files and ${textBytesMax} bytes of text, got ${fact}`, {
    code: 'too-much-text',
  });

/** Hidden entries (`.git`, `.DS_Store`) are no one's training text. */
const isHidden = (name: string): boolean => name.startsWith('.');

function filesIn(folder: string, depth: number, found: string[]): void {
  if (depth > folderDepthMax)
    throw bad(folder, `expected at most ${folderDepthMax} folders within each other`);
  let entries: ReturnType<typeof listFolder>;
  try {
    entries = listFolder(folder);
  } catch (error) {
    throw bad(folder, (error as Error).message, error);
  }
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (isHidden(entry.name)) continue;
    if (entry.isDirectory()) filesIn(path, depth + 1, found);
    else if (entry.isFile() && found.push(path) > textFilesMax)
      throw tooMuch(`more than ${textFilesMax} files`);
  }
}

const listFolder = (folder: string) =>
  readdirSync(folder, { withFileTypes: true }).sort((left, right) => (left.name < right.name ? -1 : 1));

/** The bytes of a text; nothing for a binary file, of which no more than the beginning is read. */
function readText(path: string): Uint8Array | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const probe = new Uint8Array(binaryProbeBytes);
    if (probe.subarray(0, readSync(file, probe, 0, probe.length, 0)).includes(0)) return undefined;
    const { size } = fstatSync(file);
    if (size > textBytesMax) throw tooMuch(`${size} bytes in ${path}`);
    return readFileSync(file);
  } catch (error) {
    throw error instanceof EngineError ? error : bad(path, (error as Error).message, error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** What a path stands for: itself, the files below a folder, or what a pattern such as `texts/*.md` matches. */
function filesOf(path: string): string[] {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats?.isFile()) return [path];
  const found: string[] = [];
  if (stats?.isDirectory()) filesIn(path, 0, found);
  else if (/[*?[{]/.test(path))
    found.push(
      ...globSync(path)
        .filter((match) => statSync(match, { throwIfNoEntry: false })?.isFile())
        .sort(),
    );
  else throw bad(path, 'expected a text file or a folder of text files, found nothing there');
  if (found.length === 0) throw bad(path, 'expected text files, found none');
  return found;
}

/**
 * Reads files and folders (recursively, sorted, without hidden entries; binary files in folders are passed over).
 * Throws `EngineError`: `bad-data-path` for a path that is missing, unreadable or without text, `too-much-text`.
 */
export function readTextFiles(paths: readonly string[]): Document[] {
  const documents = new Map<string, Document>();
  let total = 0;
  for (const path of paths) {
    const files = filesOf(path);
    let texts = 0;
    for (const file of files) {
      const bytes = readText(file);
      if (!bytes) continue;
      if (bytes.length > 0) texts++;
      if (!documents.has(file)) total += bytes.length;
      if (total > textBytesMax) throw tooMuch(`more than ${textBytesMax} bytes`);
      documents.set(file, { name: file, bytes });
      if (documents.size > textFilesMax) throw tooMuch(`more than ${textFilesMax} files`);
    }
    if (texts === 0) throw bad(path, `expected text, but ${files.length} files there are empty or binary`);
  }
  return [...documents.values()];
}
