import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { mutantCases, type Patch, patchesOf, runTask, type TaskResult } from '@murmuration/simulator';

/** Runs one task where the production sources are changed. */
const runPatched = (task: Parameters<typeof runTask>[0], patches: readonly Patch[]): Promise<TaskResult> =>
  new Promise((resolve, reject) => {
    const file = new URL('../../../scripts/patched-worker.ts', import.meta.url);
    const worker = new Worker(file, { workerData: patches });
    worker.on('error', reject);
    worker.on('message', (result: TaskResult) => void worker.terminate().then(() => resolve(result)));
    worker.postMessage(task);
  });

test('mutantCases break every guarantee, each inside the replica too', () => {
  const guarantees = ['G1', 'G2', 'G3', 'G4', 'G5', 'G6', 'G7', 'G8'];
  const patched = mutantCases.filter(({ mutant }) => mutant.patches);
  for (const guarantee of guarantees)
    assert.ok(
      patched.some(({ mutant }) => mutant.breaks === guarantee),
      guarantee,
    );
  assert.ok(mutantCases.length >= 24 && patched.length >= 12);
  assert.equal(new Set(mutantCases.map(({ mutant }) => mutant.name)).size, mutantCases.length);
});

for (const { mutant, plan, seed } of mutantCases)
  test(`simulate catches a broken build by ${mutant.breaks}: ${mutant.name}`, async () => {
    const task = { kind: 'mutant', name: mutant.name, seed: 0 } as const;
    const patches = patchesOf(task);
    const { caughtBy } = patches.length > 0 ? await runPatched(task, patches) : runTask(task);
    assert.equal(caughtBy, `${plan} seed ${seed}`, 'npm run simulator-tables finds the seeds anew');
    assert.deepEqual(runTask({ kind: 'seed', name: plan, seed }).problems, []);
  });

test('a worker on changed sources fails when a change does not fit', async () => {
  const patch = { file: 'protocol/src/roster.ts', find: 'what stands nowhere', replace: '' };
  const task = { kind: 'seed', name: 'calm', seed: 0 } as const;
  await assert.rejects(runPatched(task, [patch]), /expected one place/);
  await assert.rejects(runPatched(task, [{ ...patch, file: 'protocol/src/none.ts' }]), /to be loaded/);
});
