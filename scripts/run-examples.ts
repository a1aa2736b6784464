/**
 * Runs every TypeScript example of the packages' READMEs, each as a module of its own in an empty folder. An example
 * that only sketches (its values come from elsewhere) is fenced as `ts sketch` and left out.
 *
 *     node scripts/run-examples.ts
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const timeoutMs = 60_000;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Inside `node_modules`, so that packages are found and git ignores what an example leaves. */
const cache = join(root, 'node_modules', '.cache');
mkdirSync(cache, { recursive: true });

/** What an example says when it fails, or undefined. */
function failureOf(code: string): string | undefined {
  const folder = mkdtempSync(join(cache, 'example-'));
  try {
    const { status, stderr, error } = spawnSync(
      process.execPath,
      [
        '--conditions=murmuration-source',
        '--disable-warning=ExperimentalWarning',
        '--input-type=module-typescript',
      ],
      { cwd: folder, input: code, encoding: 'utf8', timeout: timeoutMs },
    );
    return status === 0 ? undefined : (error?.message ?? stderr);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

let examples = 0;
let failures = 0;
for (const name of readdirSync(join(root, 'packages')).filter((entry) => !entry.endsWith('.md'))) {
  const readme = readFileSync(join(root, 'packages', name, 'README.md'), 'utf8');
  for (const [, code = ''] of readme.matchAll(/^```ts\n(.*?)^```$/gms)) {
    examples++;
    const failure = failureOf(code);
    if (failure === undefined) continue;
    failures++;
    console.error(
      `packages/${name}/README.md: the example that begins with\n${code.split('\n')[0]}\n${failure}`,
    );
  }
}
console.log(`${examples - failures} of ${examples} examples run`);
process.exitCode = failures === 0 ? 0 : 1;
