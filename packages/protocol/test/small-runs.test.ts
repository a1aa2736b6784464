import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bus, type BusPeer, createBus } from './harness.ts';

const never = { votersMax: 64, earnedAfter: 0, silentAfter: 0, stallMs: 0 };

function rounds(bus: Bus, count: number): void {
  for (let round = 0; round < count; round++) {
    bus.round();
    bus.wait(2_000);
  }
}

/** Nobody hears these peers, and they hear nobody. */
function sleep(bus: Bus, ...asleep: readonly BusPeer[]): void {
  bus.drops = (from, to) => asleep.includes(from) || asleep.includes(to);
}

/** Everybody is heard again, and has time to notice. */
function wake(bus: Bus): void {
  bus.drops = () => false;
  bus.wait(60_000);
}

const heightOf = ({ replica }: BusPeer): number => replica.view.final.height;
const rootsOf = (bus: Bus): ReadonlySet<string> =>
  new Set(bus.peers.map(({ replica }) => Buffer.from(replica.view.final.stateRoot).toString('hex')));

/** Certified contributions of a peer, in anybody's ledger. */
const certifiedOf = (bus: Bus, { key }: BusPeer): number =>
  (bus.peers[0] as BusPeer).effects
    .flatMap((effect) => (effect.kind === 'settle' ? effect.block.contributions : []))
    .filter(({ author }) => author === key.peer).length;

test('a run of one certifies by itself, and goes on where it was after each restart (G3, G8)', () => {
  const bus = createBus({ members: 1, run: { rounds: 6 } });
  const [alone] = bus.peers as [BusPeer];
  for (let life = 1; life <= 3; life++) {
    rounds(bus, 1);
    assert.equal(heightOf(alone), life);
    const { stateRoot } = alone.replica.view.final;
    alone.restart();
    bus.wait(5_000);
    assert.deepEqual(alone.replica.view.final.stateRoot, stateRoot);
  }
  rounds(bus, 3);
  assert.equal(alone.replica.view.phase, 'ended');
});

for (const quorum of ['crash', 'byzantine'] as const)
  test(`a run of two needs both (${quorum}): one alone keeps its work, and nothing is certified (G4, G7)`, () => {
    const bus = createBus({ members: 2, run: { rounds: 20, quorum, membership: never } });
    const [first, second] = bus.peers as [BusPeer, BusPeer];
    rounds(bus, 2);
    sleep(bus, second);
    rounds(bus, 5);
    assert.deepEqual([heightOf(first), heightOf(second)], [2, 2]);
    const waiting = first.replica.view.pending;
    assert.ok(waiting, 'its contribution waits');
    wake(bus);
    rounds(bus, 2);
    assert.ok(heightOf(first) >= 4);
    assert.equal(heightOf(first), heightOf(second));
    const certified = first.effects.flatMap((effect) =>
      effect.kind === 'settle' ? effect.block.contributions.map(({ cid }) => cid) : [],
    );
    assert.ok(certified.includes(waiting.cid), 'what waited is certified');
    assert.equal(rootsOf(bus).size, 1);
  });

test('a run of two goes on by itself after one has left', () => {
  const bus = createBus({ members: 2, run: { rounds: 20 } });
  const [first, second] = bus.peers as [BusPeer, BusPeer];
  rounds(bus, 2);
  second.handle({ kind: 'leave' });
  bus.flow();
  rounds(bus, 2);
  sleep(bus, second);
  const before = heightOf(first);
  rounds(bus, 3);
  assert.ok(heightOf(first) >= before + 3);
  assert.deepEqual(first.replica.view.voters, [first.key.peer]);
});

test('a run of three goes on with any two of a crash run (G3)', () => {
  for (let away = 0; away < 3; away++) {
    const bus = createBus({ members: 3, run: { rounds: 40, membership: never } });
    const absent = bus.peers[away] as BusPeer;
    const present = bus.peers[(away + 1) % 3] as BusPeer;
    rounds(bus, 1);
    sleep(bus, absent);
    rounds(bus, 12);
    assert.ok(heightOf(present) >= 6, `${heightOf(present)} rounds without member ${away}`);
    assert.equal(heightOf(absent), 1);
    wake(bus);
    rounds(bus, 4);
    assert.equal(heightOf(absent), heightOf(present));
    assert.equal(rootsOf(bus).size, 1);
  }
});

test('a run of three waits for all in a byzantine run, and for a second one in a crash run (G1)', () => {
  const bus = createBus({ members: 3, run: { rounds: 40, quorum: 'byzantine', membership: never } });
  const crash = createBus({ members: 3, run: { rounds: 40, membership: never } });
  rounds(bus, 1);
  rounds(crash, 1);
  sleep(bus, bus.peers[2] as BusPeer);
  sleep(crash, ...crash.peers.slice(1));
  rounds(bus, 4);
  rounds(crash, 4);
  assert.deepEqual(bus.peers.map(heightOf), [1, 1, 1]);
  assert.deepEqual(crash.peers.map(heightOf), [1, 1, 1]);
  wake(bus);
  wake(crash);
  rounds(bus, 2);
  rounds(crash, 2);
  for (const run of [bus, crash]) {
    assert.ok(heightOf(run.peers[0] as BusPeer) >= 3);
    assert.equal(rootsOf(run).size, 1);
  }
});

test('founders that never come keep nobody waiting while a quorum is there, and retire for their silence', () => {
  const bus = createBus({ members: 5, run: { rounds: 60, membership: { ...never, silentAfter: 6 } } });
  const [first, , , ...missing] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer, BusPeer];
  sleep(bus, ...missing);
  rounds(bus, 30);
  assert.ok(heightOf(first) >= 8, `${heightOf(first)} rounds`);
  assert.deepEqual(
    first.replica.view.members,
    bus.peers.slice(0, 3).map(({ key }) => key.peer),
  );
});

test('a run begins with the founder that completes its quorum, and what the others trained before counts', () => {
  const bus = createBus({ members: 5, run: { rounds: 20, membership: never } });
  const [first, second, third, ...missing] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer, BusPeer];
  sleep(bus, third, ...missing);
  rounds(bus, 3);
  assert.equal(heightOf(first), 0);
  const waiting = [first, second].map(({ replica }) => replica.view.pending?.cid);
  assert.ok(waiting.every((cid) => cid !== undefined));
  sleep(bus, ...missing);
  bus.wait(60_000);
  rounds(bus, 6);
  assert.ok(heightOf(first) >= 2, `${heightOf(first)} rounds`);
  for (const peer of [first, second]) assert.ok(certifiedOf(bus, peer) >= 1);
});

test('a member that sleeps at night is a member in the morning, and its work of the evening is not lost (G4)', () => {
  const bus = createBus({ members: 4, run: { rounds: 60, membership: { ...never, silentAfter: 30 } } });
  const [first, , , sleeper] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer];
  rounds(bus, 2);
  sleep(bus, sleeper);
  rounds(bus, 22);
  const before = certifiedOf(bus, sleeper);
  const night = heightOf(first) - heightOf(sleeper);
  assert.ok(night >= 10 && night < 30, `a night of ${night} rounds`);
  const expired = sleeper.effects.length;
  wake(bus);
  rounds(bus, 3);
  assert.equal(sleeper.replica.view.role, 'member');
  assert.equal(heightOf(sleeper), heightOf(first));
  assert.ok(certifiedOf(bus, sleeper) > before);
  const after = sleeper.effects.slice(expired);
  assert.ok(
    after.some(({ kind }) => kind === 'expire'),
    'the old contribution returns to the local parameters',
  );
  assert.equal(rootsOf(bus).size, 1);
});

test('a member that was away for too long comes back as a guest, keeps its tokens, and earns its place again', () => {
  const membership = { ...never, silentAfter: 6, earnedAfter: 3 };
  const bus = createBus({ members: 5, run: { rounds: 80, membership } });
  const [first, , , , traveller] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer, BusPeer];
  rounds(bus, 2);
  sleep(bus, traveller);
  rounds(bus, 20);
  assert.equal(first.replica.view.members.length, 4);
  wake(bus);
  rounds(bus, 1);
  assert.equal(traveller.replica.view.role, 'guest');
  rounds(bus, 10);
  assert.equal(traveller.replica.view.role, 'member');
  assert.equal(rootsOf(bus).size, 1);
});

test('when all sleep but one, that one goes on training and the run goes on in the morning', () => {
  const bus = createBus({ members: 3, run: { rounds: 20, membership: { ...never, silentAfter: 4 } } });
  const [awake, ...others] = bus.peers as [BusPeer, BusPeer, BusPeer];
  rounds(bus, 1);
  sleep(bus, ...others);
  rounds(bus, 20);
  assert.equal(heightOf(awake), 1);
  assert.equal(awake.replica.view.members.length, 3);
  wake(bus);
  rounds(bus, 3);
  assert.ok(heightOf(awake) >= 3);
  assert.equal(rootsOf(bus).size, 1);
});

test('a lone voter that was put back unnoticed survives what it signed before (G3)', () => {
  const bus = createBus({ members: 1, guests: 1, run: { rounds: 80 } });
  const [alone, guest] = bus.peers as [BusPeer, BusPeer];
  rounds(bus, 3);
  const backup = { records: [...alone.records.values()], ledger: [...alone.ledger] };
  rounds(bus, 4);
  bus.drops = () => true;
  alone.restart(backup);
  rounds(bus, 3);
  assert.equal(alone.replica.view.final.height, 6);
  bus.drops = () => false;
  assert.doesNotThrow(() => rounds(bus, 6));
  assert.ok(guest.replica.view.final.height >= 7);
  alone.restart();
  assert.doesNotThrow(() => rounds(bus, 2));
});
