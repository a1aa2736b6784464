import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processUsing } from '@murmuration/store';
import { CliError } from '../errors.ts';
import { languages } from './defaults.ts';

/** Where the demo keeps what. */
export interface DemoFolder {
  /** One folder of text per language. */
  readonly texts: string;
  textOf(language: string): string;
  storeOf(language: string): string;
}

const marker = '.murmuration-demo';

const refuse = (directory: string, problem: string): never => {
  throw new CliError(`${directory} ${problem}: choose another with --directory`, {
    code: 'store-exists',
    directory,
  });
};

/** Makes the folder, without peers; only one that an earlier demo made is emptied. Throws `CliError` `store-exists`. */
export function prepareFolder(directory: string): DemoFolder {
  const texts = join(directory, 'text');
  const stores = join(directory, 'peers');
  const storeOf = (language: string): string => join(stores, language);
  if (existsSync(directory) && !existsSync(join(directory, marker)))
    refuse(directory, 'exists and was not made by a demo');
  for (const language of [...languages.founders, languages.late]) {
    const pid = processUsing(storeOf(language));
    if (pid !== undefined) refuse(directory, `belongs to a demo that runs already (process ${pid})`);
  }
  rmSync(stores, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, marker), '');
  return { texts, textOf: (language) => join(texts, language), storeOf };
}
