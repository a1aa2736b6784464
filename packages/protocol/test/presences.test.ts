import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '@murmuration/base';
import { callersAtOnce, voterShowsMs } from '../src/defaults.ts';
import { decodeMessage, decodeStatement, type Presence } from '../src/statement.ts';
import { type Bus, type BusPeer, createBus } from './harness.ts';

/** The presences that a peer has published since `from` effects. */
const presencesOf = ({ effects }: BusPeer, from = 0): Presence[] =>
  effects
    .slice(from)
    .flatMap((effect) => (effect.kind === 'publish' ? decodeMessage(effect.bytes) : []))
    .flatMap((bytes) => {
      const statement = decodeStatement(bytes, sha256);
      return statement.kind === 'presence' ? [statement.presence] : [];
    });

const marksOf = ({ peers }: Bus): number[] => peers.map(({ effects }) => effects.length);

/** Presences since the marks, peer by peer. */
const since = ({ peers }: Bus, marks: readonly number[]): Presence[][] =>
  peers.map((peer, index) => presencesOf(peer, marks[index]));

function calmBus(stallMs: number): Bus {
  const membership = { votersMax: 64, earnedAfter: 0, silentAfter: 0, stallMs };
  const bus = createBus({ members: 9, run: { rounds: 20, membership } });
  bus.wait(3_000);
  for (let count = 0; count < 3; count++) bus.round();
  return bus;
}

test('createReplica leaves it to two voters at a time to say where all stand while nothing is under way (G6)', () => {
  const bus = calmBus(0);
  const marks = marksOf(bus);
  bus.wait(1_100);
  const spoken = since(bus, marks).filter((presences) => presences.length > 0);
  assert.equal(spoken.length, callersAtOnce);
  bus.wait(120_000);
  const all = since(bus, marks);
  assert.ok(
    all.every((presences) => presences.length > 0),
    'everybody has its turn',
  );
  const most = Math.max(...all.map(({ length }) => length));
  assert.ok(most <= 6, `${most} presences of one voter in two minutes`);
});

test('createReplica shows a voter in time where survivors may open a recovery (G7)', () => {
  const bus = calmBus(600_000);
  bus.wait(voterShowsMs);
  const marks = marksOf(bus);
  bus.wait(voterShowsMs + 1_000);
  for (const presences of since(bus, marks)) assert.ok(presences.length >= 1);
});

test('createReplica names each delta once per final block, and none that a quorum is known to hold (G6)', () => {
  const bus = calmBus(0);
  const marks = marksOf(bus);
  bus.round();
  const [before] = bus.peers as [BusPeer];
  const { height } = before.replica.view.final;
  assert.equal(height, 4);
  const said = since(bus, marks).map((presences) =>
    presences.flatMap(({ block, holds }) => holds.map((one) => `${block} ${one}`)),
  );
  for (const names of said) assert.equal(new Set(names).size, names.length);
  const inAll = said.flat().length;
  assert.ok(inAll > 0 && inAll < 9 * 9, `${inAll} names of nine deltas by nine voters`);
});
