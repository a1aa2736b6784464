import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bus, type BusPeer, createBus } from './harness.ts';

const membership = { votersMax: 64, earnedAfter: 0, silentAfter: 0, stallMs: 0 };
const graceMs = 1_000;
const durationMaxMs = 10_000;
const viewTimeoutMs = 1_500;

const heightOf = (bus: Bus): number => Math.max(...bus.peers.map(({ replica }) => replica.view.final.height));

/** These contribute; returns how long it takes from then until a block is final, at most so many ms. */
function timeOf(bus: Bus, peers: readonly BusPeer[], maxMs: number): number {
  const before = heightOf(bus);
  const start = bus.now;
  for (const peer of peers) if (peer.replica.view.mayContribute) peer.contribute();
  bus.flow();
  while (heightOf(bus) === before && bus.now < start + maxMs) bus.wait(10);
  return bus.now - start;
}

for (const [members, dead, quorum] of [
  [5, [1, 4], 'crash'],
  [7, [1, 2, 4], 'crash'],
  [7, [1, 2], 'byzantine'],
] as const)
  test(`latchReady waits for ${dead.length} of ${members} that died in one round only (G3, ${quorum})`, () => {
    const bus = createBus({ members, run: { rounds: 60, quorum, membership } });
    const gone = bus.peers.filter((_, index) => (dead as readonly number[]).includes(index));
    const left = bus.peers.filter((peer) => !gone.includes(peer));
    for (let round = 0; round < 3; round++) bus.round();
    assert.equal(heightOf(bus), 3);
    bus.drops = (from, to) => gone.includes(from) || gone.includes(to);
    const [first = 0, ...later] = Array.from({ length: 12 }, () => timeOf(bus, left, 30_000));
    assert.ok(first <= durationMaxMs + viewTimeoutMs, `${first} ms in the round in which they died`);
    assert.ok(Math.max(...later) <= 200, `${later} ms in the rounds after it`);
  });

test('latchReady counts members that vote and are slow among those whom it waits for (G4)', () => {
  const bus = createBus({ members: 5, run: { rounds: 30, membership } });
  const quick = bus.peers.slice(0, 3);
  for (let round = 1; round <= 6; round++) {
    assert.ok(timeOf(bus, quick, 5_000) >= 5_000, 'a third of the members trains still');
    timeOf(bus, bus.peers, durationMaxMs);
    assert.equal(heightOf(bus), round);
    const newest = (bus.peers[0] as BusPeer).effects.findLast((effect) => effect.kind === 'settle');
    assert.equal(newest?.block.contributions.length, 5);
  }
});

test('latchReady waits once for a member that votes and trains no more, and again when it has come back', () => {
  const bus = createBus({ members: 4, run: { rounds: 30, membership, lateHeights: 16 } });
  const others = bus.peers.slice(0, 3);
  const idle = bus.peers[3] as BusPeer;
  bus.round();
  bus.wait(100);
  assert.ok(timeOf(bus, others, 5_000) <= graceMs);
  for (let round = 0; round < 4; round++) assert.ok(timeOf(bus, others, 5_000) <= 60);
  for (const peer of others) peer.contribute();
  bus.flow();
  bus.wait(40);
  idle.contribute();
  bus.flow();
  bus.wait(100);
  const before = heightOf(bus);
  for (const peer of others) peer.contribute();
  bus.flow();
  bus.wait(55);
  assert.equal(heightOf(bus), before, 'it took 40 ms, so it gets 60');
  idle.contribute();
  bus.flow();
  bus.wait(5);
  assert.equal(heightOf(bus), before + 1);
});
