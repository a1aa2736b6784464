/**
 * The file by which a long suite goes on where it was stopped: one line that names the source its results belong to,
 * then one line of JSON per finished task. Results of another source are not taken over.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TaskResult } from '@murmuration/simulator';

/** What a simulation runs. */
const packages = ['base', 'delta', 'protocol', 'simulator'];
const root = fileURLToPath(new URL('../packages/', import.meta.url));

/** The hash of all that a result depends on: every source file's path and content. */
export function hashSource(): string {
  const files = packages
    .flatMap((name) =>
      readdirSync(join(root, name, 'src'), { recursive: true, encoding: 'utf8' }).map((file) =>
        join(name, 'src', file),
      ),
    )
    .filter((file) => file.endsWith('.ts'))
    .sort();
  const hash = createHash('sha256');
  for (const file of files) {
    const content = readFileSync(join(root, file));
    hash.update(`${file.replaceAll('\\', '/')}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** One line, or nothing where a crash cut it short. */
function parse(line: string): Partial<TaskResult> & { readonly source?: string } {
  try {
    return JSON.parse(line) as Partial<TaskResult>;
  } catch {
    return {};
  }
}

export interface ResumeFile {
  /** What earlier runs of this source finished. */
  readonly results: readonly TaskResult[];
  add(result: TaskResult): void;
}

/** Opens a resume file, and makes it where there is none. Throws when its results are of another source. */
export function openResumeFile(file: string, source: string): ResumeFile {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const [first = '', ...lines] = text.split('\n');
  const found = parse(first).source;
  if (text !== '' && found !== source)
    throw new Error(
      `--resume ${file}: expected results of this source (${source.slice(0, 12)}), got those of ` +
        `${found?.slice(0, 12) ?? 'an unknown one'}; remove the file, or name another`,
    );
  if (text === '') appendFileSync(file, `${JSON.stringify({ source })}\n`);
  else if (!text.endsWith('\n')) appendFileSync(file, '\n');
  return {
    results: lines.map(parse).filter((result): result is TaskResult => result.kind !== undefined),
    add: (result) => appendFileSync(file, `${JSON.stringify(result)}\n`),
  };
}
