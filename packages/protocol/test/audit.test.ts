import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cidOfDigest, decodeCbor, encodeCbor, type PeerId, runDigest, sha256 } from '@murmuration/base';
import {
  checkShareProof,
  createAudit,
  createShareProver,
  firstEntryOf,
  type LedgerFault,
  openCheckpoint,
} from '@murmuration/protocol';
import fc from 'fast-check';
import { createWalk } from '../src/audit.ts';
import { encodeList, listCid } from '../src/block-record.ts';
import { decodeEntry } from '../src/ledger-entry.ts';
import { nextState, stateRootOf } from '../src/ledger-state.ts';
import { encodeState } from '../src/state-bytes.ts';
import type { BusPeer, Key } from './harness.ts';
import { changeEntry, checkedOnce, forgeEntry, writeLedger } from './ledgers.ts';
import { createWorld, type WorldPeer } from './recovery-world.ts';
import { componentsOf } from './signed-watch.ts';

const ledger = writeLedger();
const { run, runId, entries, keys } = ledger;
const { hash, verify } = checkedOnce((keys[0] as Key).components);
const audit = () => createAudit({ run, runId }, { hash, verify });

function faultOf(changed: readonly Uint8Array[]): LedgerFault | undefined {
  const reading = audit();
  for (const entry of changed) {
    const { fault } = reading.take(entry);
    if (fault) {
      assert.deepEqual(reading.take(entry).fault, fault, 'a fault is for good');
      return fault;
    }
  }
  return undefined;
}

const withEntry = (height: number, entry: Uint8Array): Uint8Array[] =>
  entries.map((own, index) => (index === height - 1 ? entry : own));

/** The entry of a height, its certificate, and the ledger state before it. */
function place(height: number) {
  const walk = createWalk({ run, runId }, { hash, verify });
  for (const entry of entries.slice(0, height - 1)) walk.take(entry);
  const entry = entries[height - 1] as Uint8Array;
  return { entry, parent: walk.tip, ...decodeEntry(entry, runDigest(runId), hash) };
}

describe('createAudit', () => {
  test('follows the ledger of replicas through every change of the roster', () => {
    const reading = audit();
    const changes: string[] = [];
    let tokens = 0;
    for (const entry of entries) {
      const { audited, fault } = reading.take(entry);
      assert.ok(audited, fault?.reason);
      tokens += audited.block.contributions.reduce((sum, contribution) => sum + contribution.tokens, 0);
      assert.equal(audited.tokens, tokens);
      assert.equal(audited.block.execution.inputs.length, audited.block.contributions.length);
      for (const { kind, peer } of audited.changes)
        changes.push(`${kind} ${keys.findIndex((key) => key.peer === peer)}`);
      assert.equal(audited.nextEpoch, changes.length);
    }
    const { view } = (ledger.peers[0] as BusPeer).replica;
    assert.deepEqual(changes, ['leave 2', 'admit 4']);
    assert.equal(reading.uncovered, 0);
    assert.equal(reading.final.tokens, view.tokens);
    assert.deepEqual(reading.final.block.stateRoot, view.final.stateRoot);
    assert.equal(reading.final.block.height, run.rounds);
  });

  test('finds the height of every changed byte', () => {
    fc.assert(
      fc.property(fc.nat(entries.length - 1), fc.nat(), fc.nat(7), (index, at, bit) => {
        const entry = Uint8Array.from(entries[index] as Uint8Array);
        const position = at % entry.length;
        entry[position] = (entry[position] as number) ^ (1 << bit);
        const fault = faultOf(withEntry(index + 1, entry));
        assert.equal(
          fault?.height,
          index + 1,
          fault?.reason ?? `byte ${position} of ${index + 1} went unnoticed`,
        );
      }),
      { numRuns: 200 },
    );
  });

  test('finds a missing entry, two in the wrong order, and one of another run', () => {
    const without = faultOf(entries.filter((_, index) => index !== 6));
    assert.deepEqual(without, { height: 7, reason: 'expected block 7, found block 8' });
    const swapped = [...entries];
    [swapped[3], swapped[4]] = [swapped[4] as Uint8Array, swapped[3] as Uint8Array];
    assert.equal(faultOf(swapped)?.height, 4);
    const other = encodeCbor({ other: 'run' });
    const step = createAudit({ run, runId: cidOfDigest(sha256(other)) }, { hash, verify }).take(
      entries[0] as Uint8Array,
    );
    assert.equal(step.fault?.height, 1);
  });

  test('believes no certificate of fewer than a quorum, of strangers, of another epoch', () => {
    const { entry, parent } = place(3);
    const { voters } = parent.state;
    const byTwo = forgeEntry(ledger, entry, [0, 1], {}, voters);
    assert.deepEqual(faultOf(withEntry(3, byTwo)), {
      height: 3,
      reason: 'certificate with 2 signatures, expected 3',
    });
    const early = forgeEntry(ledger, entry, [0, 1, 2], { view: 90 }, voters);
    assert.deepEqual(faultOf(withEntry(3, early)), {
      height: 3,
      reason: 'certificate of a view before the block',
    });
    const strangers = [0, 1, 2].map((index) => voters[(index + 1) % 4] as PeerId);
    const byOthers = forgeEntry(ledger, entry, [0, 1, 2], {}, strangers);
    assert.deepEqual(faultOf(withEntry(3, byOthers)), {
      height: 3,
      reason: 'certificate with a wrong signature',
    });
    const certificate = (decodeCbor(entries[1] as Uint8Array) as { certificate: unknown }).certificate;
    const foreign = faultOf(
      withEntry(
        3,
        changeEntry(entry, () => ({ certificate })),
      ),
    );
    assert.deepEqual(foreign, { height: 3, reason: 'certificate of another block' });
  });

  test('believes no contribution that its author has not signed, even when a quorum does', () => {
    const { entry, parent, announcements, header } = place(3);
    const [first, ...others] = announcements;
    const statement = decodeCbor(first?.bytes ?? new Uint8Array()) as { signature: Uint8Array };
    const forged = encodeCbor({ ...statement, signature: new Uint8Array(64) });
    const contribution = {
      ...(first as (typeof announcements)[0]).contribution,
      cid: cidOfDigest(sha256(forged), 'dag-cbor'),
    };
    const list = [{ contribution, bytes: forged }, ...others].sort((a, b) =>
      a.contribution.cid < b.contribution.cid ? -1 : 1,
    );
    const bytes = encodeList(list);
    const contributions = list.map((announcement) => announcement.contribution);
    const state = nextState(run, parent.state, 3, contributions, []);
    const root = stateRootOf(header.tensors, state, hash);
    const change = { list: listCid(bytes, hash), listBytes: bytes.length, root };
    const block = forgeEntry(
      ledger,
      entry,
      [0, 1, 2],
      { ...change, announcements: list.map((one) => one.bytes) },
      parent.state.voters,
    );
    const fault = faultOf(withEntry(3, block));
    assert.deepEqual(
      [fault?.height, fault?.reason],
      [3, `contribution of ${contribution.author} with a wrong signature`],
    );
  });

  test('lets a later certificate cover a block, and blames a forged one that none covers', () => {
    const bare = changeEntry(entries[9] as Uint8Array, () => ({ certificate: null }));
    assert.equal(faultOf(withEntry(10, bare)), undefined);
    const { header } = place(10);
    const forged = changeEntry(bare, () => ({
      header: encodeCbor({
        ...header,
        proposer: (keys[1] as Key).peer === header.proposer ? (keys[0] as Key).peer : (keys[1] as Key).peer,
      }),
    }));
    assert.deepEqual(faultOf(withEntry(10, forged)), {
      height: 10,
      reason: 'block 11, which is certified, follows another block',
    });
  });

  test('counts blocks at the end that no certificate covers yet', () => {
    const last = changeEntry(entries.at(-1) as Uint8Array, () => ({ certificate: null }));
    const reading = audit();
    for (const entry of withEntry(entries.length, last)) assert.equal(reading.take(entry).fault, undefined);
    assert.equal(reading.uncovered, 1);
    assert.equal(reading.final.block.height, entries.length - 1);
  });

  test('wants a certificate where an epoch ends', () => {
    const height = entries.findIndex((_, index) => place(index + 1).header.changes.length > 0) + 1;
    const bare = changeEntry(entries[height - 1] as Uint8Array, () => ({ certificate: null }));
    assert.deepEqual(faultOf(withEntry(height, bare)), {
      height,
      reason: `block ${height} ends its epoch without a certificate`,
    });
  });

  test('follows a recovery from its opening to its adoption, and a share over it', () => {
    const world = createWorld({ seed: 'audited', members: 5 });
    const finalOf = ({ replica }: WorldPeer): number => replica?.view.final.height ?? -1;
    for (const peer of world.peers) peer.start();
    world.until('three rounds', () => world.peers.every((peer) => finalOf(peer) >= 3), 30_000);
    for (const index of [2, 3, 4]) world.peers[index]?.kill();
    const [a, , c] = world.peers as [WorldPeer, WorldPeer, WorldPeer];
    const provisional = (): number => a.replica?.view.recovery?.final.height ?? 0;
    world.until('provisional rounds', () => provisional() > finalOf(a) + 3, 180_000);
    const height = provisional();
    c.start();
    world.until('the adoption', () => finalOf(a) > height + 3, 400_000);
    assert.deepEqual(world.problems, []);

    const own = componentsOf(a.id);
    const reading = createAudit(world, own);
    const prover = createShareProver(world, own);
    const entries = a.ledger.map(({ bytes }) => bytes);
    let bySurvivors = 0;
    for (const entry of entries) {
      const { audited, fault } = reading.take(entry);
      assert.equal(fault, undefined);
      if (audited?.signers.length && !audited.isFinal) bySurvivors++;
      assert.equal(prover.take(entry), undefined);
    }
    assert.ok(bySurvivors >= 3, 'what survivors certify is not final by itself');
    assert.equal(reading.final.block.id, a.replica?.view.final.block);
    const share = checkShareProof(prover.prove(c.id), own);
    assert.deepEqual([share.height, share.tokensOfAll], [finalOf(a), a.replica?.view.tokens]);
    const openings = entries.filter((entry) => decodeEntry(entry, runDigest(world.runId), sha256).opening);
    assert.equal(openings.length, 1);
    const bare = entries.map((entry) =>
      entry === openings[0] ? changeEntry(entry, () => ({ opening: null })) : entry,
    );
    const without = createAudit(world, own);
    const fault = bare.map((entry) => without.take(entry).fault).find((found) => found !== undefined);
    assert.equal(fault?.height, entries.indexOf(openings[0] as Uint8Array) + 1);
  });

  test('keeps only the blocks that a contribution may start from', () => {
    const walk = createWalk({ run, runId }, { hash, verify });
    for (const entry of entries) {
      assert.equal(walk.take(entry).fault, undefined);
      let depth = 0;
      for (let at = walk.tip.parent; at; at = at.parent) depth++;
      assert.ok(depth <= run.lateHeights, `${depth} blocks behind block ${walk.tip.block.height}`);
    }
  });

  test('goes on from a checkpoint as from the first block', () => {
    for (const height of [3, 6, 10]) {
      const walk = createWalk({ run, runId }, { hash, verify });
      for (const entry of entries.slice(0, height)) walk.take(entry);
      const checkpoint = { height, block: walk.tip.block.id };
      const first = firstEntryOf(run, checkpoint);
      const around = entries
        .slice(first - 1, height + 8)
        .map((bytes, index) => ({ height: first + index, bytes }));
      const state = encodeState(walk.tip.state);
      const base = openCheckpoint({ run, runId, checkpoint, entries: around, state }, { hash, verify });
      const reading = createAudit({ run, runId, base }, { hash, verify });
      assert.equal(reading.final.block.height, height);
      for (const entry of entries.slice(height)) assert.equal(reading.take(entry).fault, undefined);
      assert.equal(reading.final.block.height, run.rounds);
      const late = createAudit({ run, runId, base }, { hash, verify }).take(
        entries[height + 1] as Uint8Array,
      );
      assert.deepEqual(late.fault, {
        height: height + 1,
        reason: `expected block ${height + 1}, found block ${height + 2}`,
      });
    }
  });

  test('answers arbitrary bytes with a fault', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        assert.equal(audit().take(bytes).fault?.height, 1);
      }),
    );
  });
});
