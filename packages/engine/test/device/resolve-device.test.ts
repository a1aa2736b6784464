import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TrialResult } from '../../src/device/devices.ts';
import { type DeviceFacts, resolveDevice } from '../../src/device/resolve-device.ts';

/** A machine whose devices do as the table says; what it lacks is not offered. */
function machine(
  results: Readonly<Record<string, TrialResult>>,
  hasGraphics = true,
): DeviceFacts & { readonly attempts: string[] } {
  const attempts: string[] = [];
  return {
    backends: ['cpu', ...Object.keys(results)],
    hasGraphics,
    attempts,
    async attempt(device) {
      attempts.push(device);
      return results[device] as TrialResult;
    },
  };
}

const ran = (speed: number): TrialResult => ({ kind: 'ran', speed });
const failed = (reason: string): TrialResult => ({ kind: 'failed', reason });

test('resolveDevice auto takes the first that starts and is faster than the CPU, and says why', async () => {
  const facts = machine({ webgpu: ran(20), cuda: failed('no\n  library'), coreml: ran(0.5) });
  assert.deepEqual(await resolveDevice('auto', facts), {
    wish: 'auto',
    name: 'webgpu',
    reason:
      'webgpu multiplies matrices at 20.0 times the speed of the CPU; cuda does not start: no library; ' +
      'coreml multiplies matrices at 0.50 times the speed of the CPU',
  });
  assert.deepEqual(facts.attempts, ['cuda', 'coreml', 'webgpu']);
  const nvidia = machine({ webgpu: ran(20), cuda: ran(30) });
  assert.equal((await resolveDevice('auto', nvidia)).name, 'cuda');
  assert.deepEqual(nvidia.attempts, ['cuda']);
});

test('resolveDevice auto stays on the CPU where a driver only imitates, and tries nothing where there is none', async () => {
  const imitated = await resolveDevice('auto', machine({ webgpu: ran(0.02) }));
  assert.deepEqual([imitated.name, imitated.reason.includes('0.02 times')], ['cpu', true]);
  const bare = machine({ webgpu: ran(20) }, false);
  assert.deepEqual(await resolveDevice('auto', bare), {
    wish: 'auto',
    name: 'cpu',
    reason: 'this machine shows no graphics device',
  });
  assert.deepEqual(bare.attempts, []);
  assert.equal((await resolveDevice('auto', machine({}))).name, 'cpu');
});

test('resolveDevice takes the device that is asked for if it starts, however slow', async () => {
  const facts = machine({ webgpu: ran(0.02) }, false);
  assert.deepEqual(await resolveDevice('webgpu', facts), {
    wish: 'webgpu',
    name: 'webgpu',
    reason: 'as asked for',
  });
});

test('resolveDevice makes the CPU of what is not offered or does not start, in one line', async () => {
  const facts = machine({ webgpu: failed(`${'No adapter\n'.repeat(100)}`) });
  const [missing, broken] = [await resolveDevice('dml', facts), await resolveDevice('webgpu', facts)];
  assert.deepEqual(missing, {
    wish: 'dml',
    name: 'cpu',
    reason: 'onnxruntime has no dml on this system, only cpu, webgpu',
  });
  assert.equal(broken.name, 'cpu');
  assert.match(broken.reason, /^webgpu does not start: No adapter/);
  assert.ok(broken.reason.length < 400 && !broken.reason.includes('\n'));
});

test('resolveDevice tries a real device in a process of its own', async () => {
  const before = process.env.VK_DRIVER_FILES;
  process.env.VK_DRIVER_FILES = '/nowhere.json';
  try {
    for (const wish of ['cuda', 'webgpu', 'dml', 'coreml', 'cpu'] as const) {
      const choice = await resolveDevice(wish);
      assert.equal(choice.wish, wish);
      assert.ok(choice.reason.length > 5);
      if (process.platform === 'linux') assert.equal(choice.name === 'cpu' || wish === 'cuda', true);
    }
  } finally {
    if (before === undefined) delete process.env.VK_DRIVER_FILES;
    else process.env.VK_DRIVER_FILES = before;
  }
});

test('resolveDevice cuts the reason of a driver that says much behind a word', async () => {
  const facts = machine({ webgpu: failed('No supported adapters. '.repeat(50)) });
  const { reason } = await resolveDevice('webgpu', facts);
  assert.match(reason, /^webgpu does not start: (No supported adapters\. )+(No |No supported )?…$/);
  assert.ok(reason.length < 400);
});
