/**
 * The path over WebGPU, on a driver that computes on the CPU (scripts/swiftshader.ts fetches it): for correctness; a
 * process of its own runs the suite, because a driver can end its process.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { childOptions } from '../../src/child-options.ts';
import { swiftshader } from './swiftshader.ts';

const timeoutMs = 240_000;

test('WebGPU on SwiftShader computes what the CPU computes', {
  skip: swiftshader ? false : 'no SwiftShader here: node scripts/swiftshader.ts fetches it',
  timeout: timeoutMs + 10_000,
}, async () => {
  const suite = fileURLToPath(new URL('./webgpu-suite.ts', import.meta.url));
  const child = spawn(process.execPath, [...childOptions(process.execArgv), '--test-reporter=tap', suite], {
    env: { ...process.env, ...swiftshader, NODE_TEST_CONTEXT: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const code = await new Promise((resolve) => child.once('close', (exit, signal) => resolve(signal ?? exit)));
  assert.equal(code, 0, output);
  const passed = Number(/^# pass (\d+)$/m.exec(output)?.[1]);
  assert.ok(passed >= 11, output);
});
