import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Cid, cidOf, encodeCbor, exampleRun, parseRunConfig } from '@murmuration/base';
import type { Engine } from '@murmuration/engine';
import { type Network, NetworkError } from '@murmuration/network';
import type { Block, ReplicaEvent } from '@murmuration/protocol';
import { openStore } from '@murmuration/store';
import { EngineDriver } from '../src/engine-driver.ts';
import { EngineLane } from '../src/engine-lane.ts';

const name = (text: string): Cid => cidOf(encodeCbor(text));

function blockOf(height: number, author: Block['proposer'], delta: Cid | undefined): Block {
  const [id, parent] = [name(`block ${height}`), name(`block ${height - 1}`)];
  const inputs = delta
    ? [{ contribution: delta, author, blob: delta, blobBytes: 10, base: parent, norm: 1, clip: 1, weight: 1 }]
    : [];
  const execution = { parent, height, inputs, kappa: 0, outerStep: 1 };
  return {
    ...{ id, height, epoch: 0, view: height, parent, proposer: author, contributions: [] },
    ...{ tensors: id, stateRoot: new Uint8Array(32), execution },
  };
}

test('EngineDriver leaves a block out whose delta is lost, with what follows it, until a state is installed', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'murmuration-driver-'));
  const store = openStore({ directory });
  t.after(() => {
    store.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const { peer } = store.identity;
  const calls: string[] = [];
  const events: ReplicaEvent[] = [];
  const failures: unknown[] = [];
  const note = (call: string) => async (): Promise<never> => {
    calls.push(call);
    return undefined as never;
  };
  const engine = {
    apply: async (block: Cid) => void calls.push(`apply ${block === name('block 1') ? 1 : 'another'}`),
    undo: async (block: Cid) => void calls.push(`undo ${block === name('block 1') ? 1 : 'another'}`),
    settle: note('settle'),
    execute: note('execute'),
    expire: note('expire'),
    snapshot: note('snapshot'),
  } as unknown as Engine;
  const network = {
    fetchBlob: (_: Cid, { signal }: { signal?: AbortSignal }) =>
      new Promise((_resolve, reject) =>
        signal?.addEventListener('abort', () =>
          reject(new NetworkError('nobody has it', { code: 'aborted' })),
        ),
      ),
  } as unknown as Network;
  const lane = new EngineLane((error) => failures.push(error));
  const idle = (): Promise<void> => new Promise((resolve) => lane.enqueue(async () => resolve()));
  const driver = new EngineDriver({
    run: parseRunConfig({ ...exampleRun, snapshotEvery: 100 }),
    engine,
    store,
    network,
    lane,
    catchUp: { install: async () => true } as unknown as ConstructorParameters<
      typeof EngineDriver
    >[0]['catchUp'],
    signal: new AbortController().signal,
    applyLoadMs: 100,
    post: (event) => events.push(event),
    onEvent: () => undefined,
  });
  const [first, second, third] = [
    blockOf(1, peer, undefined),
    blockOf(2, peer, name('a delta that is gone')),
    blockOf(3, peer, undefined),
  ] as const;
  for (const block of [first, second, third]) driver.apply({ kind: 'apply', block, own: undefined });
  driver.execute({ kind: 'execute', request: 7, execution: third.execution });
  await idle();
  assert.deepEqual(calls, ['apply 1']);
  assert.deepEqual(events, [
    { kind: 'unapplied', block: second.id, height: 2 },
    { kind: 'executed', request: 7, tensors: undefined },
  ]);
  for (const { id, height } of [third, second, first]) driver.undo({ kind: 'undo', block: id, height });
  await idle();
  assert.deepEqual(calls, ['apply 1', 'undo 1'], 'only what was applied is undone');
  const install = { kind: 'install', block: first.id, height: 1, tensors: first.id, from: [] } as const;
  driver.install({ ...install, own: undefined });
  driver.apply({ kind: 'apply', block: first, own: undefined });
  await idle();
  assert.deepEqual(calls, ['apply 1', 'undo 1', 'apply 1']);
  assert.deepEqual(failures, []);
});
