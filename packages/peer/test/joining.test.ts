import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Checkpoint, readLedgerEntry } from '@murmuration/protocol';
import { openStore } from '@murmuration/store';
import { createPeer, type Peer, type PeerEvent } from '../src/index.ts';
import { collectEvents, createTinyRun, loopback, type TinyRun } from './tiny-run.ts';

const bounded = { timeout: 240_000 };

/** The newest checkpoint that a running peer could give away. */
function checkpointOf(directory: string, run: TinyRun): Checkpoint {
  const store = openStore({ directory, readOnly: true });
  try {
    const last = store.lastHeight() ?? 0;
    const height = last - (last % 2);
    assert.ok(store.state(height), 'members keep the ledger state of a snapshot height');
    const [entry] = store.entries(height, 1);
    assert.ok(entry);
    return { height, block: readLedgerEntry(entry.bytes, run.runId).id };
  } finally {
    store.close();
  }
}

describe('joining on loopback', () => {
  const runs: TinyRun[] = [];
  const peers: Peer[] = [];
  after(async () => {
    await Promise.all(peers.map((peer) => peer.stop()));
    for (const run of runs) run.remove();
  });

  test(
    'createPeer from a checkpoint needs no older ledger, and contributes soon; a wrong one is an error',
    bounded,
    async ({ signal }) => {
      const run = await createTinyRun({ founders: 2, rounds: 5_000, steps: 120 });
      runs.push(run);
      const founders: Peer[] = [];
      for (const index of [0, 1]) {
        const bootstrap = founders.flatMap((peer) => peer.addresses());
        founders.push(
          await createPeer({
            config: { directory: run.store(index), data: [run.text], ...loopback, bootstrap },
          }),
        );
      }
      peers.push(...founders);
      const [first] = founders as [Peer, Peer];
      const reach = async (round: number): Promise<void> => {
        while (first.status().round < round) await sleep(50, undefined, { signal });
      };
      await reach(9);
      const checkpoint = checkpointOf(run.store(0), run);
      const bootstrap = founders.flatMap((peer) => peer.addresses());
      const directory = join(run.directory, 'newcomer');
      const config = { directory, data: [run.text], ...loopback, bootstrap };
      const { onEvent, events, until } = collectEvents();
      const newcomer = await createPeer({ runId: run.runId, config, checkpoint }, { onEvent });
      peers.push(newcomer);
      await until('installed');
      const own = (event: PeerEvent): boolean => event.kind === 'certified' && event.own;
      while (!events.some(own)) await sleep(50, undefined, { signal });
      assert.equal(newcomer.status().phase, 'running');
      await newcomer.stop();
      const store = openStore({ directory, readOnly: true });
      const begins = store.firstHeight();
      assert.equal(begins, checkpoint.height - 3, 'four entries lead to the checkpoint, none is older');
      assert.ok((store.lastHeight() ?? 0) > checkpoint.height);
      store.close();

      const again = collectEvents();
      const life = await createPeer({ config: { directory, ...loopback, bootstrap } }, again);
      peers.push(life);
      const opened = await again.until('opened');
      assert.ok(opened.kind === 'opened' && opened.head >= checkpoint.height);
      while (!again.events.some(own)) await sleep(50, undefined, { signal });
      await life.stop();

      const other = { ...checkpoint, block: run.runId };
      const wrong = join(run.directory, 'misled');
      const misled = await createPeer(
        { runId: run.runId, config: { ...config, directory: wrong }, checkpoint: other },
        {},
      );
      peers.push(misled);
      await assert.rejects(misled.finished, {
        name: 'PeerError',
        code: 'bad-checkpoint',
        message: new RegExp(`${other.block}.*${checkpoint.block}`),
      });
    },
  );
});
