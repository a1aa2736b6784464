import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openStore } from '@murmuration/store';
import { createPeer, type Peer, type PeerEvent } from '../src/index.ts';
import { collectEvents, createTinyRun, loopback } from './tiny-run.ts';

const bounded = { timeout: 240_000 };

test(
  'createPeer renews the vote key of a copied folder before it votes, and goes on (G5, G8)',
  bounded,
  async () => {
    const run = await createTinyRun({ rounds: 400 });
    const peers: Peer[] = [];
    after(async () => {
      await Promise.all(peers.map((peer) => peer.stop()));
      run.remove();
    });
    /** Starts a peer from a folder, lets it certify two more rounds and stops it. */
    async function live(directory: string): Promise<readonly PeerEvent[]> {
      const { onEvent, events } = collectEvents();
      const peer = await createPeer({ config: { directory, data: [run.text], ...loopback } }, { onEvent });
      peers.push(peer);
      while (events.filter(({ kind }) => kind === 'certified').length < 3)
        await new Promise((resolve) => setTimeout(resolve, 20));
      await peer.stop();
      return events;
    }
    const generationOf = (directory: string): number => {
      const store = openStore({ directory, readOnly: true });
      const { generation } = store.voteKey;
      store.close();
      return generation;
    };
    const renewals = (events: readonly PeerEvent[]) =>
      events.filter(({ kind }) => kind === 'vote-key-renewed');

    const original = run.store(0);
    assert.deepEqual(renewals(await live(original)), []);
    const copy = join(run.directory, 'copy');
    cpSync(original, copy, { recursive: true, preserveTimestamps: true });

    const first = await live(copy);
    assert.deepEqual(renewals(first), [{ kind: 'vote-key-renewed', reason: 'restored' }]);
    const kinds = first.map(({ kind }) => kind);
    assert.ok(kinds.indexOf('vote-key-renewed') < kinds.indexOf('opened'));
    assert.equal(generationOf(copy), 1);

    assert.deepEqual(renewals(await live(copy)), [], 'the copy is an original of its own now');
    assert.deepEqual(renewals(await live(original)), []);
    assert.equal(generationOf(original), 0);
  },
);
