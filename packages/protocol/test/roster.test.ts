import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerId } from '@murmuration/base';
import { createInvitation, type Report, signInvitation } from '@murmuration/protocol';
import fc from 'fast-check';
import type { Rules } from '../src/block-record.ts';
import { type Change, checkChanges } from '../src/change.ts';
import { genesisState, type LedgerState, type Member } from '../src/ledger-state.ts';
import { chooseVoters, mayGrowTo, quorumOf } from '../src/roster.ts';
import { type Bus, type BusPeer, createBus, createKey, createRun } from './harness.ts';

const membership = { votersMax: 64, earnedAfter: 0, silentAfter: 0, stallMs: 0 };

function rounds(bus: Bus, count: number): void {
  for (let round = 0; round < count; round++) {
    bus.round();
    bus.wait(2_000);
  }
}

const reportsOf = ({ effects }: BusPeer): Report[] =>
  effects.flatMap((effect) => (effect.kind === 'report' ? [effect.report] : []));
const invitationOf = (bus: Bus, guest: PeerId, uses: number): Uint8Array => {
  const [founder] = bus.peers as [BusPeer];
  const terms = { runId: bus.runId, guest, role: 'member' as const, expires: 90, uses };
  return signInvitation(createInvitation(terms), founder.key.peer, founder.key.components.sign);
};
const roots = (peers: readonly BusPeer[]): Set<string> =>
  new Set(peers.map(({ replica }) => Buffer.from(replica.view.final.stateRoot).toString('hex')));

test('createReplica lets a member leave, and the others go on without it', () => {
  const bus = createBus({ members: 4, run: { rounds: 8 } });
  const leaver = bus.peers[2] as BusPeer;
  rounds(bus, 1);
  leaver.handle({ kind: 'leave' });
  bus.flow();
  rounds(bus, 2);
  assert.equal(leaver.replica.view.role, 'guest');
  assert.equal(leaver.replica.view.members.length, 3);
  assert.equal(leaver.replica.view.epoch, 1);
  assert.deepEqual(
    reportsOf(leaver).filter(({ kind }) => kind === 'retired'),
    [{ kind: 'retired', peer: leaver.key.peer, epoch: 1, reason: 'leave' }],
  );
  rounds(bus, 6);
  assert.deepEqual(new Set(bus.peers.map(({ replica }) => replica.view.phase)), new Set(['ended']));
  assert.equal(roots(bus.peers).size, 1);
});

test('createReplica keeps the last member, whatever it asks for', () => {
  const bus = createBus({ members: 1, run: { rounds: 4 } });
  const [alone] = bus.peers as [BusPeer];
  alone.handle({ kind: 'leave' });
  rounds(bus, 6);
  assert.equal(alone.replica.view.phase, 'ended');
  assert.deepEqual(alone.replica.view.members, [alone.key.peer]);
});

test('createReplica admits a guest that was in enough certified rounds, in crash runs', () => {
  const bus = createBus({
    members: 2,
    guests: 1,
    run: { rounds: 12, membership: { ...membership, earnedAfter: 3 } },
  });
  const guest = bus.peers[2] as BusPeer;
  rounds(bus, 2);
  assert.equal(guest.replica.view.role, 'guest');
  rounds(bus, 5);
  assert.equal(guest.replica.view.role, 'member');
  assert.deepEqual(guest.replica.view.voters.at(-1), guest.key.peer);
  assert.equal(roots(bus.peers).size, 1);
});

test('a founder stays alone beside one guest; two that have earned it enter together, and one may go (G3)', () => {
  const bus = createBus({
    members: 1,
    guests: 2,
    run: { rounds: 60, membership: { ...membership, earnedAfter: 3 } },
  });
  const [founder, first, second] = bus.peers as [BusPeer, BusPeer, BusPeer];
  bus.drops = (from, to) => from === second || to === second;
  rounds(bus, 8);
  assert.deepEqual(founder.replica.view.members, [founder.key.peer]);
  bus.drops = () => false;
  bus.wait(60_000);
  rounds(bus, 8);
  assert.equal(founder.replica.view.epoch, 1, 'one block admits both');
  assert.equal(founder.replica.view.members.length, 3);
  bus.drops = (from, to) => from === first || to === first;
  const before = founder.replica.view.final.height;
  rounds(bus, 6);
  assert.ok(founder.replica.view.final.height >= before + 4);
});

test('a guest that went before it could enter is no member, whatever it has earned', () => {
  const bus = createBus({
    members: 1,
    guests: 2,
    run: { rounds: 60, membership: { ...membership, earnedAfter: 6 } },
  });
  const [founder, first, second] = bus.peers as [BusPeer, BusPeer, BusPeer];
  bus.drops = (from, to) => from === second || to === second;
  rounds(bus, 8);
  bus.drops = (from, to) => from === first || to === first;
  bus.wait(60_000);
  rounds(bus, 16);
  assert.deepEqual(founder.replica.view.members, [founder.key.peer]);
  bus.drops = () => false;
  bus.wait(60_000);
  rounds(bus, 8);
  assert.equal(founder.replica.view.members.length, 3);
});

test('a guest beside three members is a spare: it enters with the block that lets one of them go', () => {
  const bus = createBus({
    members: 3,
    guests: 1,
    run: { rounds: 60, membership: { ...membership, earnedAfter: 3 } },
  });
  const [first, second] = bus.peers as [BusPeer, BusPeer];
  const spare = bus.peers[3] as BusPeer;
  rounds(bus, 8);
  assert.equal(spare.replica.view.role, 'guest');
  second.handle({ kind: 'leave' });
  bus.flow();
  rounds(bus, 3);
  assert.equal(spare.replica.view.role, 'member');
  assert.equal(first.replica.view.members.length, 3);
  assert.equal(first.replica.view.epoch, 1, 'one block for both');
});

/** So many founders, and guests that have earned membership, of whom the first were in the newest block. */
function rosterOf(founders: number, guests: number, there: number, votersMax = 64) {
  const peers = Array.from({ length: founders + guests }, (_, index) => createKey(index + 1).peer);
  const settings = { ...membership, earnedAfter: 3, votersMax };
  const run = createRun(peers.slice(0, founders), { rounds: 60, membership: settings });
  const known = peers.slice(founders);
  const state: LedgerState = {
    ...genesisState(run),
    guests: known.map((peer) => ({ peer, rounds: 3, tokens: 0, seen: 8, vouched: false })),
    recent: [{ height: 8, contributions: [], blobs: [], authors: known.slice(0, there) }],
  };
  const changes = (count: number): Change[] =>
    known
      .slice(0, count)
      .sort()
      .map((peer) => ({ kind: 'earned', peer, value: peer }));
  return (count: number): string | undefined => checkChanges(changes(count), { run } as Rules, state, 9);
}

test('checkChanges lets guests earn a roster of an odd number only, of three at least', () => {
  for (let founders = 1; founders <= 6; founders++) {
    const problemOf = rosterOf(founders, 6, 6);
    for (let count = 1; count <= 6; count++) {
      const isSound = founders + count >= 3 && (founders + count) % 2 === 1;
      assert.equal(problemOf(count) === undefined, isSound, `${founders} founders and ${count} guests`);
    }
  }
});

test('checkChanges lets a roster beyond its committee grow one by one', () => {
  const problemOf = rosterOf(5, 6, 6, 4);
  for (let count = 1; count <= 6; count++) assert.equal(problemOf(count), undefined);
});

test('checkChanges admits no guest that was in none of the last blocks', () => {
  const problemOf = rosterOf(1, 2, 1);
  assert.match(problemOf(2) ?? '', /none of the last blocks/);
});

test('mayGrowTo allows what tolerates more failures than one member fewer', () => {
  const tolerated = (voters: number): number => voters - quorumOf('crash', voters);
  for (let members = 2; members <= 64; members++)
    assert.equal(mayGrowTo(members, 64), tolerated(members) > tolerated(members - 1), `${members} members`);
});

test('createReplica retires a member that was silent for too long, in crash runs', () => {
  const bus = createBus({ members: 3, run: { rounds: 14, membership: { ...membership, silentAfter: 5 } } });
  const [first, , silent] = bus.peers as [BusPeer, BusPeer, BusPeer];
  rounds(bus, 1);
  bus.drops = (from, to) => from === silent || to === silent;
  rounds(bus, 9);
  assert.equal(first.replica.view.members.length, 2);
  const retired = reportsOf(first).filter(({ kind }) => kind === 'retired');
  assert.deepEqual(retired, [{ kind: 'retired', peer: silent.key.peer, epoch: 1, reason: 'silent' }]);
});

test('createReplica admits a peer again by the same invitation as often as that says, and no further', () => {
  const bus = createBus({ members: 3, guests: 1, run: { rounds: 60 } });
  const guest = bus.peers[3] as BusPeer;
  const invitation = invitationOf(bus, guest.key.peer, 2);
  const roles: string[] = [];
  for (let turn = 0; turn < 3; turn++) {
    guest.handle({ kind: 'invited', invitation });
    bus.flow();
    rounds(bus, 4);
    roles.push(guest.replica.view.role);
    if (guest.replica.view.role === 'member') guest.handle({ kind: 'leave' });
    bus.flow();
    rounds(bus, 4);
    roles.push(guest.replica.view.role);
  }
  assert.deepEqual(roles, ['member', 'guest', 'member', 'guest', 'guest', 'guest']);
});

test('createReplica certifies by a committee that changes with the epoch', () => {
  const bus = createBus({
    members: 7,
    guests: 1,
    run: { rounds: 30, quorum: 'byzantine', membership: { ...membership, votersMax: 4 } },
  });
  const [first] = bus.peers as [BusPeer];
  const guest = bus.peers[7] as BusPeer;
  const committees = [first.replica.view.voters];
  rounds(bus, 2);
  guest.handle({ kind: 'invited', invitation: invitationOf(bus, guest.key.peer, 1) });
  bus.flow();
  rounds(bus, 4);
  committees.push(first.replica.view.voters);
  (bus.peers[1] as BusPeer).handle({ kind: 'leave' });
  bus.flow();
  rounds(bus, 4);
  committees.push(first.replica.view.voters);
  assert.equal(first.replica.view.epoch, 2);
  assert.deepEqual(
    committees.map(({ length }) => length),
    [4, 4, 4],
  );
  const seen = new Set(committees.flat());
  for (const peer of bus.peers) assert.ok(seen.has(peer.key.peer), `${peer.key.peer} never voted`);
  assert.ok(first.replica.view.final.height >= 9, `round ${first.replica.view.final.height}`);
  assert.equal(roots(bus.peers).size, 1);
});

const memberArbitrary = fc
  .array(fc.record({ voted: fc.integer({ min: -1, max: 5 }) }), { minLength: 1, maxLength: 40 })
  .map((list): Member[] =>
    list.map(({ voted }, index) => ({
      peer: `peer ${String(index).padStart(2, '0')}` as PeerId,
      key: `peer ${index}` as PeerId,
      renewed: 0,
      keySince: index,
      since: index,
      contributed: index,
      voted,
      tokens: 0,
    })),
  );

test('chooseVoters takes as many as may vote, those who waited longest, in the order of admission', () => {
  fc.assert(
    fc.property(memberArbitrary, fc.integer({ min: 1, max: 12 }), (members, votersMax) => {
      const voters = chooseVoters(members, votersMax);
      assert.equal(voters.length, Math.min(votersMax, members.length));
      assert.deepEqual(voters, [...voters].sort());
      const waited = (chosen: boolean): number[] =>
        members.filter(({ peer }) => voters.includes(peer) === chosen).map(({ voted }) => voted);
      assert.ok(Math.max(...waited(true)) <= Math.min(...waited(false)));
    }),
  );
});

test('quorumOf makes two quorums share a member, and in byzantine runs an honest one', () => {
  for (let voters = 1; voters <= 128; voters++) {
    assert.ok(2 * quorumOf('crash', voters) > voters);
    const faulty = Math.ceil(voters / 3) - 1;
    assert.ok(2 * quorumOf('byzantine', voters) - voters > faulty);
    assert.ok(voters - faulty >= quorumOf('byzantine', voters));
  }
});
