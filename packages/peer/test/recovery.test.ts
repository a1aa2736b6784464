import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readLedgerEntry } from '@murmuration/protocol';
import { openStore } from '@murmuration/store';
import { createPeer, openStoredLedger, type Peer, type PeerEvent, verifyLedger } from '../src/index.ts';
import { collectEvents, createTinyRun, loopback, type TinyRun } from './tiny-run.ts';

const bounded = { timeout: 240_000 };

interface Watched {
  readonly peer: Peer;
  readonly events: PeerEvent[];
}

const became =
  (wanted: 'opened' | 'abandoned' | 'adopted') =>
  ({ events }: Watched): boolean =>
    events.some((event) => event.kind === 'recovery' && event.state === wanted);

describe('recoveries on loopback', () => {
  let run: TinyRun;
  const running = new Map<number, Watched>();
  after(async () => {
    await Promise.all([...running.values()].map(({ peer }) => peer.stop()));
    run?.remove();
  });

  /** Starts the peer of a founder that knows these others. */
  async function start(index: number, ...known: readonly Watched[]): Promise<Watched> {
    const { events, onEvent } = collectEvents();
    const bootstrap = known.flatMap(({ peer }) => peer.addresses());
    const config = { directory: run.store(index), data: [run.text], ...loopback, bootstrap };
    const watched = { peer: await createPeer({ config }, { onEvent }), events };
    running.set(index, watched);
    return watched;
  }

  test(
    'createPeer goes on provisionally in both halves of a run without a quorum, and they come to one ledger (G7)',
    bounded,
    async ({ signal }) => {
      run = await createTinyRun({ founders: 4, rounds: 5_000, steps: 8, stallMs: 4_000 });
      const until = async (condition: () => boolean): Promise<void> => {
        while (!condition()) await sleep(50, undefined, { signal });
      };
      const a = await start(0);
      const b = await start(1, a);
      const c = await start(2);
      const d = await start(3, c);
      const all = [a, b, c, d];
      await until(() => all.every(became('opened')));
      await until(() => all.every(({ peer }) => peer.status().head >= 3));
      assert.deepEqual(
        all.map(({ peer }) => peer.status().round),
        [0, 0, 0, 0],
        'what survivors certify is provisional',
      );

      await Promise.all([c.peer.stop(), d.peer.stop()]);
      const [third, fourth] = [await start(2, a), await start(3, a)];
      const together = [a, b, third, fourth];
      await until(() => together.every(({ peer }) => peer.status().round >= 6));
      await until(() => together.some(became('adopted')));
      await until(() => together.every(({ peer }) => peer.status().phase === 'running'));
      await Promise.all(together.map(({ peer }) => peer.stop()));

      const source = await openStoredLedger(run.store(0));
      const verdict = await verifyLedger(source);
      await source.close();
      assert.equal(verdict.fault, undefined);
      const [opening, ...others] = verdict.openings;
      assert.deepEqual([opening?.height, opening?.authority, others.length], [0, 'survivors', 0]);
      const halves = [together.slice(0, 2), together.slice(2)].map((half) =>
        half.map(({ peer }) => peer.id).sort(),
      );
      const kept = halves.findIndex((half) => half.join() === opening?.signers.toSorted().join());
      assert.ok(kept >= 0, `signed by ${opening?.signers.join()}`);
      const given = together.filter(({ peer }) => !opening?.signers.includes(peer.id));
      assert.ok(given.every(became('abandoned')), 'the other half gave up its own recovery');
      const stores = [0, 1, 2, 3].map((index) => openStore({ directory: run.store(index), readOnly: true }));
      const heights = stores.map((store) => store.lastHeight() ?? 0);
      const chains = stores.map((store) =>
        store.entries(1, Math.min(...heights)).map(({ bytes }) => readLedgerEntry(bytes, run.runId).id),
      );
      for (const store of stores) store.close();
      assert.ok(Math.min(...heights) >= 6);
      for (const chain of chains) assert.deepEqual(chain, chains[0]);
    },
  );
});
