import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeCbor, type PeerId, runIdOf } from '@murmuration/base';
import { createOpening, encodeOpening, type Opening, parseOpening, signOpening } from '@murmuration/protocol';
import {
  attemptsAhead,
  attemptsMax,
  messageBytesMax,
  openingPlacesMax,
  openingsMax,
} from '../src/defaults.ts';
import { noteOpening } from '../src/known-openings.ts';
import { genesisState, type LedgerState } from '../src/ledger-state.ts';
import type { Machine } from '../src/machine.ts';
import { fitsOpening, forgedOpening, misplacedOpening, openedRecord } from '../src/opening.ts';
import { createRegular, replicaOf } from '../src/replica.ts';
import { encodeOpeningStatement } from '../src/statement.ts';
import { type BusPeer, createBus, createKey, createRun, type Key, tensorsAfter } from './harness.ts';
import { rekeyOf } from './ledgers.ts';

const membership = { votersMax: 64, earnedAfter: 0, silentAfter: 0, stallMs: 30_000 };
const byPeer = (a: Key, b: Key): number => (a.peer < b.peer ? -1 : 1);
const keys = Array.from({ length: 64 }, (_, index) => createKey(index + 1)).sort(byPeer);
const newKeys = keys.map((_, index) => createKey(index + 100));
const run = createRun(
  keys.map(({ peer }) => peer),
  { rounds: 40, membership },
);
const runId = runIdOf(run);
const machineOf = (key: Key): Machine =>
  createRegular({ run, runId, self: key.peer, role: 'member', wallMs: 0 }, key.components);
const machine = machineOf(keys[0] as Key);
const fork = machine.settled;
const terms = { runId, fork: fork.block.id, height: 0, ...fork.next, attempt: 0 };
const rekey = (index: number, state: Pick<LedgerState, 'members'> = genesisState(run)): Uint8Array =>
  rekeyOf({ run, state }, keys[index] as Key, newKeys[index] as Key);
const rekeys = (count: number): Uint8Array[] => Array.from({ length: count }, (_, index) => rekey(index));
const listed = (count: number): PeerId[] => keys.slice(0, count).map(({ peer }) => peer);
const signedBy = (bytes: Uint8Array, signers: readonly Key[]): Uint8Array =>
  signers.reduce((signed, { peer, components }) => signOpening(signed, peer, components.sign), bytes);
const survivors = (count: number, renewals: readonly Uint8Array[] = [], attempt = 0): Opening =>
  parseOpening(
    createOpening({ ...terms, attempt, listed: listed(count), rekeys: renewals, authority: 'survivors' }),
  );
const problemOf = (opening: Opening): string | undefined =>
  misplacedOpening(opening, fork) ?? forgedOpening(opening, machine.rules);

describe('an opening with new vote keys', () => {
  test('makes the votes of those listed count by them, and leaves other members as they are (G3)', () => {
    const opening = survivors(3, rekeys(2));
    assert.equal(problemOf(opening), undefined);
    const { state } = openedRecord(machine.rules, fork, opening);
    const keyed = state.members.slice(0, 4).map(({ key, renewed }) => [key, renewed]);
    const renewed = [0, 1].map((index) => [newKeys[index]?.peer, 1]);
    const others = [2, 3].map((index) => [keys[index]?.peer, 0]);
    assert.deepEqual(keyed, [...renewed, ...others]);
  });

  test('has a room of places that fits into a message, signed by all (G6)', () => {
    for (const count of [64, 40, 26]) {
      const renewals = Math.min(count, Math.floor((openingPlacesMax - count) / 2));
      assert.ok(fitsOpening(count, renewals));
      const bytes = signedBy(encodeOpening(survivors(count, rekeys(renewals))), keys.slice(0, count));
      const message = encodeCbor([encodeOpeningStatement(parseOpening(bytes))]);
      assert.ok(
        message.length <= messageBytesMax,
        `${count} listed, ${renewals} keys: ${message.length} bytes`,
      );
    }
    assert.throws(() => survivors(64, rekeys(9)), { code: 'bad-opening' });
  });

  test('is refused with a key of nobody listed, of another number, or that its peer has not signed', () => {
    const opening = survivors(3, rekeys(3));
    assert.throws(() => parseOpening(encodeOpening({ ...opening, rekeys: [...opening.rekeys].reverse() })), {
      code: 'bad-opening',
    });
    assert.throws(() => parseOpening(encodeOpening({ ...opening, listed: listed(2) })), {
      code: 'bad-opening',
    });
    const later = { members: genesisState(run).members.map((member) => ({ ...member, renewed: 1 })) };
    assert.match(problemOf(survivors(3, [rekey(0, later)])) ?? '', /rekey number 2, expected 1/);
    const other = createKey(99);
    const forged = rekeyOf(
      { run, state: genesisState(run) },
      { peer: (keys[0] as Key).peer, components: other.components },
      newKeys[0] as Key,
    );
    assert.match(problemOf(survivors(3, [forged])) ?? '', /rekey with a wrong signature/);
  });

  test('has another name than one without, and its signatures hold for it alone', () => {
    const plain = signedBy(encodeOpening(survivors(2)), keys.slice(0, 2));
    const { signatures } = parseOpening(plain);
    const withKey = { ...survivors(2, rekeys(1)), signatures };
    assert.equal(problemOf(parseOpening(plain)), undefined);
    assert.match(problemOf(withKey) ?? '', /wrong signature/);
  });
});

test('noteOpening keeps the highest attempts of survivors, so that another one always has room (G3, G6)', () => {
  const watcher = machineOf(keys[0] as Key);
  for (let attempt = 0; attempt < 3 * openingsMax; attempt++) {
    const bytes = signedBy(encodeOpening(survivors(3, [], attempt)), [keys[1] as Key]);
    assert.ok(noteOpening(watcher, parseOpening(bytes)), `attempt ${attempt}`);
  }
  const attempts = [...watcher.openings.values()].map(({ attempt }) => attempt);
  assert.deepEqual(
    attempts,
    Array.from({ length: openingsMax }, (_, index) => 2 * openingsMax + index),
  );
  assert.equal(noteOpening(watcher, survivors(2, [], 3)), false, 'an old attempt is not kept');
});

/** Four founders of a `byzantine` run, of which the last two are gone after three rounds. */
function createStalled() {
  const bus = createBus({
    members: 4,
    run: { rounds: 40, quorum: 'byzantine', membership: { ...membership, stallMs: 0 } },
    create: (init, components) => replicaOf(createRegular(init, components)),
  });
  const rounds = (count: number): void => {
    for (let round = 0; round < count; round++) {
      bus.round();
      bus.wait(2_000);
    }
  };
  rounds(3);
  const peers = bus.peers as readonly BusPeer[] as readonly [BusPeer, BusPeer, BusPeer, BusPeer];
  const [a, , c, d] = peers;
  const gone = new Set([c, d]);
  bus.drops = (from, to) => gone.has(from) || gone.has(to);
  rounds(3);
  const { final, opens } = a.replica.view;
  const at = { runId: bus.runId, fork: final.block, height: final.height, ...opens };
  const open = (attempt: number, who: readonly PeerId[], signers: readonly number[]): Uint8Array =>
    signedBy(
      createOpening({ ...at, attempt, listed: who, authority: 'founders' }),
      signers.map((index) => (peers[index] as BusPeer).key),
    );
  return { bus, rounds, open, height: final.height, peers };
}

test('a founder who floods its own openings keeps nobody from reopening the run (G3)', () => {
  const { bus, rounds, open, height, peers } = createStalled();
  const [a, b, , d] = peers;
  for (let attempt = 1; attempt <= 3 * openingsMax; attempt++) {
    const bytes = encodeCbor([encodeOpeningStatement(parseOpening(open(attempt, [d.key.peer], [3])))]);
    for (const peer of [a, b]) {
      const [verdict] = peer.handle({ kind: 'message', from: d.key.peer, bytes });
      assert.deepEqual(verdict, {
        kind: 'verdict',
        verdict: 'ignore',
        reason: 'opening that founders have not completed',
      });
    }
  }
  a.handle({ kind: 'opening', opening: open(0, [a.key.peer, b.key.peer], [0, 1, 2]) });
  bus.flow();
  bus.wait(60_000);
  rounds(3);
  for (const peer of [a, b]) assert.ok(peer.replica.view.final.height > height + 2);
});

test('a founders’ opening that the run has overtaken is reported, one that it went on by is not', () => {
  const { bus, rounds, open, height, peers } = createStalled();
  const [a, b, c, d] = peers;
  const overtaken = open(0, [a.key.peer, b.key.peer], [0, 1, 2]);
  const states = (peer: BusPeer): string[] =>
    peer.effects.flatMap((effect) =>
      effect.kind === 'report' && effect.report.kind === 'recovery' ? [effect.report.state] : [],
    );
  bus.drops = () => false;
  for (const peer of [c, d])
    for (const other of peers) peer.handle({ kind: 'connected', peer: other.key.peer });
  bus.wait(30_000);
  rounds(3);
  assert.ok(a.replica.view.final.height > height);
  a.handle({ kind: 'opening', opening: overtaken });
  assert.deepEqual(states(a), ['overtaken']);
  const { final, opens, members } = a.replica.view;
  const at = { runId: bus.runId, fork: final.block, height: final.height, ...opens };
  const again = signedBy(
    createOpening({ ...at, attempt: 0, listed: members, authority: 'founders' }),
    peers.slice(0, 3).map(({ key }) => key),
  );
  a.handle({ kind: 'opening', opening: again });
  bus.flow();
  rounds(3);
  assert.ok(a.replica.view.final.height > final.height);
  a.handle({ kind: 'opening', opening: again });
  assert.deepEqual(states(a), ['overtaken', 'reopened']);
});

test('who computed a block as a member computes it again when an opening made it a guest’s (G2)', () => {
  const bus = createBus({
    members: 4,
    run: { rounds: 40, quorum: 'byzantine', membership: { ...membership, stallMs: 0 } },
  });
  const [a, b, c, d] = bus.peers as readonly BusPeer[] as readonly [BusPeer, BusPeer, BusPeer, BusPeer];
  const executed = new Set<BusPeer>();
  bus.tensorsOf = (peer, execution) => {
    executed.add(peer);
    bus.drops = (from, to) => [a, b].includes(from) !== [a, b].includes(to);
    return tensorsAfter(execution);
  };
  bus.round();
  bus.wait(30_000);
  assert.deepEqual([executed.size, a.replica.view.final.height], [4, 0]);
  const { final, opens } = a.replica.view;
  const at = { runId: bus.runId, fork: final.block, height: 0, ...opens, attempt: 0 };
  const opening = signedBy(
    createOpening({ ...at, listed: [a.key.peer, b.key.peer], authority: 'founders' }),
    [a, b, c].map(({ key }) => key),
  );
  a.handle({ kind: 'opening', opening });
  bus.wait(10_000);
  assert.equal(a.replica.view.final.height, 1);
  bus.drops = () => false;
  bus.tensorsOf = (_, execution) => tensorsAfter(execution);
  bus.wait(60_000);
  for (const peer of bus.peers) {
    assert.equal(peer.replica.view.final.height, 1);
    assert.ok(!peer.effects.some((effect) => effect.kind === 'report' && effect.report.kind === 'diverged'));
  }
  assert.equal(d.replica.view.role, 'guest');
});

/**
 * Seven founders of a `crash` run of whom two go on; a third shows itself, hears nothing, and has signed one opening of
 * itself and somebody who is gone, of this attempt.
 */
function createSurvivors(attempt: number, isThere: boolean) {
  const machines: Machine[] = [];
  const bus = createBus({
    members: 7,
    run: { rounds: 40, membership },
    create(init, components) {
      const made = createRegular(init, components);
      machines.push(made);
      return replicaOf(made);
    },
  });
  bus.round();
  const [a, b, liar, absent] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer];
  const gone = new Set<BusPeer>(bus.peers.slice(isThere ? 3 : 2));
  bus.drops = (from, to) => gone.has(from) || gone.has(to) || to === liar;
  const { block, next } = (machines[0] as Machine).settled;
  const both = [liar.key.peer, absent.key.peer];
  const at = { runId: bus.runId, fork: block.id, height: block.height, ...next };
  const opening = signedBy(createOpening({ ...at, attempt, listed: both, authority: 'survivors' }), [
    liar.key,
  ]);
  const bytes = encodeCbor([encodeOpeningStatement(parseOpening(opening))]);
  for (const peer of [a, b]) {
    const [verdict] = peer.handle({ kind: 'message', from: liar.key.peer, bytes });
    assert.equal(verdict?.kind === 'verdict' && verdict.verdict, 'accept');
  }
  return { bus, a, b, gone };
}

const recovers = ({ replica }: BusPeer): boolean => replica.view.recovery !== undefined;

for (const attempt of [attemptsMax, attemptsMax - 1, attemptsAhead, attemptsAhead - 1])
  for (const isThere of [false, true])
    test(`attempt ${attempt} of one who is ${isThere ? 'there' : 'gone'} ends nobody's recovery (G3)`, () => {
      const { bus, a, b } = createSurvivors(attempt, isThere);
      bus.wait(180_000);
      assert.ok(recovers(a) && recovers(b));
    });

test('who comes late signs with one who has followed a liar’s attempts for long (G3)', () => {
  const { bus, a, b, gone } = createSurvivors(attemptsMax, true);
  gone.add(b);
  bus.wait(400_000);
  assert.ok(!recovers(a));
  gone.delete(b);
  bus.wait(900_000);
  assert.ok(recovers(a) && recovers(b));
});
