import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeCbor, encodeCbor, type PeerId } from '@murmuration/base';
import { createReplica, type Effect, type Replica, type ReplicaEvent } from '@murmuration/protocol';
import { listenMs } from '../src/defaults.ts';
import {
  around,
  type Bus,
  type BusOptions,
  type BusPeer,
  createBus,
  createKey,
  type Kept,
} from './harness.ts';
import { createWorld, type WorldPeer } from './recovery-world.ts';

interface Said {
  readonly kind: string;
  readonly body: {
    readonly choice?: string;
    readonly voter?: PeerId;
    readonly view?: number;
    readonly epoch?: number;
  };
}

/** A gossip message with those of its statements only that are to be there. */
function keep(message: Uint8Array, isKept: (said: Said) => boolean): Uint8Array | undefined {
  const kept = (decodeCbor(message) as Uint8Array[]).filter((bytes) => isKept(decodeCbor(bytes) as Said));
  return kept.length > 0 ? encodeCbor(kept) : undefined;
}
const keepSaid = (effects: readonly Effect[], isKept: (said: Said) => boolean): Effect[] =>
  effects.flatMap((effect): readonly Effect[] => {
    if (effect.kind !== 'publish') return [effect];
    const bytes = keep(effect.bytes, isKept);
    return bytes ? [{ ...effect, bytes }] : [];
  });

const saidIn = (effects: readonly Effect[]): Said[] =>
  effects
    .flatMap((effect) => (effect.kind === 'publish' ? (decodeCbor(effect.bytes) as Uint8Array[]) : []))
    .map((bytes) => decodeCbor(bytes) as Said);
const votesOf = ({ key, effects }: Pick<BusPeer, 'key' | 'effects'>, from = 0): readonly Said[] =>
  saidIn(effects.slice(from)).filter(({ kind, body }) => kind === 'vote' && body.voter === key.peer);
const finalIn = (replica: Replica | undefined): number => replica?.view.final.height ?? -1;
const hasReported = ({ effects }: BusPeer, kind: string): boolean =>
  effects.some((effect) => effect.kind === 'report' && effect.report.kind === kind);

const fixed = { votersMax: 64, earnedAfter: 0, silentAfter: 0, stallMs: 0 };
const busOf = (options: BusOptions): Bus =>
  createBus({ ...options, run: { rounds: 80, membership: fixed, ...options.run } });

function rounds(bus: Bus, count: number): void {
  for (let round = 0; round < count; round++) {
    bus.round();
    bus.wait(2_000);
  }
}
const heightOf = ({ replica }: BusPeer): number => replica.view.final.height;
const backupOf = ({ records, ledger }: BusPeer): Partial<Kept> => ({
  records: [...records.values()],
  ledger: [...ledger],
});

interface Restarted {
  readonly handle: (event: ReplicaEvent, at: number) => Said[];
  readonly other: PeerId;
  /** Something that the other voter has said. */
  readonly word: Uint8Array;
}

/** A life that has notarized a view and whose timer for it has long since run out, with another voter. */
function restarted(bus: Bus): Restarted {
  bus.round();
  const [other, peer] = bus.peers as [BusPeer, BusPeer];
  const records = [...peer.records.values()].filter(
    ({ key }) => key.startsWith('contribution/') || key === 'vote/0/0/notarize',
  );
  const replica = createReplica(
    { run: bus.run, runId: bus.runId, self: peer.key.peer, role: 'member', wallMs: 0 },
    peer.key.components,
  );
  replica.handle({ kind: 'start', records, ledger: [], applied: undefined }, 0);
  const handle = (event: ReplicaEvent, at: number): Said[] => {
    const effects = replica.handle(event, at);
    for (const name of ['startup', 'round', 'view', 'listen'])
      effects.push(...replica.handle({ kind: 'timer', name }, at));
    return votesOf({ key: peer.key, effects }).filter(({ body }) => body.choice === 'skip');
  };
  const word = other.effects.find((effect) => effect.kind === 'publish');
  assert.ok(word?.kind === 'publish');
  return { handle, other: other.key.peer, word: word.bytes };
}
const tick: ReplicaEvent = { kind: 'timer', name: 'view' };

test('a voter that starts again signs nothing after a connection of an instant (G5)', () => {
  const { handle, other, word } = restarted(createBus({ members: 4 }));
  handle({ kind: 'connected', peer: other }, 0);
  handle({ kind: 'message', from: other, bytes: word }, 0);
  handle({ kind: 'disconnected', peer: other }, 1);
  for (let now = 1_000; now <= 40_000; now += 1_000) assert.deepEqual(handle(tick, now), []);
  handle({ kind: 'connected', peer: other }, 41_000);
  assert.deepEqual(handle(tick, 41_000 + listenMs - 1), []);
  const later = [0, 2_000, 4_000].flatMap((ms) => handle(tick, 41_000 + listenMs + ms));
  assert.ok(later.length > 0);
});

/** Four voters that reach each other through a guest only. */
function busWithoutConnections(): Bus {
  const voters = new Set([1, 2, 3, 4].map((index) => createKey(index).peer));
  const create = around((self, handle) => (event, at) => {
    const isDirect = event.kind === 'connected' && voters.has(event.peer) && voters.has(self);
    return isDirect ? [] : handle(event, at);
  });
  return busOf({ members: 4, guests: 1, create });
}

test('voters that reach each other through a guest only go on after a restart (G3)', () => {
  const bus = busWithoutConnections();
  rounds(bus, 3);
  const [first, second, third] = bus.peers as [BusPeer, BusPeer, BusPeer];
  const before = heightOf(first);
  second.restart();
  third.restart();
  const from = second.effects.length;
  bus.flow();
  rounds(bus, 10);
  assert.ok(heightOf(first) >= before + 8, `${before}, then ${heightOf(first)}`);
  assert.ok(votesOf(second, from).length > 0);
});

test('a stranger that comes and goes keeps no voter from signing again (G3)', () => {
  const bus = busWithoutConnections();
  rounds(bus, 3);
  const [first, second, third] = bus.peers as [BusPeer, BusPeer, BusPeer];
  const before = heightOf(first);
  const stranger = createKey(77).peer;
  for (const peer of [second, third]) peer.restart();
  bus.flow();
  for (let half = 0; half < 60; half++) {
    if (half % 4 === 0) bus.round();
    bus.wait(500);
    for (const peer of [second, third])
      for (const kind of ['connected', 'disconnected'] as const) peer.handle({ kind, peer: stranger });
    bus.flow();
  }
  assert.ok(heightOf(first) >= before + 8, `${before}, then ${heightOf(first)}`);
});

test('a voter that was put back gets its votes back through a guest, too (G5, G8)', () => {
  const bus = busWithoutConnections();
  rounds(bus, 3);
  const [other, back] = bus.peers as [BusPeer, BusPeer];
  const backup = backupOf(back);
  const asleep = new Set(bus.peers.slice(2, 4));
  bus.drops = (from, to) => asleep.has(from) || asleep.has(to);
  const from = back.effects.length;
  for (const peer of [other, back]) if (peer.replica.view.mayContribute) peer.contribute();
  bus.flow();
  bus.wait(20_000);
  assert.ok(votesOf(back, from).length > 0);
  asleep.add(back);
  bus.wait(60_000);
  asleep.delete(back);
  back.restart(backup);
  assert.equal(other.replica.view.view, back.replica.view.view);
  const life = back.effects.length;
  bus.flow();
  bus.wait(30_000);
  assert.equal(hasReported(back, 'forgotten'), true);
  assert.deepEqual(votesOf(back, life), []);
});

test('a lone voter that was put back takes its blocks back from a guest and votes for no others (G8)', () => {
  const bus = busOf({ members: 1, guests: 1 });
  const [alone, guest] = bus.peers as [BusPeer, BusPeer];
  rounds(bus, 3);
  const backup = backupOf(alone);
  rounds(bus, 4);
  const blocks = guest.ledger.map(({ bytes }) => bytes);
  assert.equal(blocks.length, 7);
  alone.restart(backup);
  const life = alone.effects.length;
  assert.equal(heightOf(alone), 3);
  assert.ok(alone.replica.view.mayContribute);
  alone.contribute();
  bus.flow();
  bus.wait(listenMs - 1);
  assert.deepEqual(votesOf(alone, life), []);
  rounds(bus, 8);
  const taken = alone.ledger.map(({ bytes }) => bytes);
  assert.deepEqual(taken, blocks);
  assert.equal(hasReported(alone, 'forgotten'), true);
  assert.deepEqual(votesOf(alone, life), []);
  const { peer, components } = createKey(31);
  alone.restart({ voteKey: { key: peer, sign: components.sign } });
  rounds(bus, 4);
  assert.ok(heightOf(alone) >= 9, `${heightOf(alone)}`);
  assert.deepEqual(guest.replica.view.final, alone.replica.view.final);
});

test('a voter that listens while an epoch opens begins anew (G5)', () => {
  const bus = busOf({ members: 4 });
  rounds(bus, 2);
  const [first, peer, , leaver] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer];
  peer.restart();
  const from = peer.effects.length;
  bus.flow();
  bus.wait(listenMs - 500);
  leaver.handle({ kind: 'leave' });
  bus.round();
  assert.equal(peer.replica.view.epoch, 1);
  bus.round();
  bus.wait(1_000);
  bus.round();
  bus.wait(listenMs - 1_001);
  assert.deepEqual(votesOf(peer, from), []);
  rounds(bus, 2);
  assert.ok(votesOf(peer, from).length > 0);
  assert.ok(heightOf(first) >= 4);
});

for (const members of [2, 3])
  test(`a leaver of ${members} whose last finalize is lost brings the others on (G3)`, () => {
    const leaver = createKey(members).peer;
    let isArmed = false;
    let lost = 0;
    const create = around((self, handle) => (event, at) => {
      const effects = handle(event, at);
      if (self !== leaver || !isArmed || lost > 0) return effects;
      const isLost = ({ kind, body }: Said): boolean => kind === 'vote' && body.choice === 'finalize';
      return keepSaid(effects, (said) => {
        if (isLost(said)) lost++;
        return !isLost(said);
      });
    });
    const bus = busOf({ members, create });
    rounds(bus, 2);
    const [first] = bus.peers as [BusPeer];
    const leaving = bus.peers.at(-1) as BusPeer;
    const asleep = members === 2 ? undefined : bus.peers[1];
    bus.drops = (a, b) => a === asleep || b === asleep;
    isArmed = true;
    leaving.handle({ kind: 'leave' });
    bus.flow();
    rounds(bus, 3);
    assert.ok(lost > 0);
    assert.equal(leaving.replica.view.role, 'guest');
    bus.wait(5_000);
    assert.equal(first.replica.view.epoch, 1, 'the others know that it has left');
    asleep?.restart();
    bus.drops = () => false;
    rounds(bus, 10);
    assert.ok(heightOf(first) >= 10, `${heightOf(first)}`);
  });

for (const [leavers, syncMs] of [
  [1, 4_000],
  [2, 4_000],
  [3, 15_000],
] as const)
  test(`a backup ${leavers} epochs old that nobody noticed contradicts nothing while it catches up for ${syncMs} ms (G5, G8)`, () => {
    const self = createKey(4 + leavers).peer;
    const honest = new Set([1, 2, 3].map((index) => createKey(index).peer));
    const state = { isMute: false, isDeaf: false, syncedFrom: 0 };
    const held: ReplicaEvent[] = [];
    const create = around((peer, handle) => (event, at) => {
      if (peer !== self) {
        const isMute = ({ kind, body }: Said): boolean =>
          honest.has(peer) &&
          state.isMute &&
          kind === 'vote' &&
          body.choice === 'finalize' &&
          body.voter === peer;
        return keepSaid(handle(event, at), (said) => !isMute(said));
      }
      if (event.kind === 'synced' && at < state.syncedFrom) {
        held.push(event);
        return [];
      }
      const late = at >= state.syncedFrom ? held.splice(0).flatMap((one) => handle(one, at)) : [];
      if (event.kind !== 'message' || !state.isDeaf) return [...late, ...handle(event, at)];
      const bytes = keep(event.bytes, ({ kind }) => kind === 'contribution' || kind === 'presence');
      return bytes
        ? [...late, ...handle({ ...event, bytes }, at)]
        : [...late, { kind: 'verdict', verdict: 'ignore', reason: 'deaf' }];
    });
    const bus = busOf({ members: 4 + leavers, create });
    rounds(bus, 1);
    const back = bus.peers.at(-1) as BusPeer;
    const [first] = bus.peers as [BusPeer];
    bus.drops = (from) => from === back;
    back.contribute();
    const backup = backupOf(back);
    const gone = new Set<BusPeer>([back]);
    bus.drops = (a, b) => gone.has(a) || gone.has(b);
    for (const leaver of bus.peers.slice(3, 3 + leavers)) {
      leaver.handle({ kind: 'leave' });
      bus.flow();
      rounds(bus, 3);
      gone.add(leaver);
    }
    assert.equal(first.replica.view.epoch, leavers);
    gone.delete(back);
    bus.wait(40_000);
    const isItsTurn = (): boolean => first.replica.view.voters[first.replica.view.view % 4] === self;
    for (let tries = 0; tries < 4 && isItsTurn(); tries++) rounds(bus, 1);
    const from = back.effects.length;
    Object.assign(state, { isMute: true, isDeaf: true });
    for (const peer of [...bus.peers.slice(0, 3), back])
      if (peer.replica.view.mayContribute) peer.contribute();
    bus.flow();
    bus.wait(4_000);
    const forgotten = votesOf(back, from).filter(({ body }) => body.choice === 'skip');
    assert.ok(forgotten.length > 0, 'it has signed what the backup does not have');
    Object.assign(state, { isDeaf: false, syncedFrom: bus.now + syncMs });
    back.restart(backup);
    const life = back.effects.length;
    bus.flow();
    bus.wait(syncMs + 20_000);
    state.isMute = false;
    rounds(bus, 4);
    assert.deepEqual(votesOf(back, life), []);
    assert.equal(hasReported(back, 'forgotten'), true);
    for (const peer of bus.peers) assert.equal(hasReported(peer, 'convicted'), false);
  });

test('a voter that has started again listens in a recovery, too (G5)', () => {
  const world = createWorld({ seed: 'listening', members: 5, trainingMs: 300 });
  for (const peer of world.peers) peer.start();
  world.until('two rounds', () => world.peers.every(({ replica }) => finalIn(replica) >= 2), 30_000);
  const [again, other] = world.peers as [WorldPeer, WorldPeer];
  for (const peer of world.peers.slice(2)) peer.kill();
  again.kill();
  again.start();
  const firstVotes = new Map<WorldPeer, number>();
  let openedAt = Number.POSITIVE_INFINITY;
  world.crashes = (peer, effect) => {
    if (effect.kind === 'report' && effect.report.kind === 'recovery')
      openedAt = Math.min(openedAt, peer === again ? world.now : openedAt);
    const isNew = ({ body }: Said): boolean => body.voter === peer.id && (body.epoch ?? 0) > 0;
    if (saidIn([effect]).some((said) => said.kind === 'vote' && isNew(said)) && !firstVotes.has(peer))
      firstVotes.set(peer, world.now);
    return false;
  };
  world.until('votes in a recovery', () => firstVotes.size === 2, 120_000);
  assert.deepEqual(world.problems, []);
  assert.ok((firstVotes.get(again) as number) >= openedAt + listenMs, 'it listens first');
  assert.ok((firstVotes.get(other) as number) < openedAt + listenMs, 'who was there does not');
});

for (const wasThere of [true, false])
  test(`a member that begins with nothing ${wasThere ? 'finds out that it has voted' : 'listens'} once its first blocks have come (G5)`, () => {
    const bus = busOf({ members: 4 });
    const peer = bus.peers[0] as BusPeer;
    bus.drops = (from, to) => !wasThere && (from === peer || to === peer);
    rounds(bus, 3);
    bus.drops = () => false;
    peer.restart({ records: [], ledger: [] });
    const from = peer.effects.length;
    bus.flow();
    bus.wait(1_200);
    assert.ok(heightOf(peer) >= 2, `${heightOf(peer)}`);
    for (const other of bus.peers) if (other.replica.view.mayContribute) other.contribute();
    bus.flow();
    assert.deepEqual(votesOf(peer, from), []);
    rounds(bus, 4);
    assert.equal(hasReported(peer, 'forgotten'), wasThere);
    assert.equal(votesOf(peer, from).length > 0, !wasThere);
  });
