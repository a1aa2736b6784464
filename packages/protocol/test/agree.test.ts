import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeCbor } from '@murmuration/base';
import { createReplica, type Effect, type Replica } from '@murmuration/protocol';
import { depthMax, proposeGraceMs, viewTimeoutGrowth, viewTimeoutMaxMs } from '../src/defaults.ts';
import { encodeMessage } from '../src/statement.ts';
import { type Bus, type BusPeer, createBus } from './harness.ts';

interface Said {
  readonly kind: string;
  readonly body: { readonly choice?: string };
}

/** A bus of which nobody sends some statements, as long as `isMuted` says so. */
function createMutedBus(isMuted: (said: Said) => boolean): Bus {
  const said = (effect: Effect): Effect[] => {
    if (effect.kind !== 'publish') return [effect];
    const kept = (decodeCbor(effect.bytes) as Uint8Array[]).filter((it) => !isMuted(decodeCbor(it) as Said));
    return kept.length > 0 ? [{ kind: 'publish', bytes: encodeMessage(kept) }] : [];
  };
  return createBus({
    members: 4,
    run: { rounds: 60 },
    create(init, components): Replica {
      const replica = createReplica(init, components);
      return {
        handle: (event, now) => replica.handle(event, now).flatMap(said),
        get view() {
          return replica.view;
        },
      };
    },
  });
}

const sizesOf = ({ effects }: BusPeer): Map<number, number> =>
  new Map(
    effects.flatMap((effect) =>
      effect.kind === 'apply' ? [[effect.block.height, effect.block.contributions.length]] : [],
    ),
  );

test('propose takes no contributions so many blocks above the newest final one, and goes on (G4)', () => {
  assert.equal(depthMax, 8, 'as PROTOCOL.md says');
  let isFinal = false;
  const bus = createMutedBus(({ body }) => !isFinal && body.choice === 'finalize');
  const [first] = bus.peers as [BusPeer];
  for (let round = 0; round < depthMax + 3; round++) {
    bus.round();
    bus.wait(2_000);
  }
  const { head, final } = first.replica.view;
  assert.equal(final.height, 0);
  assert.ok(head.height > depthMax, `at ${head.height}`);
  for (const [height, count] of sizesOf(first)) assert.equal(count > 0, height <= depthMax, `at ${height}`);
  isFinal = true;
  for (let round = 0; round < 6; round++) {
    bus.round();
    bus.wait(4_000);
  }
  assert.ok(first.replica.view.final.height > head.height + 2);
  assert.ok((sizesOf(first).get(first.replica.view.final.height) ?? 0) > 0);
});

test('skip gives each view longer than the one before it, up to a maximum (G3)', () => {
  assert.deepEqual([viewTimeoutGrowth, viewTimeoutMaxMs], [1.5, 60_000], 'as PROTOCOL.md says');
  const bus = createMutedBus(({ kind }) => kind === 'proposal');
  const [first] = bus.peers as [BusPeer];
  bus.round();
  const times: number[] = [];
  for (let step = 0; step < 10_000 && times.length < 12; step++) {
    const { view } = first.replica.view;
    bus.wait(100);
    if (first.replica.view.view > view) times.push(bus.now);
  }
  const { viewTimeoutMs } = bus.run.round;
  const waits = times.slice(1).map((time, index) => time - (times[index] as number));
  const expected = waits.map((_, index) =>
    Math.min(viewTimeoutMaxMs, viewTimeoutMs * viewTimeoutGrowth ** (index + 1)),
  );
  for (const [index, wait] of waits.entries())
    assert.ok(Math.abs(wait - (expected[index] as number)) <= 200, `${waits} instead of ${expected}`);
  assert.equal(Math.round((waits.at(-1) as number) / 1_000), viewTimeoutMaxMs / 1_000);
});

test('propose waits so long for a delta that no quorum holds, and goes without it then (G3)', () => {
  assert.equal(proposeGraceMs, 1_000, 'as PROTOCOL.md says');
  const bus = createBus({ members: 4, run: { rounds: 9 } });
  const [proposer, , , author] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer];
  bus.outcomeOf = (peer, { input }) =>
    input?.author === author.key.peer && peer !== proposer ? undefined : 'held';
  const start = bus.now;
  bus.round();
  const proposals = ({ effects }: BusPeer): number =>
    effects.filter(
      (effect) =>
        effect.kind === 'publish' &&
        (decodeCbor(effect.bytes) as Uint8Array[]).some(
          (bytes) => (decodeCbor(bytes) as Said).kind === 'proposal',
        ),
    ).length;
  bus.wait(proposeGraceMs - 1);
  assert.equal(proposals(proposer), 0);
  bus.wait(2);
  assert.equal(proposals(proposer), 1);
  bus.wait(1_000);
  assert.ok(bus.now - start < 3_000);
  const authors = proposer.effects.flatMap((effect) =>
    effect.kind === 'apply' ? effect.block.contributions.map((contribution) => contribution.author) : [],
  );
  assert.ok(authors.length > 0 && !authors.includes(author.key.peer));
});
