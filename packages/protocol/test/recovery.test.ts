import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom, type Random } from '@murmuration/base';
import { createOpening, encodeOpening, parseOpening, type Replica, signOpening } from '@murmuration/protocol';
import { createWorld, type World, type WorldPeer } from './recovery-world.ts';
import { signatureOf } from './signed-watch.ts';

/** Rounds of a few seconds: what takes minutes here are stalls. */
const trainingMs = 2_000;

const finalOf = ({ replica }: WorldPeer): number => replica?.view.final.height ?? -1;
const recoveryOf = ({ replica }: WorldPeer) => replica?.view.recovery;
const split =
  (...sides: readonly (readonly number[])[]) =>
  (a: WorldPeer, b: WorldPeer): boolean =>
    sides.some((side) => side.includes(a.index) && side.includes(b.index));

function begin(world: World): void {
  for (const peer of world.peers) peer.start();
  world.until('three rounds', () => world.peers.every((peer) => finalOf(peer) >= 3), 30_000);
}

function isTogether(world: World): boolean {
  const [first] = world.peers;
  return world.peers.every(
    (peer) =>
      recoveryOf(peer) === undefined &&
      peer.replica?.view.final.block === first?.replica?.view.final.block &&
      peer.replica?.view.epoch === first?.replica?.view.epoch,
  );
}

/** Lets the network be whole again until everybody is on one ledger and some rounds were certified. */
function heal(world: World): void {
  const before = Math.max(...world.peers.map(finalOf));
  world.connected = () => true;
  world.meet();
  world.until('new rounds', () => Math.min(...world.peers.map(finalOf)) > before + 4, 400_000);
  world.until('one ledger', () => isTogether(world), 10_000);
}

test('survivors open a recovery, train on, and give it up for the chain that the regular quorum went on with (G1, G4, G7)', () => {
  const world = createWorld({ seed: 'minority', members: 5, trainingMs });
  begin(world);
  world.connected = split([0, 1], [2, 3, 4]);
  world.meet();
  const [a, b] = world.peers as [WorldPeer, WorldPeer];
  world.until('a recovery of two', () => !!recoveryOf(a) && !!recoveryOf(b), 120_000);
  assert.deepEqual(recoveryOf(a)?.listed, [a.id, b.id]);
  world.until('provisional rounds', () => (recoveryOf(a)?.final.height ?? 0) > finalOf(a) + 3, 60_000);
  const left = finalOf(a);
  assert.ok(finalOf(world.peers[3] as WorldPeer) > left + 10);
  heal(world);
  assert.deepEqual(world.problems, []);
  assert.ok(a.reports.some((report) => report.kind === 'recovery' && report.state === 'abandoned'));
  const twice = [...world.balance()].filter(([, count]) => count !== 1);
  assert.deepEqual(twice, []);
});

test('a regular quorum that returns adopts what survivors certified, and nothing of it is lost (G1, G4)', () => {
  const world = createWorld({ seed: 'adoption', members: 5, trainingMs });
  begin(world);
  for (const index of [2, 3, 4]) world.peers[index]?.kill();
  const [a, b, c] = world.peers as [WorldPeer, WorldPeer, WorldPeer];
  world.until('a recovery of two', () => !!recoveryOf(a) && !!recoveryOf(b), 120_000);
  world.until('provisional rounds', () => (recoveryOf(a)?.final.height ?? 0) > finalOf(a) + 3, 60_000);
  const provisional = recoveryOf(a)?.final.height ?? 0;
  const tokens = a.replica?.view.tokens ?? 0;
  c.start();
  world.until('the adoption', () => [a, b, c].every((peer) => finalOf(peer) > provisional + 3), 400_000);
  assert.ok([a, b, c].every((peer) => recoveryOf(peer) === undefined));
  assert.ok((a.replica?.view.tokens ?? 0) > tokens + 4_000);
  for (const index of [3, 4]) world.peers[index]?.start();
  heal(world);
  assert.deepEqual(world.problems, []);
  assert.ok(a.reports.some((report) => report.kind === 'recovery' && report.state === 'adopted'));
  assert.deepEqual(
    [...world.balance()].filter(([, count]) => count !== 1),
    [],
  );
});

test('who dies while it stores what was adopted remembers what it signed in the epoch that stalled (G8)', () => {
  const moments = new Set(['settle', 'forget', 'apply']);
  for (let place = 1, isWithin = true; isWithin; place++) {
    const world = createWorld({ seed: 'adoption', members: 5, trainingMs, stallMs: 10_000 });
    begin(world);
    for (const index of [2, 3, 4]) world.peers[index]?.kill();
    const [a, b, c] = world.peers as [WorldPeer, WorldPeer, WorldPeer];
    world.until('a recovery of two', () => !!recoveryOf(a) && !!recoveryOf(b), 60_000);
    const rounds = (): number => (recoveryOf(a)?.final.height ?? 0) - finalOf(a);
    world.until('provisional rounds', () => rounds() > 2, 60_000);
    let passed = 0;
    world.crashes = (peer, { kind }) => {
      const counts = peer === a && (passed > 0 ? moments.has(kind) : kind === 'settle');
      return counts && ++passed === place;
    };
    c.start();
    world.until('the crash', () => a.replica === undefined, 400_000);
    isWithin = world.certified.get(a.ledger.length)?.epoch !== 0;
    const kept = [...a.records.keys()].map((key) => key.split('/')[0]);
    if (a.records.has('recovery/opening')) assert.ok(kept.includes('opening') && kept.includes('vote'));
    for (const index of [0, 3, 4]) world.peers[index]?.start();
    heal(world);
    assert.deepEqual(world.problems, [], `effect ${place}`);
    assert.equal(a.records.has('recovery/opening'), false);
  }
});

test('of two recoveries that meet the one with more signers, then the smaller name, goes on, and both become regular (G7)', () => {
  for (const seed of ['one', 'two']) {
    const world = createWorld({ seed, members: 8, trainingMs, stallMs: 20_000 });
    begin(world);
    world.connected = split([0, 1, 2], [3, 4], [5], [6], [7]);
    world.meet();
    const large = world.peers.slice(0, 3);
    const small = world.peers.slice(3, 5);
    const both = [...large, ...small];
    world.until('two recoveries', () => both.every((peer) => recoveryOf(peer)), 120_000);
    world.until(
      'rounds of both',
      () => both.every((p) => (recoveryOf(p)?.final.height ?? 0) > finalOf(p) + 2),
      60_000,
    );
    assert.equal(new Set(both.map((peer) => recoveryOf(peer)?.opening)).size, 2);
    world.connected = split([0, 1, 3, 4], [2], [5], [6], [7]);
    world.meet();
    const met = [0, 1, 3, 4].map((index) => world.peers[index] as WorldPeer);
    const better = recoveryOf(met[0] as WorldPeer)?.opening;
    world.until('one recovery', () => met.every((peer) => recoveryOf(peer)?.opening === better), 120_000);
    heal(world);
    assert.deepEqual(world.problems, [], seed);
    assert.deepEqual(
      [...world.balance()].filter(([, count]) => count !== 1),
      [],
      seed,
    );
  }
});

test('of two halves that went on without a quorum the work of one becomes regular, whoever returns first (G4, G7)', () => {
  for (const seed of ['one', 'two', 'h 31']) {
    const world = createWorld({ seed, members: 4, trainingMs, stallMs: 20_000 });
    begin(world);
    world.connected = split([0, 1], [2, 3]);
    world.meet();
    const rounds = (peer: WorldPeer): number => (recoveryOf(peer)?.final.height ?? 0) - finalOf(peer);
    world.until('rounds of both', () => world.peers.every((peer) => rounds(peer) > 2), 120_000);
    const [, , c, d] = world.peers as [WorldPeer, WorldPeer, WorldPeer, WorldPeer];
    for (const peer of [c, d]) peer.kill();
    for (const peer of [c, d]) peer.start();
    heal(world);
    assert.deepEqual(world.problems, [], seed);
    const adopted = world.peers.filter(({ reports }) =>
      reports.some((report) => report.kind === 'recovery' && report.state === 'adopted'),
    );
    assert.ok(adopted.length > 1, `${seed}: both gave up what they had certified`);
  }
});

/** An opening by founders, as `murmur recover` makes it on several machines, one after another. */
function openingBy(
  world: World,
  founders: readonly WorldPeer[],
  listed: readonly WorldPeer[],
  fork: WorldPeer,
): Uint8Array {
  const { block, height } = (fork.replica as Replica).view.final;
  const terms = { runId: world.runId, fork: block, height, attempt: 0, authority: 'founders' as const };
  const bytes = createOpening({
    ...terms,
    ...(fork.replica as Replica).view.opens,
    listed: listed.map(({ id }) => id),
  });
  return founders.reduce(
    (signed, { id }) => signOpening(signed, id, (message) => signatureOf(id, message)),
    bytes,
  );
}

test('a founder quorum reopens a byzantine run that has lost its quorum, and the ledger says so (G1, G7)', () => {
  const world = createWorld({ seed: 'founders', members: 4, quorum: 'byzantine', trainingMs });
  begin(world);
  for (const index of [2, 3]) world.peers[index]?.kill();
  const [a, b, c, d] = world.peers as [WorldPeer, WorldPeer, WorldPeer, WorldPeer];
  world.wait(120_000);
  assert.equal(recoveryOf(a), undefined);
  const stalled = finalOf(a);
  world.until('one height', () => finalOf(a) === finalOf(b), 10_000);
  const tooFew = openingBy(world, [a, b], [a, b], a);
  a.handle({ kind: 'opening', opening: tooFew });
  world.wait(20_000);
  assert.equal(finalOf(a), stalled);
  a.handle({ kind: 'opening', opening: openingBy(world, [a, b, d], [a, b], a) });
  world.until('rounds of the new roster', () => finalOf(a) > stalled + 3 && finalOf(b) > stalled + 3, 60_000);
  assert.deepEqual(a.replica?.view.members, [a.id, b.id]);
  a.kill();
  a.start();
  c.start();
  world.until('the others follow', () => finalOf(c) > stalled + 3 && finalOf(a) > stalled + 4, 60_000);
  assert.deepEqual(world.problems, []);
  assert.equal(c.replica?.view.role, 'guest');
  assert.deepEqual(world.problems, []);
});

test('an opening by founders is refused when one of them signed nothing, or in another run', () => {
  const world = createWorld({ seed: 'forged', members: 4, quorum: 'byzantine', trainingMs });
  begin(world);
  const [a, b] = world.peers as [WorldPeer, WorldPeer];
  const bytes = openingBy(world, [a, b], [a, b], a);
  const other = createWorld({ seed: 'other', members: 5, quorum: 'byzantine', trainingMs });
  begin(other);
  const mine = other.peers[0] as WorldPeer;
  assert.throws(() => mine.handle({ kind: 'opening', opening: bytes }), /another run/);
  const forged = parseOpening(bytes);
  const wrong = forged.signatures.map((entry) => ({ ...entry, signature: new Uint8Array(64) }));
  const opening = encodeOpening({ ...forged, signatures: wrong });
  assert.throws(() => a.handle({ kind: 'opening', opening }), /wrong signature/);
});

/** Four to seven members and a guest, who may go on without a quorum after 20 s. */
const worldOf = (seed: string, random: Random): World =>
  createWorld({
    seed,
    members: 4 + random.below(4),
    guests: 1,
    rounds: 4_000,
    stallMs: 20_000,
    trainingMs,
  });

/** Three times other sides, of members and of a guest who joins wherever it is; then the network is whole again. */
function shuffle(world: World, random: Random, wait: (ms: number) => void): void {
  for (const peer of world.peers) peer.start();
  wait(10_000);
  for (let time = 0; time < 3; time++) {
    const sides = world.peers.map(() => random.below(3));
    world.connected = (a, b) => sides[a.index] === sides[b.index];
    world.meet();
    wait(30_000 + random.below(90_000));
  }
}

for (const seed of ['1', '2', '3'])
  test(`every order of partitions ends in one ledger, and no work is lost or counted twice: seed ${seed} (G1, G4, G7, G8)`, () => {
    const random = createRandom(`partitions ${seed}`);
    const world = worldOf(seed, random);
    shuffle(world, random, (ms) => world.wait(ms));
    heal(world);
    assert.deepEqual(world.problems, []);
    assert.deepEqual(
      [...world.balance()].filter(([, count]) => count !== 1),
      [],
    );
  });

for (const seed of ['1', '2', '3'])
  test(`crashes after any effect contradict nothing that was signed and end in one ledger: seed ${seed} (G1, G7, G8)`, () => {
    const random = createRandom(`crashes ${seed}`);
    const world = worldOf(seed, random);
    const down: { readonly peer: WorldPeer; readonly until: number }[] = [];
    const next = world.peers.map(() => 200 + random.below(3_000));
    world.crashes = (peer, effect) => {
      const isRare = ['fork', 'rewind', 'provision'].includes(effect.kind) && random.below(10) === 0;
      if (peer.effects !== next[peer.index] && !isRare) return false;
      next[peer.index] = peer.effects + 500 + random.below(3_000);
      down.push({ peer, until: world.now + 200 + random.below(60_000) });
      return true;
    };
    const wait = (ms: number): void => {
      for (const end = world.now + ms; world.now < end; ) {
        world.wait(250);
        for (const { peer, until } of down) if (until <= world.now) peer.start();
      }
    };
    shuffle(world, random, wait);
    world.crashes = () => false;
    for (const peer of world.peers) peer.start();
    heal(world);
    assert.deepEqual(world.problems, []);
  });
