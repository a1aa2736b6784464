import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeCbor } from '@murmuration/base';
import { createReplica, type DurableRecord, type Effect, readLedgerEntry } from '@murmuration/protocol';
import { around, type Bus, type BusPeer, createBus, draftOf } from './harness.ts';

interface SaidVote {
  readonly kind: string;
  readonly body: { readonly choice: string; readonly view: number; readonly voter: string };
}

const votesIn = (effects: readonly Effect[]): readonly SaidVote[] =>
  effects
    .flatMap((effect) => (effect.kind === 'publish' ? (decodeCbor(effect.bytes) as Uint8Array[]) : []))
    .map((bytes) => decodeCbor(bytes) as SaidVote)
    .filter(({ kind }) => kind === 'vote');

/** What a restarted peer says that hears nothing of the voter it is connected to, until every timer has fired. */
function afterRestart(bus: Bus, peer: BusPeer, records: readonly DurableRecord[]): readonly SaidVote[] {
  const replica = createReplica(
    { run: bus.run, runId: bus.runId, self: peer.key.peer, role: 'member', wallMs: 0 },
    peer.key.components,
  );
  const effects = replica.handle({ kind: 'start', records, ledger: [], applied: undefined }, 0);
  const other = bus.peers.find(({ key }) => key.peer !== peer.key.peer) as BusPeer;
  effects.push(...replica.handle({ kind: 'connected', peer: other.key.peer }, 0));
  for (let now = 1_000; now <= 40_000; now += 1_000)
    for (const name of ['startup', 'round', 'view', 'propose', 'rebroadcast'])
      effects.push(...replica.handle({ kind: 'timer', name }, now));
  return votesIn(effects);
}

function recordsOfRound(): {
  readonly bus: Bus;
  readonly peer: BusPeer;
  readonly records: readonly DurableRecord[];
} {
  const bus = createBus({ members: 4 });
  bus.round();
  const peer = bus.peers[1] as BusPeer;
  return { bus, peer, records: [...peer.records.values()] };
}
const only = (records: readonly DurableRecord[], ...prefixes: readonly string[]): DurableRecord[] =>
  records.filter(({ key }) => prefixes.some((prefix) => key.startsWith(prefix)));

test('skip is signed when the view timer fires, also after notarizing', () => {
  const { bus, peer, records } = recordsOfRound();
  const said = afterRestart(bus, peer, only(records, 'contribution/', 'vote/0/0/notarize'));
  const choices = new Set(said.filter(({ body }) => body.view === 0).map(({ body }) => body.choice));
  assert.deepEqual(choices, new Set(['notarize', 'skip']));
});

test('skip is never signed for a view in which finalize was signed before a restart (G8)', () => {
  const { bus, peer, records } = recordsOfRound();
  const said = afterRestart(bus, peer, only(records, 'contribution/', 'vote/0/0/'));
  const choices = new Set(said.filter(({ body }) => body.view === 0).map(({ body }) => body.choice));
  assert.deepEqual(choices, new Set(['notarize', 'finalize']));
});

test('start restores a kept block with its notarization, so that the view goes on where it was', () => {
  const { bus, peer, records } = recordsOfRound();
  const replica = createReplica(
    { run: bus.run, runId: bus.runId, self: peer.key.peer, role: 'member', wallMs: 0 },
    peer.key.components,
  );
  const block = peer.effects.find((effect) => effect.kind === 'apply');
  assert.ok(block?.kind === 'apply');
  const { id, height } = block.block;
  const applied = { block: id, height };
  replica.handle({ kind: 'start', records, ledger: [], applied, undoable: [applied] }, 0);
  assert.deepEqual(replica.view.head, applied);
  assert.equal(replica.view.final.height, 0);
  assert.equal(replica.view.view, 1);
});

test('start applies final blocks that the engine lacks, and settles those that it has not settled', () => {
  const { bus, peer, records } = recordsOfRound();
  const replica = createReplica(
    { run: bus.run, runId: bus.runId, self: peer.key.peer, role: 'member', wallMs: 0 },
    peer.key.components,
  );
  const [entry] = peer.ledger;
  assert.ok(entry);
  const effects = replica.handle({ kind: 'start', records, ledger: [entry], applied: undefined }, 0);
  assert.equal(effects.filter(({ kind }) => kind === 'fetch').length, 3);
  assert.equal(replica.view.phase, 'syncing');
  const block = peer.effects.find((effect) => effect.kind === 'apply');
  assert.ok(block?.kind === 'apply');
  const applied = { block: block.block.id, height: 1 };
  const again = createReplica(
    { run: bus.run, runId: bus.runId, self: peer.key.peer, role: 'member', wallMs: 0 },
    peer.key.components,
  );
  const settled = again.handle({ kind: 'start', records, ledger: [entry], applied, undoable: [applied] }, 0);
  assert.deepEqual(
    settled
      .filter(({ kind }) => kind === 'settle')
      .map((effect) => effect.kind === 'settle' && effect.applied),
    [true],
  );
  assert.equal(again.view.final.height, 1);
});

test('contributed brings no second count of work that the state on its way has in it (G4)', () => {
  const isSlow = { value: true };
  const create = around(
    (_, handle) => (event, now) =>
      handle(event, now).filter(({ kind }) => kind !== 'install' || !isSlow.value),
  );
  const bus = createBus({ members: 4, run: { rounds: 60, snapshotEvery: 16 }, create });
  const [peer] = bus.peers as [BusPeer];
  const rounds = (count: number): void => {
    for (let round = 0; round < count; round++) {
      bus.round();
      bus.wait(2_000);
    }
  };
  rounds(1);
  const applied = peer.replica.view.head;
  const draft = draftOf(peer, 77);
  peer.handle({ kind: 'contributed', draft });
  bus.flow();
  bus.drops = (from, to) => from === peer || to === peer;
  rounds(34);
  assert.deepEqual(peer.replica.view.head, applied);
  bus.drops = () => false;
  bus.wait(60_000);
  assert.equal(peer.replica.view.phase, 'syncing');
  const from = peer.effects.length;
  peer.restart({ applied });
  assert.notEqual(peer.replica.view.pending?.blob, draft.blob);
  peer.handle({ kind: 'contributed', draft });
  isSlow.value = false;
  bus.flow();
  bus.wait(20_000);
  const later = peer.effects.slice(from);
  assert.deepEqual(
    later.filter(({ kind }) => kind === 'expire'),
    [],
  );
  const installs = later.flatMap((effect) => (effect.kind === 'install' ? [effect] : []));
  assert.deepEqual(
    installs.map(({ height, own }) => [height, own?.blob]),
    [[32, draft.blob]],
  );
  rounds(1);
  const contributed = peer.ledger.flatMap(({ bytes }) => readLedgerEntry(bytes, bus.runId).contributions);
  assert.equal(contributed.filter(({ blob }) => blob === draft.blob).length, 1);
  assert.equal(peer.replica.view.phase, 'running');
});
