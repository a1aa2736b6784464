import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type Block, createAudit } from '@murmuration/protocol';
import { hashBytes, openStore } from '@murmuration/store';
import {
  createPeer,
  type LedgerSource,
  openRemoteLedger,
  openStoredLedger,
  type Peer,
  type PeerConfigInput,
  verifyLedger,
} from '../src/index.ts';
import { collectEvents, createTinyRun, loopback, type TinyRun } from './tiny-run.ts';

const bounded = { timeout: 240_000 };
const rounds = 48;
/** The tiny run's settings and graph are pinned and have 8 kB; a round brings 1 kB. */
const budget = 10_000;
/** Blobs younger than ten minutes may take twice the budget; one round may be on top of it. */
const bytesMax = 2 * budget + 2_000;
/** A contribution may come so many rounds late. */
const recentRounds = 4;

async function blocksOf({ run, runId, entries }: LedgerSource): Promise<Block[]> {
  const audit = createAudit({ run, runId }, { hash: hashBytes, verify: () => true });
  const blocks: Block[] = [];
  for await (const { bytes } of entries()) {
    const { audited, fault } = audit.take(bytes);
    assert.ok(audited, fault?.reason);
    blocks.push(audited.block);
  }
  return blocks;
}

const isKept = async (source: LedgerSource, cid: Block['tensors']): Promise<boolean> =>
  (await source.blob(cid, 2 ** 20)) !== undefined;

describe('createPeer', () => {
  const peers: Peer[] = [];
  const runs: TinyRun[] = [];
  after(async () => {
    await Promise.all(peers.map((peer) => peer.stop()));
    for (const run of runs) run.remove();
  });

  /** A founder that has come to its run's last round and still serves; the bytes of its blobs after each round. */
  const finished = async (config: Partial<PeerConfigInput>) => {
    const run = await createTinyRun({ rounds });
    runs.push(run);
    const { onEvent, until } = collectEvents();
    const bytes: number[] = [];
    const peer = await createPeer(
      { config: { directory: run.store(0), data: [run.text], ...loopback, ...config } },
      {
        onEvent(event) {
          onEvent(event);
          if (event.kind === 'certified') bytes.push(peer.status().blobs.bytes);
        },
      },
    );
    peers.push(peer);
    await until('ended');
    return { run, peer, bytes };
  };

  test(
    'that prunes stays within its budget, and serves the last two snapshots and recent deltas',
    bounded,
    async () => {
      const { run, peer, bytes } = await finished({ blobBytesMax: budget });
      assert.equal(bytes.length, rounds);
      assert.ok(Math.max(...bytes) <= bytesMax, `${Math.max(...bytes)} bytes`);
      assert.equal(peer.status().blobs.bytesMax, budget);
      const source = await openRemoteLedger({ runId: run.runId, peers: peer.addresses() });
      const blocks = await blocksOf(source);
      const snapshots = blocks.filter(({ height }) => height % source.run.snapshotEvery === 0);
      for (const { height, tensors } of snapshots.slice(-2))
        assert.ok(await isKept(source, tensors), `the snapshot of round ${height} is gone`);
      assert.equal(await isKept(source, snapshots.at(-4)?.tensors ?? run.runId), false);
      for (const { height, contributions } of blocks.slice(-recentRounds))
        for (const { blob } of contributions)
          assert.ok(await isKept(source, blob), `the delta of round ${height} is gone`);
      for (const { blob } of blocks[0]?.contributions ?? []) assert.equal(await isKept(source, blob), false);

      const verdict = await verifyLedger(source);
      await source.close();
      assert.deepEqual([verdict.fault, verdict.height], [undefined, rounds]);
      assert.equal(verdict.stateRoot, peer.status().stateRoot);
      const [first] = verdict.replayed;
      assert.deepEqual(verdict.replayed, [
        { from: (first?.base ?? 0) + 1, to: rounds, base: first?.base ?? 0 },
      ]);
      assert.ok((first?.base ?? 0) >= rounds - 2 * source.run.snapshotEvery, `from ${first?.base}`);
    },
  );

  test(
    'that is an archive keeps all, is verified from the first round on, and remains one',
    bounded,
    async () => {
      const { run, peer } = await finished({ blobBytesMax: budget, archive: true });
      assert.equal(peer.status().blobs.bytesMax, null);
      assert.ok(peer.status().blobs.bytes > bytesMax);
      for (const source of [
        await openRemoteLedger({ runId: run.runId, peers: peer.addresses() }),
        await openStoredLedger(run.store(0)),
      ]) {
        const verdict = await verifyLedger(source);
        await source.close();
        assert.deepEqual([verdict.fault, verdict.uncovered], [undefined, 0]);
        assert.deepEqual(verdict.replayed, [{ from: 1, to: rounds, base: 0 }]);
        assert.equal(verdict.stateRoot, peer.status().stateRoot);
      }
      await peer.stop();
      const again = await createPeer({ config: { directory: run.store(0) } });
      peers.push(again);
      assert.equal(again.status().blobs.bytesMax, null);
      const kept = again.status().blobs.bytes;
      await again.stop();
      const store = openStore({ directory: run.store(0), readOnly: true });
      assert.equal(store.blobBytes(), kept);
      store.close();
    },
  );
});

describe('openRemoteLedger', () => {
  test('says that nobody of the run answers', bounded, async () => {
    const run = await createTinyRun();
    const peers = ['/ip4/127.0.0.1/tcp/1'];
    await assert.rejects(openRemoteLedger({ runId: run.runId, peers, connectMs: 300 }), {
      name: 'PeerError',
      code: 'unreachable',
    });
    run.remove();
  });
});
