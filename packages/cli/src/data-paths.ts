import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { CliError } from './errors.ts';

/** As the engine reads paths: what has one of these may be a pattern such as `texts/*.md`. */
const patternMarks = /[*?[{]/;

/**
 * The paths of `--data` so that they mean the same in every folder, since a peer remembers them. Throws `CliError`
 * `bad-option` where nothing is.
 */
export function settledDataPaths(paths: readonly string[]): string[] {
  const missing = paths.find((path) => !patternMarks.test(path) && !existsSync(path));
  if (missing !== undefined)
    throw new CliError(`--data: expected a file or a folder, found nothing at ${missing}`, {
      code: 'bad-option',
      path: missing,
    });
  return paths.map((path) => resolve(path));
}
