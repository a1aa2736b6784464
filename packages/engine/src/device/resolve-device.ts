/**
 * Which device an engine trains on. A device counts when onnxruntime has its backend and a process of its own got the
 * right products of matrices from it; `auto` also wants them faster than the CPU's, which a driver that only imitates a
 * graphics processor is not.
 */
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { listSupportedBackends } from 'onnxruntime-node';
import { childOptions } from '../child-options.ts';
import { deviceSpeedMin, trialSizes, trialTimeoutMs } from '../defaults.ts';
import {
  type AcceleratorName,
  acceleratorNames,
  type DeviceChoice,
  type DeviceWish,
  oneLine,
  type TrialResult,
} from './devices.ts';

/** What a choice depends on. */
export interface DeviceFacts {
  /** Names of the backends that onnxruntime was built with. */
  readonly backends: readonly string[];
  /** Whether the system shows any graphics device at all. */
  readonly hasGraphics: boolean;
  /** Tries a device in a process of its own with matrices of so many rows. */
  attempt(device: AcceleratorName, size: number): Promise<TrialResult>;
}

/** Device files of graphics processors on Linux: the kernel's renderers, Nvidia's, those of WSL. */
const graphicsPaths = ['/dev/dri', '/dev/nvidia0', '/dev/dxg'];

function attempt(device: AcceleratorName, size: number): Promise<TrialResult> {
  const entry = new URL(
    import.meta.url.endsWith('.ts') ? './trial-child.ts' : './trial-child.js',
    import.meta.url,
  );
  return new Promise((resolve) => {
    const child = fork(fileURLToPath(entry), [device, String(size)], {
      execArgv: childOptions(process.execArgv),
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const kill = (): void => void child.kill('SIGKILL');
    const timer = setTimeout(kill, trialTimeoutMs);
    process.once('exit', kill);
    child.once('message', (result) => resolve(result as TrialResult));
    child.once('error', ({ message }) => resolve({ kind: 'failed', reason: message }));
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      process.off('exit', kill);
      resolve({ kind: 'failed', reason: `its process ended (${signal ?? `exit code ${code}`})` });
    });
  });
}

/** The facts of this machine. */
const factsHere = (): DeviceFacts => ({
  backends: listSupportedBackends().map(({ name }) => name),
  hasGraphics: process.platform !== 'linux' || graphicsPaths.some((path) => existsSync(path)),
  attempt,
});

async function best(facts: DeviceFacts): Promise<DeviceChoice> {
  const offered = acceleratorNames.filter((name) => facts.backends.includes(name));
  const refused: string[] = [];
  if (offered.length > 0 && !facts.hasGraphics) refused.push('this machine shows no graphics device');
  for (const name of facts.hasGraphics ? offered : []) {
    const result = await facts.attempt(name, trialSizes.speed);
    if (result.kind === 'failed') refused.push(`${name} does not start: ${oneLine(result.reason)}`);
    else if (result.speed < deviceSpeedMin)
      refused.push(`${name} multiplies matrices at ${result.speed.toFixed(2)} times the speed of the CPU`);
    else {
      const speed = `${name} multiplies matrices at ${result.speed.toFixed(1)} times the speed of the CPU`;
      return { wish: 'auto', name, reason: [speed, ...refused].join('; ') };
    }
  }
  const none = `onnxruntime has no other backend on this system`;
  return { wish: 'auto', name: 'cpu', reason: refused.join('; ') || none };
}

/** Finds the device for a wish; never fails: what does not work becomes the CPU, with the reason. */
export async function resolveDevice(
  wish: DeviceWish,
  facts: DeviceFacts = factsHere(),
): Promise<DeviceChoice> {
  if (wish === 'cpu') return { wish, name: 'cpu', reason: 'as asked for' };
  if (wish === 'auto') return best(facts);
  if (!facts.backends.includes(wish))
    return {
      wish,
      name: 'cpu',
      reason: `onnxruntime has no ${wish} on this system, only ${facts.backends.join(', ')}`,
    };
  const result = await facts.attempt(wish, trialSizes.start);
  return result.kind === 'failed'
    ? { wish, name: 'cpu', reason: `${wish} does not start: ${oneLine(result.reason)}` }
    : { wish, name: wish, reason: 'as asked for' };
}
