/**
 * The demo's text: the translated documentation inside the npm package @intlayer/docs, cleaned to prose, one folder
 * per language. A folder appears only when it is complete, and is made once.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CliError } from '../errors.ts';
import { cleanMarkdown, isMostlyAscii, usesLatinScript } from './prose.ts';

/** What a language's folder holds. */
export interface LanguageText {
  /** As in the source package: `fr`, `en-GB`, … */
  readonly language: string;
  readonly folder: string;
  readonly bytes: number;
  readonly lines: number;
}

const sourceName = '@intlayer/docs';
const kinds = ['docs', 'blog', 'frequent_questions', 'legal'] as const;
/** Changes with every change of the cleaning, so that text cleaned otherwise is made again. */
const recipe = 1;
const english = 'en';

interface Stamp {
  readonly made: string;
  readonly languages: Readonly<Record<string, { readonly bytes: number; readonly lines: number }>>;
}

interface Source {
  readonly folder: string;
  readonly version: string;
}

async function findSource(): Promise<Source> {
  let folder: string;
  try {
    folder = dirname(fileURLToPath(import.meta.resolve(sourceName)));
  } catch (cause) {
    throw new CliError(
      `the demo's text comes from the npm package ${sourceName}, which is not installed: run npm install`,
      { code: 'demo-failed', package: sourceName },
      { cause },
    );
  }
  for (; folder !== dirname(folder); folder = dirname(folder)) {
    if (!existsSync(join(folder, 'package.json'))) continue;
    const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
      name?: string;
      version?: string;
    };
    if (manifest.name === sourceName) return { folder, version: manifest.version ?? 'unknown' };
  }
  throw new CliError(`expected a package.json of ${sourceName} above its entry point, found none`, {
    code: 'demo-failed',
    package: sourceName,
  });
}

/** The cleaned lines of one kind of page, page after page by name; no line twice, no line that is in `seen`. */
async function readKind(
  source: Source,
  kind: string,
  language: string,
  keep: (line: string) => boolean,
): Promise<string[]> {
  const folder = join(source.folder, kind, language);
  if (!existsSync(folder)) return [];
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.md')).sort();
  const lines: string[] = [];
  for (const name of names)
    for (const line of cleanMarkdown(await readFile(join(folder, name), 'utf8')))
      if (keep(line)) lines.push(line);
  return lines;
}

async function readEnglish(source: Source): Promise<Set<string>> {
  const lines = await Promise.all(kinds.map((kind) => readKind(source, kind, english, () => true)));
  return new Set(lines.flat());
}

/** Writes one language's text beside its final place, then renames it there. */
async function writeLanguage(
  source: Source,
  language: string,
  englishLines: ReadonlySet<string>,
  folder: string,
): Promise<LanguageText> {
  const seen = new Set<string>();
  const latin = usesLatinScript(language);
  const keep = (line: string): boolean => {
    if (seen.has(line) || (language !== english && englishLines.has(line)) || (!latin && isMostlyAscii(line)))
      return false;
    seen.add(line);
    return true;
  };
  const unfinished = `${folder}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  let bytes = 0;
  for (const kind of kinds) {
    const lines = await readKind(source, kind, language, keep);
    if (lines.length === 0) continue;
    const text = Buffer.from(`${lines.join('\n')}\n`);
    await writeFile(join(unfinished, `${kind}.txt`), text);
    bytes += text.length;
  }
  await rm(folder, { recursive: true, force: true });
  await rename(unfinished, folder);
  return { language, folder, bytes, lines: seen.size };
}

async function readStamp(path: string, made: string): Promise<Stamp> {
  try {
    const stamp = JSON.parse(await readFile(path, 'utf8')) as Partial<Stamp>;
    if (stamp.made === made && stamp.languages) return { made, languages: stamp.languages };
  } catch {
    return { made, languages: {} };
  }
  return { made, languages: {} };
}

async function writeStamp(path: string, stamp: Stamp): Promise<void> {
  await writeFile(`${path}.unfinished`, `${JSON.stringify(stamp, undefined, 2)}\n`);
  await rename(`${path}.unfinished`, path);
}

/**
 * Writes `directory/<language>/*.txt` for each language that is not there yet; returns all of them in the order asked.
 * Lines are unique within a language; none also stands in the English text. Throws `CliError` `bad-option` for a
 * language that the source has not got, `demo-failed` when the source is not installed.
 */
export async function prepareCorpus(
  directory: string,
  languages: readonly string[],
): Promise<LanguageText[]> {
  const source = await findSource();
  const known = (await readdir(join(source.folder, 'blog'))).sort();
  const unknown = languages.find((language) => !known.includes(language));
  if (unknown !== undefined)
    throw new CliError(`expected languages among ${known.join(', ')}, got ${unknown}`, {
      code: 'bad-option',
      language: unknown,
    });
  await mkdir(directory, { recursive: true });
  const stampPath = join(directory, 'corpus.json');
  let stamp = await readStamp(stampPath, `${sourceName}@${source.version} recipe ${recipe}`);
  let englishLines: ReadonlySet<string> | undefined;
  const texts: LanguageText[] = [];
  for (const language of languages) {
    const folder = join(directory, language);
    const done = stamp.languages[language];
    if (done && existsSync(folder)) {
      texts.push({ language, folder, ...done });
      continue;
    }
    englishLines ??= await readEnglish(source);
    const text = await writeLanguage(source, language, englishLines, folder);
    texts.push(text);
    const { bytes, lines } = text;
    stamp = { ...stamp, languages: { ...stamp.languages, [language]: { bytes, lines } } };
    await writeStamp(stampPath, stamp);
  }
  return texts;
}
