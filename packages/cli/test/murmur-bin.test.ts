import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

/** The command's entry in a folder of its own, with this as `dist/main.js`. */
function entryWith(context: TestContext, main?: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'murmuration-cli-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  mkdirSync(join(folder, 'bin'));
  mkdirSync(join(folder, 'dist'));
  const entry = join(folder, 'bin', 'murmur.js');
  cpSync(join(import.meta.dirname, '../bin/murmur.js'), entry);
  if (main !== undefined) writeFileSync(join(folder, 'dist', 'main.js'), main);
  return entry;
}

const run = (...args: string[]) => spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 120_000 });

/** Makes the running Node say that it is another version, before the entry is loaded. */
const asNode = (version: string): string =>
  `--import=data:text/javascript,${encodeURIComponent(
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`,
  )}`;

const printing = `export const main = async (argv) => { console.log(JSON.stringify(argv)); return argv.length; };`;

test('murmur refuses an old Node before it loads anything, and says what to do', (context) => {
  const entry = entryWith(context, 'this is no JavaScript');
  for (const version of ['18.20.0', '20.19.4', '22.12.0']) {
    const { status, stderr } = run(asNode(version), entry);
    assert.equal(status, 1);
    assert.ok(stderr.includes('needs Node 22.13 or newer') && stderr.includes(version), stderr);
    assert.match(stderr, /npm install/);
    assert.doesNotMatch(stderr, /SyntaxError/);
  }
});

test('murmur hands its arguments to main and exits with what main says', (context) => {
  const entry = entryWith(context, printing);
  for (const version of ['22.13.0', '24.0.0', '30.1.0']) {
    const { status, stdout, stderr } = run(asNode(version), entry, 'log', '--json');
    assert.deepEqual([status, stdout, stderr], [2, '["log","--json"]\n', '']);
  }
});

test('murmur ends soon after main even if something still holds the process', (context) => {
  const entry = entryWith(context, `setInterval(() => {}, 1_000); export const main = async () => 3;`);
  const started = performance.now();
  assert.equal(run(entry).status, 3);
  assert.ok(performance.now() - started < 60_000);
});

test('murmur keeps silent about SQLite being experimental, and about nothing else', (context) => {
  const warn = `process.emitWarning('SQLite is an experimental feature and might change at any time', 'ExperimentalWarning');
    process.emitWarning('something else');
    export const main = async () => 0;`;
  const { stderr } = run(entryWith(context, warn));
  assert.match(stderr, /something else/);
  assert.doesNotMatch(stderr, /SQLite/);
});

test('murmur says so when it is not built, and shows any other error as it is', (context) => {
  const missing = run(entryWith(context));
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /npm run build/);
  const broken = run(entryWith(context, `import 'no-such-package';`));
  assert.equal(broken.status, 1);
  assert.match(broken.stderr, /no-such-package/);
  assert.doesNotMatch(broken.stderr, /npm run build/);
});
