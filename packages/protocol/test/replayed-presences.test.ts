import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, decodeCbor, encodeCbor, sha256 } from '@murmuration/base';
import { createReplica, type DurableRecord, type Verdict } from '@murmuration/protocol';
import { checksOf, presencesMax, strangerShare } from '../src/defaults.ts';
import { votersThere } from '../src/gather.ts';
import type { Machine } from '../src/machine.ts';
import { createRegular, replicaOf } from '../src/replica.ts';
import { decodeMessage, decodeStatement, type Presence } from '../src/statement.ts';
import { type Bus, type BusPeer, createBus } from './harness.ts';
import { createWorld, type WorldPeer } from './recovery-world.ts';
import { createStranger, presence, send } from './strangers.ts';

interface Heard {
  readonly presence: Presence;
  readonly bytes: Uint8Array;
}

const finalOf = ({ replica }: WorldPeer): number => replica?.view.final.height ?? -1;

/** What a peer hears others say of where they stand. */
function record(peer: WorldPeer): Heard[] {
  const heard: Heard[] = [];
  const handle = peer.handle.bind(peer);
  peer.handle = (event) => {
    if (event.kind === 'message')
      for (const bytes of decodeMessage(event.bytes)) {
        const statement = decodeStatement(bytes, sha256);
        if (statement.kind === 'presence') heard.push({ presence: statement.presence, bytes });
      }
    handle(event);
  };
  return heard;
}

/** Five members of which two are left, and what was said until then. */
function createSurvivors() {
  const world = createWorld({ seed: 'replayed', members: 5, trainingMs: 2_000 });
  for (const peer of world.peers) peer.start();
  const [a, b, ...gone] = world.peers as [WorldPeer, WorldPeer, ...WorldPeer[]];
  const heard = record(a);
  const saidAt = ({ id }: WorldPeer, final: number): boolean =>
    heard.some(({ presence }) => presence.peer === id && presence.final === final);
  world.until('ten rounds', () => finalOf(a) >= 10, 300_000);
  world.until(
    'a quorum at one block',
    () => finalOf(a) === finalOf(b) && gone.filter((peer) => saidAt(peer, finalOf(a))).length >= 2,
    120_000,
  );
  for (const peer of gone) peer.kill();
  world.wait(3_000);
  assert.equal(finalOf(a), finalOf(b));
  return { world, a, b, heard };
}

type Survivors = ReturnType<typeof createSurvivors>;

/** Whether both survivors come into a recovery within ten minutes in which statements are sent again and again. */
function recovers({ world, a, b }: Survivors, everySeconds: number, again: readonly Heard[]): boolean {
  const bytes = encodeCbor(again.map((heard) => heard.bytes));
  for (let second = 0; second < 600; second++) {
    world.wait(1_000);
    if (second % everySeconds === 0)
      for (const to of [a, b]) to.handle({ kind: 'message', from: (to === a ? b : a).id, bytes });
    if (a.replica?.view.recovery && b.replica?.view.recovery) return true;
  }
  return false;
}

test('notePresence takes nobody for there whose presences are sent again after its end (G7)', () => {
  const survivors = createSurvivors();
  const { world, a, b, heard } = survivors;
  const there = new Map(
    heard
      .filter(({ presence }) => presence.final === finalOf(a) && presence.peer !== b.id)
      .map((one) => [one.presence.peer, one]),
  );
  assert.ok(there.size >= 2, 'with those that stay these are a quorum');
  assert.ok(recovers(survivors, 12, [...there.values()]));
  assert.deepEqual(world.problems, []);
});

/** The presences that a peer has published, oldest first. */
const saidBy = ({ effects }: BusPeer): Uint8Array[] =>
  effects
    .flatMap((effect) => (effect.kind === 'publish' ? decodeMessage(effect.bytes) : []))
    .filter((bytes) => decodeStatement(bytes, sha256).kind === 'presence');

test('notePresence learns nothing from what a peer said before, in this life of its or an earlier one (G7)', () => {
  const machines: Machine[] = [];
  const bus = createBus({
    members: 4,
    create(init, components) {
      const machine = createRegular(init, components);
      machines.push(machine);
      return replicaOf(machine);
    },
  });
  for (let count = 0; count < 3; count++) bus.round();
  const [hearer, speaker] = bus.peers as [BusPeer, BusPeer];
  const [machine] = machines as [Machine];
  bus.wait(20_000);
  const [first] = saidBy(speaker) as [Uint8Array];
  const standing = machine.peers.get(speaker.key.peer);
  assert.equal(standing?.final, 3);
  bus.wait(12_000);
  const message = { kind: 'message', from: speaker.key.peer, bytes: encodeCbor([first]) } as const;
  const [judged] = hearer.handle(message);
  assert.ok(judged?.kind === 'verdict' && judged.verdict === 'ignore');
  assert.equal(machine.peers.get(speaker.key.peer)?.final, 3);
  assert.ok(votersThere(machine).includes(speaker.key.peer));
});

/** The number of the life that a replica begins, by the record that it writes before anything else that leaves. */
function lifeOf(bus: Bus, records: readonly DurableRecord[], wallMs: number): DurableRecord {
  const [{ key }] = bus.peers as [BusPeer];
  const init = { run: bus.run, runId: bus.runId, self: key.peer, role: 'member', wallMs } as const;
  const replica = createReplica(init, key.components);
  const effects = replica.handle({ kind: 'start', records, ledger: [], applied: undefined }, 0);
  const at = effects.findIndex((effect) => effect.kind === 'persist' && effect.record.key === 'life');
  const effect = effects[at];
  assert.ok(effect?.kind === 'persist');
  assert.ok(effects.slice(0, at).every(({ kind }) => kind !== 'publish'));
  return effect.record;
}

test('beginLife rises by the record where the clock was set back, by the clock where the record was (G8)', () => {
  const bus = createBus();
  const life = ({ bytes }: DurableRecord): unknown => decodeCbor(bytes);
  const first = lifeOf(bus, [], 1_000.5);
  assert.equal(life(first), 1_000);
  const again = lifeOf(bus, [first], 1_000.5);
  assert.equal(life(again), 1_001);
  assert.equal(life(lifeOf(bus, [again], -5)), 1_002);
  assert.equal(life(lifeOf(bus, [first], 5_000)), 5_000);
});

test('signPresence never uses a number twice, in no life and for neither machine of a replica (G7)', () => {
  const survivors = createSurvivors();
  const { world, b, heard } = survivors;
  assert.ok(recovers(survivors, 1_000, heard.slice(0, 1)));
  world.wait(30_000);
  b.kill();
  b.start();
  world.wait(30_000);
  const said = heard.map(({ presence }) => presence).filter(({ peer }) => peer === b.id);
  const newest = said.slice(-20);
  assert.ok(newest.some(({ opening }) => opening === null) && newest.some(({ opening }) => opening !== null));
  assert.equal(new Set(said.map(({ life }) => life)).size, 2);
  const bodies = new Set(said.map((presence) => JSON.stringify(presence)));
  assert.equal(new Set(said.map(({ life, count }) => `${life} ${count}`)).size, bodies.size);
});

test('receivePresence passes on what a stranger says in another recovery once, for one check (G6)', () => {
  const bus = createBus({ members: 4, run: { rounds: 40 } });
  const [peer] = bus.peers as [BusPeer];
  const key = createStranger();
  const elsewhere = presence(bus, key, 0, cidOf(encodeCbor('another opening')));
  const before = peer.checks;
  const verdicts: Verdict[] = [];
  for (let count = 0; count < 1_000; count++) {
    verdicts.push(send(peer, key, elsewhere));
    bus.now += 100;
  }
  assert.deepEqual(
    verdicts.slice(1).filter((verdict) => verdict !== 'ignore'),
    [],
  );
  assert.notEqual(verdicts[0], 'reject');
  assert.equal(peer.checks - before, 1);
});

test('receivePresence passes on nothing again of a stranger that others have pushed out of its place (G6)', () => {
  const bus = createBus({ members: 4, run: { rounds: 40 } });
  const [peer] = bus.peers as [BusPeer];
  const places = Math.floor(presencesMax / strangerShare);
  const said = Array.from({ length: 3 * places }, () => {
    const key = createStranger();
    return { key, bytes: presence(bus, key) };
  });
  const before = peer.checks;
  const tell = (): Verdict[] =>
    said.map(({ key, bytes }) => {
      bus.now += 2_000 / checksOf.presence.stranger.perSecond;
      return send(peer, key, bytes);
    });
  assert.deepEqual(new Set(tell()), new Set<Verdict>(['accept']));
  for (let round = 0; round < 3; round++) assert.deepEqual(new Set(tell()), new Set<Verdict>(['ignore']));
  assert.equal(peer.checks - before, said.length);
});
