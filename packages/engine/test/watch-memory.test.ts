import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { watchMemory } from '../src/watch-memory.ts';

const skip = existsSync('/proc/self/status') ? false : 'needs /proc';

test('watchMemory ends a process that takes too much, and says so', { skip, timeout: 20_000 }, async () => {
  const hungry = 'const kept = []; setInterval(() => kept.push(Buffer.alloc(5e6, 1)), 5)';
  const child = spawn(process.execPath, ['-e', hungry], { stdio: 'ignore' });
  const watch = watchMemory(child, 150e6);
  const [, signal] = await once(child, 'exit');
  watch.stop();
  assert.equal(signal, 'SIGKILL');
  assert.match(watch.exceeded ?? '', /at most 150000000 are allowed/);
});

test('watchMemory leaves a modest process alone', { skip, timeout: 20_000 }, async () => {
  const child = spawn(process.execPath, ['-e', 'setTimeout(() => 0, 2500)'], { stdio: 'ignore' });
  const watch = watchMemory(child, 2e9);
  const [exitCode] = await once(child, 'exit');
  watch.stop();
  assert.equal(exitCode, 0);
  assert.equal(watch.exceeded, undefined);
});
