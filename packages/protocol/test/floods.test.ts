import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, encodeCbor, type PeerId, sha256 } from '@murmuration/base';
import { createInvitation, type InvitedRole, signInvitation, type Verdict } from '@murmuration/protocol';
import fc from 'fast-check';
import { checksOf, drawMs, strangerBytesMax, strangerShare } from '../src/defaults.ts';
import { keepGuests } from '../src/ledger-state.ts';
import { lotOf } from '../src/lottery.ts';
import { type Bus, type BusPeer, createBus, type Key } from './harness.ts';
import { announce, createStranger, presence, send } from './strangers.ts';

const strangersPerRound = (bus: Bus): number =>
  Math.floor(bus.run.aggregation.contributionsMax / strangerShare);

function invite(bus: Bus, guest: BusPeer, role: InvitedRole): void {
  const [founder] = bus.peers as [BusPeer];
  const terms = { runId: bus.runId, guest: guest.key.peer, role, expires: 90, uses: 1 };
  const { peer, components } = founder.key;
  const invitation = signInvitation(createInvitation(terms), peer, components.sign);
  guest.handle({ kind: 'invited', invitation });
  bus.flow();
}

const fetchesOf = ({ effects }: BusPeer, priority: string) =>
  effects.flatMap((effect) => (effect.kind === 'fetch' && effect.priority === priority ? [effect] : []));

const bytesOf = (fetches: readonly { readonly bytes: number }[]): number =>
  fetches.reduce((sum, { bytes }) => sum + bytes, 0);

const authorsOf = ({ effects }: BusPeer, height: number): readonly PeerId[] =>
  effects.flatMap((effect) =>
    effect.kind === 'settle' && effect.block.height === height
      ? effect.block.contributions.map(({ author }) => author)
      : [],
  );

type Outcome = ReturnType<Bus['outcomeOf']>;

/**
 * Four members, a guest with a history, one that founders invited, and as many strangers a round as asked for, whose
 * deltas the first member gets and the others do not.
 */
function flooded(
  strangers: number,
  [ofFirst, ofOthers]: readonly [Outcome, Outcome] = [undefined, undefined],
): { readonly bus: Bus; readonly times: readonly number[] } {
  const bus = createBus({ members: 4, guests: 2, run: { rounds: 40 } });
  const [first] = bus.peers as [BusPeer];
  const isOurs = new Set(bus.peers.map(({ key }) => key.peer));
  bus.outcomeOf = (peer, { input }) => {
    if (!input || isOurs.has(input.author)) return 'held';
    return peer === first ? ofFirst : ofOthers;
  };
  const round = (): void => {
    bus.round();
    bus.wait(1_000);
  };
  invite(bus, bus.peers[5] as BusPeer, 'guest');
  for (let count = 0; count < 3; count++) round();
  const times: number[] = [];
  for (let count = 0; count < 4; count++) {
    for (let index = 0; index < strangers; index++) {
      const key = createStranger();
      const statements = [announce(bus, key, first), ...(index % 5 === 0 ? [presence(bus, key)] : [])];
      for (const peer of bus.peers.slice(0, 2)) send(peer, key, ...statements);
    }
    const begun = bus.now;
    const height = first.replica.view.final.height;
    bus.round();
    for (; first.replica.view.final.height === height; bus.wait(50)) assert.ok(bus.now < begun + 20_000);
    times.push(bus.now - begun);
    bus.wait(1_000);
  }
  return { bus, times };
}

test('handle stays within its budgets when 10,000 identities announce without serving (G6)', () => {
  const calm = flooded(0);
  const { bus, times } = flooded(2_500);
  const [first, , , , known, invited] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer, BusPeer, BusPeer];
  assert.deepEqual(times, calm.times);
  assert.deepEqual(first.replica.view.final.height, calm.bus.peers[0]?.replica.view.final.height);
  for (let height = 4; height <= 7; height++)
    assert.deepEqual(authorsOf(first, height), authorsOf(calm.bus.peers[0] as BusPeer, height));
  const later = [4, 5, 6, 7].flatMap((height) => authorsOf(first, height));
  for (const { key } of [known, invited]) assert.ok(later.includes(key.peer));
  const seconds = bus.now / 1_000;
  const purses = [checksOf.contribution.stranger, checksOf.presence.stranger];
  const paid = purses.reduce((sum, { burst, perSecond }) => sum + burst + perSecond * seconds, 0);
  for (const [index, peer] of bus.peers.slice(0, 2).entries()) {
    const fetches = fetchesOf(peer, 'stranger');
    assert.ok(
      fetches.length > 0 && fetches.length <= 5 * strangersPerRound(bus),
      `${fetches.length} fetches`,
    );
    assert.ok(bytesOf(fetches) <= 5 * strangerBytesMax);
    const added = peer.checks - (calm.bus.peers[index]?.checks ?? 0);
    assert.ok(added > 100 && added <= paid, `${added} signature checks more`);
  }
});

test('handle closes rounds no later when strangers serve one member only, or nobody, or rubbish (G3)', () => {
  const calm = flooded(0);
  const conducts: readonly (readonly [Outcome, Outcome])[] = [
    ['held', undefined],
    ['held', 'unavailable'],
    ['unavailable', 'unavailable'],
    ['invalid', 'invalid'],
  ];
  for (const conduct of conducts) {
    const { bus, times } = flooded(100, conduct);
    assert.deepEqual(times, calm.times, conduct.join());
    for (let height = 4; height <= 7; height++)
      assert.deepEqual(
        authorsOf(bus.peers[0] as BusPeer, height),
        authorsOf(calm.bus.peers[0] as BusPeer, height),
      );
  }
});

test('handle draws no stranger whose delta starts from a block that nobody knows', () => {
  const bus = createBus({ members: 1, run: { rounds: 9 } });
  const [alone] = bus.peers as [BusPeer];
  const elsewhere = cidOf(encodeCbor('nowhere'), 'dag-cbor');
  for (let count = 0; count < 30; count++) {
    const key = createStranger();
    assert.equal(send(alone, key, announce(bus, key, alone, 100, elsewhere)), 'accept');
  }
  const honest = createStranger();
  send(alone, honest, announce(bus, honest, alone));
  bus.wait(2 * drawMs);
  const drawn = fetchesOf(alone, 'stranger').map(({ input }) => input?.author);
  assert.deepEqual(drawn, [honest.peer]);
});

test('handle draws strangers also where rounds are shorter than the wait for the draw', () => {
  const bus = createBus({ members: 1, run: { rounds: 9 } });
  const [alone] = bus.peers as [BusPeer];
  const honest = createStranger();
  send(alone, honest, announce(bus, honest, alone));
  for (let round = 0; round < 3; round++) {
    bus.wait(drawMs / 2);
    bus.round();
  }
  assert.deepEqual(
    fetchesOf(alone, 'stranger').map(({ input }) => input?.author),
    [honest.peer],
  );
});

test('handle asks for no more bytes of strangers in a round than their share (G6)', () => {
  const bus = createBus({
    members: 1,
    run: { rounds: 9, delta: { ...createBus({ members: 1 }).run.delta, blobBytesMax: 2 ** 30 } },
  });
  const [alone] = bus.peers as [BusPeer];
  for (let count = 0; count < 40; count++) {
    const key = createStranger();
    send(alone, key, announce(bus, key, alone, Math.floor(strangerBytesMax / 4)));
  }
  bus.wait(10 * drawMs);
  assert.equal(fetchesOf(alone, 'stranger').length, 4);
  bus.round();
  bus.wait(10 * drawMs);
  assert.ok(fetchesOf(alone, 'stranger').length <= 8);
});

test('handle hears a member, whoever sends forgeries in its name', () => {
  const bus = createBus({ members: 4 });
  const [first, , victim] = bus.peers as [BusPeer, BusPeer, BusPeer];
  const liar = createStranger();
  const asVictim: Key = { peer: victim.key.peer, components: liar.components };
  for (let count = 0; count < 1_000; count++)
    for (const forgery of [announce(bus, asVictim, first, 100 + count), presence(bus, asVictim)])
      assert.equal(send(first, liar, forgery), 'reject');
  assert.equal(send(first, victim.key, announce(bus, victim.key, first)), 'accept');
  assert.equal(send(first, victim.key, presence(bus, victim.key, 1)), 'accept');
});

test('handle bounds the checks that a member or a guest can cause by what it signs itself (G6)', () => {
  const bus = createBus({ members: 4 });
  const [first, , busy] = bus.peers as [BusPeer, BusPeer, BusPeer];
  const before = first.checks;
  const verdicts = Array.from({ length: 500 }, (_, epoch) =>
    send(first, busy.key, presence(bus, busy.key, 1 + epoch)),
  );
  const { burst, perSecond } = checksOf.presence.member;
  assert.equal(first.checks - before, verdicts.filter((verdict) => verdict === 'accept').length);
  assert.ok(first.checks - before <= burst);
  bus.now += 1_000 / perSecond;
  assert.equal(send(first, busy.key, presence(bus, busy.key, 1_000)), 'accept');
  assert.equal(send(first, busy.key, presence(bus, busy.key, 1_001)), 'ignore');
});

test('handle keeps a purse for the announcements of strangers that their presences do not touch', () => {
  const bus = createBus({ members: 4 });
  const [first] = bus.peers as [BusPeer];
  const verdicts = new Set<Verdict>();
  for (let count = 0; count < 100; count++) {
    const key = createStranger();
    verdicts.add(send(first, key, presence(bus, key)));
  }
  assert.deepEqual(verdicts, new Set<Verdict>(['accept', 'ignore']));
  const key = createStranger();
  assert.equal(send(first, key, announce(bus, key, first)), 'accept');
});

test('createReplica admits an invited newcomer while strangers fill every place that they may have', () => {
  const bus = createBus({ members: 4, guests: 1, run: { rounds: 20 } });
  const guest = bus.peers[4] as BusPeer;
  const flood = (): void => {
    for (let count = 0; count < 3; count++) {
      const key = createStranger();
      for (const peer of bus.peers.slice(0, 4)) send(peer, key, presence(bus, key));
    }
  };
  invite(bus, guest, 'member');
  for (let count = 0; count < 20; count++) flood();
  const [first] = bus.peers as [BusPeer];
  const stranger = createStranger();
  assert.equal(send(first, stranger, presence(bus, stranger)), 'ignore');
  assert.equal(send(first, guest.key, presence(bus, guest.key, 7)), 'accept');
  for (let step = 0; step < 60; step++) {
    flood();
    if (step % 10 === 0) bus.round();
    bus.wait(100);
  }
  assert.equal(guest.replica.view.role, 'member');
});

test('handle takes a stranger in when nobody floods, and gives up one that does not serve', () => {
  const bus = createBus({ members: 3, guests: 1, run: { rounds: 20 } });
  const [first, , , stranger] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer];
  const dead = createStranger();
  bus.outcomeOf = (_, { input }) => (input?.author === dead.peer ? 'unavailable' : 'held');
  for (let count = 0; count < 3; count++) {
    for (const peer of bus.peers.slice(0, 3)) send(peer, dead, announce(bus, dead, peer));
    bus.round();
    bus.wait(2_000);
  }
  const seen = [1, 2, 3].flatMap((height) => authorsOf(first, height));
  assert.ok(seen.includes(stranger.key.peer));
  assert.ok(!seen.includes(dead.peer));
  const ofDead = fetchesOf(first, 'stranger').filter(({ input }) => input?.author === dead.peer);
  assert.ok(ofDead.length >= 1 && ofDead.length <= 3, `${ofDead.length} fetches in three rounds`);
});

test('handle fetches a delta at once that a block needs, although a stranger announced it', () => {
  const bus = createBus({ members: 3, guests: 1, run: { rounds: 20 } });
  const [first, second, third, stranger] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer];
  bus.outcomeOf = (peer, { priority, input }) =>
    peer === third && priority !== 'first' && input?.author === stranger.key.peer ? undefined : 'held';
  for (let count = 0; count < 3; count++) {
    bus.round();
    bus.wait(2_000);
  }
  const seen = [1, 2, 3].flatMap((height) => authorsOf(third, height));
  assert.ok(seen.includes(stranger.key.peer));
  const asked = third.effects.flatMap((effect) =>
    effect.kind === 'fetch' && effect.input?.author === stranger.key.peer ? [effect.priority] : [],
  );
  assert.deepEqual(asked.slice(0, 2), ['stranger', 'first']);
  assert.deepEqual(first.replica.view.final, second.replica.view.final);
});

const shuffled = <Item>(items: readonly Item[], weights: readonly number[]): Item[] =>
  items
    .map((item, index) => ({ item, weight: weights[index] ?? 0 }))
    .sort((a, b) => a.weight - b.weight)
    .map(({ item }) => item);

test('the draw of strangers does not depend on the order in which they come', () => {
  const strangers = Array.from({ length: 100 }, createStranger);
  const drawn = (weights: readonly number[]): ReadonlySet<unknown> => {
    const bus = createBus({ members: 1 });
    const [alone] = bus.peers as [BusPeer];
    for (const key of shuffled(strangers, weights)) send(alone, key, announce(bus, key, alone));
    bus.wait(drawMs);
    const fetched = fetchesOf(alone, 'stranger').map(({ input }) => input?.author);
    assert.equal(fetched.length, strangersPerRound(bus));
    return new Set(fetched);
  };
  const expected = drawn([]);
  fc.assert(
    fc.property(fc.array(fc.nat(), { minLength: 100, maxLength: 100 }), (weights) => {
      assert.deepEqual(drawn(weights), expected);
    }),
    { numRuns: 10 },
  );
});

test('lotOf is fair: over many rounds every peer wins about as often, whoever it is', () => {
  const peers = Array.from({ length: 100 }, (_, index) => `peer ${index}` as PeerId);
  const wins = new Map(peers.map((peer) => [peer, 0]));
  for (let round = 0; round < 1_000; round++) {
    const block = cidOf(encodeCbor(round), 'dag-cbor');
    const order = peers
      .map((peer) => ({ peer, lot: lotOf(block, peer, sha256) }))
      .sort((a, b) => (a.lot < b.lot ? -1 : 1));
    for (const { peer } of order.slice(0, 10)) wins.set(peer, (wins.get(peer) ?? 0) + 1);
  }
  const [fewest, most] = [Math.min(...wins.values()), Math.max(...wins.values())];
  // Of 100 wins each the standard deviation is 9.5; five of them.
  assert.ok(fewest >= 53 && most <= 147, `between ${fewest} and ${most} wins of 100`);
});

test('keepGuests forgets the oldest, those that nobody vouched for first', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 1_400, minLength: 900 }), (list) => {
      const guests = list.map((vouched, seen) => ({
        peer: `peer ${seen}` as PeerId,
        rounds: 1,
        tokens: 1,
        seen,
        vouched,
      }));
      const kept = keepGuests(guests);
      assert.equal(kept.length, Math.min(1_024, guests.length));
      const gone = guests.filter((guest) => !kept.includes(guest));
      const vouchedGone = gone.filter(({ vouched }) => vouched);
      if (vouchedGone.length > 0) assert.ok(kept.every(({ vouched }) => vouched));
      const strangersKept = kept.filter(({ vouched }) => !vouched).map(({ seen }) => seen);
      for (const { seen, vouched } of gone)
        if (!vouched) assert.ok(strangersKept.every((other) => other > seen));
    }),
  );
});
