import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeCbor, encodeCbor } from '@murmuration/base';
import {
  type Checkpoint,
  type Effect,
  firstEntryOf,
  type LedgerEntry,
  openCheckpoint,
  ProtocolError,
  readLedgerEntry,
} from '@murmuration/protocol';
import { type Bus, type BusPeer, createBus, createKey } from './harness.ts';

const first = (bus: Bus): BusPeer => bus.peers[0] as BusPeer;
const kinds = (effects: readonly Effect[]): string[] => effects.map(({ kind }) => kind);

const checkpointAt = (bus: Bus, height: number): Checkpoint => ({
  height,
  block: readLedgerEntry((first(bus).ledger[height - 1] as LedgerEntry).bytes, bus.runId).id,
});

function open(
  bus: Bus,
  checkpoint: Checkpoint,
  changes: { readonly entries?: readonly LedgerEntry[]; readonly state?: Uint8Array } = {},
): Uint8Array {
  const { run, runId } = bus;
  const { ledger, states } = first(bus);
  const entries = ledger.slice(firstEntryOf(run, checkpoint) - 1, checkpoint.height + 8);
  const state = states.get(checkpoint.height) ?? new Uint8Array();
  const said = { run, runId, checkpoint, entries, state, ...changes };
  return openCheckpoint(said, createKey(1).components);
}

/** A run of four, later three, members with a snapshot at every fourth round. */
function travelled(rounds: number, options: { readonly leaveAt?: number } = {}): Bus {
  const bus = createBus({ members: 4, run: { rounds: 200, snapshotEvery: 4 } });
  for (let round = 1; round <= rounds; round++) {
    if (round === options.leaveAt) (bus.peers[3] as BusPeer).handle({ kind: 'leave' });
    bus.round();
    bus.wait(2_000);
  }
  assert.ok(first(bus).replica.view.final.height >= rounds, `${first(bus).replica.view.final.height}`);
  return bus;
}

test('openCheckpoint follows from the pinned block alone, across a change of the roster', () => {
  const bus = travelled(14, { leaveAt: 5 });
  const { view } = first(bus).replica;
  assert.equal(view.members.length, 3);
  assert.equal(view.epoch, 1);
  for (const height of [4, 8, 12]) assert.ok(open(bus, checkpointAt(bus, height)).length > 100);
});

test('openCheckpoint refuses what does not follow from the pinned block', () => {
  const bus = travelled(10);
  const checkpoint = checkpointAt(bus, 8);
  const { ledger, states } = first(bus);
  const entries = ledger.slice(firstEntryOf(bus.run, checkpoint) - 1, 10);
  const forged = (change: (entry: Record<string, unknown>) => void): LedgerEntry[] =>
    entries.map(({ height, bytes }) => {
      const value = decodeCbor(bytes) as Record<string, unknown>;
      change(value);
      return { height, bytes: encodeCbor(value) };
    });
  const state = states.get(8) as Uint8Array;
  const other = { ...(decodeCbor(state) as Record<string, unknown>), tokens: 1 };
  const refused: readonly (readonly [string, () => unknown, RegExp])[] = [
    ['another block', () => open(bus, checkpointAt(bus, 4), { entries, state }), /another|expected/],
    ['a wrong name', () => open(bus, { ...checkpoint, block: checkpointAt(bus, 7).block }), /expected block/],
    ['another state', () => open(bus, checkpoint, { state: encodeCbor(other) }), /ledger state is not/],
    [
      'the state of another height',
      () => open(bus, checkpoint, { state: states.get(4) as Uint8Array }),
      /not that/,
    ],
    ['no state', () => open(bus, checkpoint, { state: new Uint8Array() }), /state/],
    ['rubbish', () => open(bus, checkpoint, { state: Uint8Array.of(1, 2, 3) }), /checkpoint/],
    ['a state with more', () => open(bus, checkpoint, { state: encodeCbor({ ...other, more: 1 }) }), /state/],
    ['too few entries', () => open(bus, checkpoint, { entries: entries.slice(0, 2) }), /expected entries/],
    [
      'a gap',
      () => open(bus, checkpoint, { entries: [entries[0], ...entries.slice(2)] as LedgerEntry[] }),
      /expected/,
    ],
    [
      'no certificate',
      () => open(bus, checkpoint, { entries: forged((entry) => (entry.certificate = null)) }),
      /expected a certificate/,
    ],
    [
      'a certificate of another epoch',
      () =>
        open(bus, checkpoint, {
          entries: forged((entry) => {
            const certificate = entry.certificate as Record<string, unknown> | null;
            if (certificate) entry.certificate = { ...certificate, opened: checkpoint.block };
          }),
        }),
      /wrong signature/,
    ],
  ];
  for (const [name, act, message] of refused)
    assert.throws(
      act,
      (error) =>
        error instanceof ProtocolError && error.code === 'bad-checkpoint' && message.test(error.message),
      name,
    );
});

test('a newcomer from a checkpoint follows roster changes, takes the newest snapshot and contributes in the next round', () => {
  const bus = travelled(14, { leaveAt: 10 });
  const newcomer = bus.join(33, open(bus, checkpointAt(bus, 8)));
  assert.equal(newcomer.replica.view.mayContribute, false);
  bus.wait(20_000);
  const { view } = newcomer.replica;
  const final = first(bus).replica.view.final.height;
  assert.equal(view.final.height, final);
  assert.deepEqual(view.members, first(bus).replica.view.members);
  assert.ok(kinds(newcomer.effects).includes('install'));
  assert.ok(view.mayContribute);
  newcomer.contribute();
  bus.wait(1_000);
  const asked = newcomer.effects.filter((effect) => effect.kind === 'sync');
  assert.ok(
    asked.every(({ fromHeight }) => fromHeight > 8),
    'the older ledger is not needed',
  );
  for (let round = 0; round < 2; round++) {
    bus.round();
    bus.wait(5_000);
  }
  const certified = first(bus)
    .ledger.slice(final)
    .flatMap(({ bytes }) => readLedgerEntry(bytes, bus.runId).contributions)
    .find(({ author }) => author === newcomer.key.peer);
  assert.equal(certified?.baseHeight, final, 'what it trained on the state that it had just taken');
  assert.equal(newcomer.replica.view.final.block, first(bus).replica.view.final.block);
});

test('a newcomer from a checkpoint starts again where it was', () => {
  const bus = travelled(10);
  const newcomer = bus.join(33, open(bus, checkpointAt(bus, 8)));
  bus.wait(20_000);
  const before = newcomer.replica.view;
  assert.ok(before.mayContribute);
  newcomer.restart({ ledger: newcomer.ledger.slice(8) });
  assert.equal(newcomer.replica.view.final.height, before.final.height);
  assert.equal(newcomer.replica.view.final.block, before.final.block);
});

test('a newcomer that begins so early that genesis is a base takes work from there (G7)', () => {
  const bus = createBus({ members: 4, run: { rounds: 40, snapshotEvery: 2 } });
  assert.ok(bus.run.snapshotEvery < bus.run.lateHeights);
  const late = bus.peers[3] as BusPeer;
  const genesis = late.replica.view.head.block;
  bus.drops = (from, to) => from === late || to === late;
  for (let round = 0; round < 2; round++) {
    bus.round();
    bus.wait(2_000);
  }
  assert.equal(first(bus).replica.view.final.height, 2);
  const base = open(bus, checkpointAt(bus, 2));
  const newcomer = bus.join(33, base);
  bus.drops = (_, to) => to === newcomer;
  for (let round = 0; round < 2; round++) {
    bus.wait(20_000);
    bus.round();
  }
  const later = first(bus).ledger.slice(2);
  assert.equal(later.length, 2);
  const taken = later.flatMap(({ bytes }) => readLedgerEntry(bytes, bus.runId).contributions);
  assert.ok(taken.some((contribution) => contribution.base === genesis));
  newcomer.handle({ kind: 'synced', from: first(bus).key.peer, entries: later });
  assert.deepEqual(newcomer.replica.view.final, first(bus).replica.view.final);
});
