import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../scripts/simulate.ts', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'murmuration-resume-'));
const file = join(directory, 'results');
after(() => rmSync(directory, { recursive: true, force: true }));

const simulate = (seeds: string) =>
  spawnSync(
    process.execPath,
    [
      '--conditions=murmuration-source',
      script,
      '--only',
      'calm',
      '--seeds',
      seeds,
      '--resume',
      file,
      '--json',
    ],
    { encoding: 'utf8', timeout: 120_000 },
  );
const linesOf = (): string[] => readFileSync(file, 'utf8').trim().split('\n');

test('simulate --resume runs no task twice, and one again that a crash cut short', () => {
  const first = simulate('0..1');
  assert.equal(first.status, 0, first.stderr);
  const [source = '', ...done] = linesOf();
  assert.match(source, /^\{"source":"[0-9a-f]{64}"\}$/);
  assert.equal(done.length, 2);
  appendFileSync(file, done[0]?.slice(0, 20) ?? '');
  const second = simulate('0..2');
  assert.equal(second.status, 0, second.stderr);
  assert.equal((JSON.parse(second.stdout) as { seeds: number }).seeds, 3);
  assert.deepEqual(linesOf().slice(0, 3), [source, ...done]);
  assert.equal(linesOf().filter((line) => line.includes('"kind":"seed"') && line.endsWith('}')).length, 3);
});

test('simulate --resume refuses the results of another source, and keeps them', () => {
  const other = [JSON.stringify({ source: '0'.repeat(64) }), ...linesOf().slice(1)].join('\n');
  for (const text of [other, linesOf().slice(1).join('\n')]) {
    writeFileSync(file, text);
    const { status, stdout, stderr } = simulate('0..1');
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(
      stderr,
      /expected results of this source \([0-9a-f]{12}\), got those of (0{12}|an unknown one);/,
    );
    assert.equal(readFileSync(file, 'utf8'), text);
  }
});
