import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const murmur = fileURLToPath(new URL('../packages/cli/bin/murmur.js', import.meta.url));

interface Exit {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], onStart?: (child: ChildProcess) => void): Promise<Exit> {
  const child = spawn(process.execPath, [murmur, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => {
    stdout += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    stderr += data.toString();
  });
  onStart?.(child);
  return new Promise((resolve) => child.once('exit', (code) => resolve({ code, stdout, stderr })));
}

/** Processes whose command line names `folder`. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return Number(pid) !== process.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder);
      } catch {
        return false;
      }
    });
}

describe('murmur demo', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'murmuration-demo-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  test('in short ends with equal roots, a table and exit code 0', { timeout: 240_000 }, async () => {
    const folder = join(directory, 'short');
    const { code, stdout, stderr } = await run(['demo', '--steps', '60', '--directory', folder, '--json']);
    assert.equal(code, 0, stderr);
    const result = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
      equal: boolean;
      roots: Record<string, string>;
      rounds: number;
      bitsPerByte: Record<string, { common: number; solo: number | null }>;
      bytes: { timesSmaller: number };
      killed: { endedEqual: boolean };
      late: { endedEqual: boolean };
      exported: string;
    };
    assert.equal(result.equal, true);
    assert.equal(Object.keys(result.roots).length, 5);
    assert.equal(new Set(Object.values(result.roots)).size, 1);
    assert.equal(result.rounds, 12);
    assert.ok(result.killed.endedEqual && result.late.endedEqual);
    assert.ok(result.bytes.timesSmaller > 100, `${result.bytes.timesSmaller}`);
    for (const { common } of Object.values(result.bitsPerByte))
      assert.ok(common > 0 && common < 8, `${common}`);
    assert.ok(existsSync(result.exported));
    const generated = await run(['generate', '--model', result.exported, '--prompt', 'La ', '--bytes', '20']);
    assert.equal(generated.code, 0, generated.stderr);
    assert.match(generated.stdout, /^La /);
  });

  test('that is terminated leaves no process behind', { timeout: 180_000 }, async () => {
    const folder = join(directory, 'terminated');
    const exit = await run(['demo', '--steps', '60', '--directory', folder], (child) => {
      setTimeout(() => child.kill('SIGTERM'), 8_000);
    });
    assert.equal(exit.code, 143);
    assert.deepEqual(processesOf(folder), []);
  });
});
