/** An engine that stops and goes on, gracefully or not, ends with the bits of one that did not stop. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { exampleRun, type RunConfigInput } from '@murmuration/base';
import fc from 'fast-check';
import { type LoadedCheckpoint, openCheckpoints } from '../src/checkpoint.ts';
import { createChildEngine, type ServedCalls } from '../src/child-engine.ts';
import { createSchedule } from '../src/schedule.ts';
import { classifier, writeSamples } from './arrays.ts';
import {
  createSetting,
  french,
  genesis,
  peer,
  type Setting,
  settingOf,
  startEngine,
  temporaryFolder,
} from './setting.ts';

const momentum = { momentum: 0.9, nesterov: true };
const moments = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 };
const optimizers: readonly RunConfigInput['inner']['optimizer'][] = [
  { kind: 'adamw', ...moments },
  { kind: 'sgd', ...momentum },
  { kind: 'muon', ...momentum, ...moments, iterations: 5, rateOfVectors: 0.3 },
];
const base = { base: genesis, baseHeight: 0 };

/** The same engine as in a child process, in this one. */
const openHere = async (
  setting: Setting,
  directory: string,
  data: readonly string[],
): Promise<ServedCalls> => {
  const device = { wish: 'cpu', name: 'cpu', reason: 'as asked for' } as const;
  const init = { ...setting, self: peer(1), directory, data, threads: 1, niceness: 0, device };
  const engine = await createChildEngine(init, createSchedule(), () => undefined);
  engine.open(genesis);
  return engine;
};

const saved = (setting: Setting, directory: string): LoadedCheckpoint => {
  const loaded = openCheckpoints(directory, setting.runId).load();
  assert.ok(loaded);
  return loaded;
};

function assertEqualStates(left: LoadedCheckpoint, right: LoadedCheckpoint): void {
  assert.deepEqual(left.state, right.state);
  assert.equal(left.arrays.length, right.arrays.length);
  left.arrays.forEach((array, index) => {
    const equal = Buffer.from(array).equals(Buffer.from(right.arrays[index] as ArrayBuffer));
    assert.ok(equal, `array ${index} differs`);
  });
}

const inner = (optimizer: RunConfigInput['inner']['optimizer'], accumulate: number) => ({
  ...exampleRun.inner,
  optimizer,
  accumulate,
});

for (const optimizer of optimizers)
  test(`Engine with ${optimizer.kind}, dropout and accumulation that is closed at any step goes on to the bit`, async (t) => {
    const folder = temporaryFolder(t);
    const data = [writeSamples(join(folder, 'samples'), 100)];
    const setting = settingOf(classifier({ dropout: 0.3, normalized: true }), {
      data: { kind: 'arrays' },
      batch: 4,
      inner: inner(optimizer, 3),
    });
    const steps = 12;
    const whole = await openHere(setting, join(folder, 'whole'), data);
    await whole.train({ steps, round: 0 });
    await whole.close();
    const expected = saved(setting, join(folder, 'whole'));
    let count = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 0, max: steps - 1 }), { maxLength: 3 }),
        async (stops) => {
          const directory = join(folder, `${count++}`);
          let done = 0;
          for (const stop of [...stops.toSorted((left, right) => left - right), steps]) {
            const engine = await openHere(setting, directory, data);
            await engine.train({ steps: stop - done, round: 0 });
            await engine.close();
            done = stop;
          }
          assertEqualStates(saved(setting, directory), expected);
        },
      ),
      { numRuns: 8 },
    );
  });

test('Engine that is closed in the middle of an accumulated step goes on to the bit', async (t) => {
  const folder = temporaryFolder(t);
  const run = { inner: inner({ kind: 'adamw', ...moments }, 50) };
  const setting = createSetting({ run });
  const stopped = await openHere(setting, join(folder, 'stopped'), [french]);
  const training = stopped.train({ steps: 1_000, round: 0 });
  await setTimeout(400);
  await stopped.close();
  const { step } = await training;
  const { state } = saved(setting, join(folder, 'stopped'));
  const { collected } = (state as { optimizer: { collected: number } }).optimizer;
  assert.ok(collected > 0 && collected < 50, `${collected}`);
  const steps = step + 2;
  const resumed = await openHere(setting, join(folder, 'stopped'), [french]);
  await resumed.train({ steps: steps - step, round: 0 });
  await resumed.close();
  const whole = await openHere(setting, join(folder, 'whole'), [french]);
  await whole.train({ steps, round: 0 });
  await whole.close();
  assertEqualStates(saved(setting, join(folder, 'stopped')), saved(setting, join(folder, 'whole')));
});

/** Trains, saves, and trains on; is killed in between if asked to. */
async function trainAndSave(
  t: TestContext,
  setting: Setting,
  init: { readonly directory: string; readonly data: readonly string[]; readonly threads: number },
  killed: boolean,
): Promise<void> {
  const first = await startEngine(t, setting, init);
  await first.open(genesis);
  await first.train({ steps: 4, round: 0 });
  await first.encode(base);
  let engine = first;
  if (killed) {
    await first.train({ steps: 3, round: 0 });
    const died = assert.rejects(first.train({ steps: 1_000_000, round: 0 }), { code: 'engine-died' });
    process.kill(first.pid, 'SIGKILL');
    await died;
    engine = await startEngine(t, setting, init);
    const { step } = await engine.open(genesis);
    assert.equal(step, 4);
  }
  await engine.train({ steps: 6, round: 0 });
  await engine.close();
}

for (const optimizer of optimizers)
  test(`Engine with ${optimizer.kind} that is killed after a checkpoint goes on from it to the bit`, async (t) => {
    const folder = temporaryFolder(t);
    const arrays = settingOf(classifier({ dropout: 0.3, normalized: true }), {
      data: { kind: 'arrays' },
      inner: inner(optimizer, 2),
    });
    const samples = [writeSamples(join(folder, 'samples'), 100)];
    const text = createSetting({ run: { inner: inner(optimizer, 2) } });
    for (const [name, setting, data, threads] of [
      ['arrays', arrays, samples, 1],
      ['text', text, [french], 2],
    ] as const) {
      const [killed, whole] = [join(folder, name, 'killed'), join(folder, name, 'whole')];
      await trainAndSave(t, setting, { directory: killed, data, threads }, true);
      await trainAndSave(t, setting, { directory: whole, data, threads }, false);
      assertEqualStates(saved(setting, killed), saved(setting, whole));
    }
  });
