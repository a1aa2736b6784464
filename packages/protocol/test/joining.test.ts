import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cid, decodeCbor, runDigest } from '@murmuration/base';
import { type Effect, type LedgerEntry, type Report, readLedgerEntry } from '@murmuration/protocol';
import { decodeStatement, encodeMessage, encodeSigned, presenceBody } from '../src/statement.ts';
import { type Bus, type BusPeer, createBus, createKey, tensorsAfter } from './harness.ts';

const first = (bus: Bus): BusPeer => bus.peers[0] as BusPeer;
const reports = (effects: readonly Effect[]): Report[] =>
  effects.flatMap((effect) => (effect.kind === 'report' ? [effect.report] : []));
const kinds = (effects: readonly Effect[]): string[] => effects.map(({ kind }) => kind);

const blockAt = (bus: Bus, height: number): Cid =>
  readLedgerEntry((first(bus).ledger[height - 1] as LedgerEntry).bytes, bus.runId).id;

/** A presence of this peer that claims to be far ahead. */
function claim(bus: Bus, peer: BusPeer, final: number, block: Cid): Uint8Array {
  const presence = {
    peer: peer.key.peer,
    life: Number.MAX_SAFE_INTEGER,
    count: final,
    epoch: 0,
    view: 0,
    head: final,
    final,
    block,
    holds: [],
    opening: null,
  };
  const body = presenceBody(runDigest(bus.runId), presence);
  return encodeMessage([encodeSigned('presence', body, peer.key.components.sign)]);
}

test('one liar that claims a final height that nobody has keeps nobody from contributing (G3)', () => {
  for (const quorum of ['crash', 'byzantine'] as const) {
    const bus = createBus({ members: 4, run: { rounds: 40, quorum, invitationSignatures: 3 } });
    const [honest, , , liar] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer];
    bus.round();
    bus.wait(2_000);
    for (let ahead = 10; ahead < 20; ahead++) {
      const bytes = claim(bus, liar, ahead, bus.runId);
      honest.handle({ kind: 'message', from: liar.key.peer, bytes });
      assert.equal(honest.replica.view.phase, 'running', quorum);
      assert.ok(honest.replica.view.mayContribute, quorum);
    }
    const second = bus.peers[1] as BusPeer;
    honest.handle({ kind: 'message', from: second.key.peer, bytes: claim(bus, second, 20, bus.runId) });
    assert.equal(honest.replica.view.phase, 'syncing', `${quorum}: two of four claim it`);
  }
});

test('a guest waits for the heads of so many voters that one is honest before it contributes', () => {
  const bus = createBus({ members: 4, run: { rounds: 40, quorum: 'byzantine', invitationSignatures: 3 } });
  const heard = new Set<BusPeer>();
  bus.drops = (from, to) => to.key.peer === createKey(33).peer && !heard.has(from);
  const guest = bus.join(33);
  const said: boolean[] = [];
  for (const member of bus.peers.slice(0, 3)) {
    heard.add(member);
    bus.wait(40_000);
    said.push(guest.replica.view.mayContribute);
  }
  assert.deepEqual(said, [false, true, true]);
});

/** Two certified histories of one run: the same founders, other deltas. */
function twoHistories(quorum: 'crash' | 'byzantine'): readonly [Bus, Bus] {
  const options = { members: 4, run: { rounds: 40, quorum, invitationSignatures: 3 } };
  const buses = [createBus(options), createBus(options)] as const;
  for (const [index, bus] of buses.entries())
    for (let round = 0; round < 3; round++) {
      if (index === 1) for (const peer of bus.peers.slice(0, 3)) peer.contribute();
      else for (const peer of bus.peers) peer.contribute();
      bus.flow();
      bus.wait(4_000);
    }
  assert.equal(buses[0].runId, buses[1].runId);
  assert.notEqual(first(buses[0]).replica.view.final.block, first(buses[1]).replica.view.final.block);
  return buses;
}

const presencesOf = ({ effects }: BusPeer): Uint8Array[] =>
  effects.flatMap((effect) => {
    if (effect.kind !== 'publish') return [];
    const statements = (decodeCbor(effect.bytes) as Uint8Array[]).filter(
      (bytes) => decodeStatement(bytes, createKey(1).components.hash).kind === 'presence',
    );
    return statements.length > 0 ? [encodeMessage(statements.slice(-1))] : [];
  });

test('two certified histories are reported with both blocks, and nothing is chosen (G1)', () => {
  const [here, there] = twoHistories('crash');
  const newcomer = here.join(33);
  newcomer.handle({ kind: 'synced', from: first(here).key.peer, entries: first(here).ledger.slice(0, 1) });
  here.flow();
  const ours = blockAt(here, 1);
  const from = first(there).key.peer;
  newcomer.handle({ kind: 'synced', from, entries: first(there).ledger.slice(1) });
  const conflict = reports(newcomer.effects).find(({ kind }) => kind === 'conflict');
  assert.deepEqual(conflict, {
    kind: 'conflict',
    height: 1,
    ours,
    theirs: blockAt(there, 1),
    from: [from],
  });
  assert.equal(newcomer.replica.view.phase, 'conflict');
  assert.equal(newcomer.replica.view.mayContribute, false);
  const settled = newcomer.replica.view.final.height;
  here.wait(60_000);
  assert.equal(newcomer.replica.view.final.height, settled);
  assert.equal(reports(newcomer.effects).filter(({ kind }) => kind === 'conflict').length, 1);
});

test('voters, too many to be all liars, that name another final block are a conflict; one of them is none', () => {
  const [here, there] = twoHistories('byzantine');
  const newcomer = here.join(33);
  newcomer.handle({ kind: 'synced', from: first(here).key.peer, entries: first(here).ledger });
  here.flow();
  assert.equal(newcomer.replica.view.final.height, first(here).ledger.length);
  const [one, two] = there.peers as [BusPeer, BusPeer];
  const hear = (peer: BusPeer): void => {
    const bytes = presencesOf(peer).at(-1) as Uint8Array;
    newcomer.handle({ kind: 'message', from: peer.key.peer, bytes });
  };
  hear(one);
  assert.equal(newcomer.replica.view.phase, 'running');
  hear(two);
  assert.equal(newcomer.replica.view.phase, 'conflict');
  const conflict = reports(newcomer.effects).find((report) => report.kind === 'conflict');
  assert.deepEqual(conflict?.kind === 'conflict' && conflict.from, [one.key.peer, two.key.peer]);
});

/** A run in which so many rounds took a while each. */
function aged(members: number, rounds: number, parameters: number): Bus {
  const initial = { seed: 'test', tensors: createBus().run.initial.tensors, parameters };
  const bus = createBus({ members, run: { rounds: 400, snapshotEvery: 10, initial } });
  for (let round = 0; round < rounds; round++) {
    bus.round();
    bus.wait(300);
  }
  assert.equal(first(bus).replica.view.final.height, rounds);
  return bus;
}

/** Whether entries were stored without being applied: their deltas are not fetched. */
const skips = ({ effects }: BusPeer): boolean =>
  effects.some((effect) => effect.kind === 'settle' && !effect.applied);

test('skipToSnapshot takes deltas or a state, whichever is less to download', () => {
  for (const [parameters, installs] of [
    [1, true],
    [1_000_000, false],
  ] as const) {
    const bus = aged(4, 30, parameters);
    const late = bus.join(33);
    bus.wait(30_000);
    assert.equal(late.replica.view.final.height, 30);
    assert.equal(skips(late), installs, `${parameters} parameters`);
    assert.equal(kinds(late.effects).includes('install'), installs);
    const replayed = late.effects.filter(({ kind }) => kind === 'apply').length;
    assert.equal(replayed, installs ? 0 : 30);
  }
});

test('skipToSnapshot counts what is at hand, and replays no more blocks than is bounded', () => {
  const bus = aged(4, 20, 10_000);
  const { ledger } = first(bus);
  const { tensors } = readLedgerEntry((ledger[19] as LedgerEntry).bytes, bus.runId);
  const from = first(bus).key.peer;
  const catchUp = (index: number, atHand: number, entries: readonly LedgerEntry[]): BusPeer => {
    const peer = bus.join(index);
    peer.restart({ ledger: [], atHand: [{ tensors, bytes: atHand }] });
    peer.handle({ kind: 'synced', from, entries });
    return peer;
  };
  assert.equal(skips(catchUp(33, 0, ledger)), false);
  assert.equal(skips(catchUp(34, 39_000, ledger)), true);
  const long = aged(1, 260, 1_000_000);
  const late = long.join(35);
  late.handle({ kind: 'synced', from, entries: first(long).ledger });
  assert.equal(skips(late), true, 'so many blocks are not replayed');
});

test('a peer that diverged takes a certified state anew and goes on; each round is reported once', () => {
  const bus = createBus({ members: 4, run: { rounds: 60, snapshotEvery: 4 } });
  const ill = bus.peers[2] as BusPeer;
  for (let round = 0; round < 6; round++) bus.round();
  const saw = (): Report | undefined => reports(ill.effects).find(({ kind }) => kind === 'diverged');
  bus.tensorsOf = (peer, execution) =>
    peer === ill && !saw() ? tensorsAfter({ ...execution, parent: bus.runId }) : tensorsAfter(execution);
  for (let round = 0; round < 6; round++) {
    bus.round();
    bus.wait(3_000);
  }
  const diverged = saw();
  assert.ok(diverged?.kind === 'diverged');
  assert.deepEqual([diverged.height, diverged.again], [7, false]);
  assert.notDeepEqual(diverged.expected, diverged.computed);
  const install = ill.effects.find((effect) => effect.kind === 'install');
  assert.equal(install?.kind === 'install' && install.height, 4);
  assert.ok(first(bus).replica.view.final.height >= 12);
  assert.equal(ill.replica.view.phase, 'running');
  assert.equal(ill.replica.view.final.block, first(bus).replica.view.final.block);
  const heights = reports(ill.effects).flatMap((report) =>
    report.kind === 'certified' ? [report.height] : [],
  );
  assert.deepEqual(
    heights,
    heights.map((_, index) => index + 1),
  );
});

test('a second divergence at the same height stops a peer for good', () => {
  const bus = createBus({ members: 4, run: { rounds: 60, snapshotEvery: 4 } });
  const ill = bus.peers[2] as BusPeer;
  for (let round = 0; round < 5; round++) bus.round();
  bus.tensorsOf = (peer, execution) =>
    peer === ill && execution.height === 6
      ? tensorsAfter({ ...execution, parent: bus.runId })
      : tensorsAfter(execution);
  for (let round = 0; round < 3; round++) {
    bus.round();
    bus.wait(10_000);
  }
  const diverged = reports(ill.effects).filter((report) => report.kind === 'diverged');
  assert.deepEqual(
    diverged.map((report) => report.kind === 'diverged' && [report.height, report.again]),
    [
      [6, false],
      [6, true],
    ],
  );
  assert.equal(ill.replica.view.phase, 'diverged');
  assert.ok(first(bus).replica.view.final.height >= 8, 'the others go on');
});

test('a lost delta behind an apply ends in a state taken anew', () => {
  const bus = createBus({ members: 4, run: { rounds: 60, snapshotEvery: 4 } });
  const [, unlucky] = bus.peers as [BusPeer, BusPeer];
  for (let round = 0; round < 6; round++) bus.round();
  const { head } = unlucky.replica.view;
  const from = unlucky.effects.length;
  unlucky.handle({ kind: 'unapplied', block: head.block, height: head.height });
  const install = unlucky.effects.slice(from).find((effect) => effect.kind === 'install');
  assert.equal(install?.kind === 'install' && install.height, 4);
  assert.equal(unlucky.replica.view.mayContribute, false);
  bus.flow();
  bus.wait(5_000);
  assert.equal(unlucky.replica.view.final.block, first(bus).replica.view.final.block);
  bus.round();
  assert.equal(unlucky.replica.view.final.height, 7);
});
