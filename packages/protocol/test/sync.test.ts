import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, decodeCbor, encodeCbor, type PeerId, runDigest } from '@murmuration/base';
import { createReplica, type Effect, type LedgerEntry, readLedgerEntry } from '@murmuration/protocol';
import { installTimeoutMs } from '../src/defaults.ts';
import { encodeMessage, encodeSigned, presenceBody } from '../src/statement.ts';
import { type Bus, type BusPeer, createBus, createKey, type Key } from './harness.ts';

function certified(rounds: number): { readonly bus: Bus; readonly ledger: readonly LedgerEntry[] } {
  const bus = createBus({ members: 4, run: { rounds } });
  for (let round = 0; round < rounds; round++) bus.round();
  return { bus, ledger: (bus.peers[0] as BusPeer).ledger };
}

const newcomer = (bus: Bus, entries: readonly LedgerEntry[], snapshotEvery = false) => {
  const key = createKey(33);
  const replica = createReplica(
    { run: bus.run, runId: bus.runId, self: key.peer, role: 'guest', wallMs: 0 },
    key.components,
  );
  replica.handle({ kind: 'start', records: [], ledger: [], applied: undefined }, 0);
  const effects = replica.handle({ kind: 'synced', from: bus.peers[0]?.key.peer as never, entries }, 1);
  const wanted = effects.filter((effect) => effect.kind === 'fetch').length;
  return { replica, effects, wanted, snapshotEvery };
};

const forge = (entry: LedgerEntry, change: (value: Record<string, unknown>) => void): LedgerEntry => {
  const value = decodeCbor(entry.bytes) as Record<string, unknown>;
  change(value);
  return { height: entry.height, bytes: encodeCbor(value) };
};

const saysWhereItStands = (message: Uint8Array): boolean =>
  (decodeCbor(message) as Uint8Array[]).some(
    (bytes) => (decodeCbor(bytes) as { kind: string }).kind === 'presence',
  );

test('considerSync asks a peer again whose answer was lost, later each time (G7)', () => {
  const { bus } = certified(3);
  const key = createKey(33);
  const replica = createReplica(
    { run: bus.run, runId: bus.runId, self: key.peer, role: 'guest', wallMs: 0 },
    key.components,
  );
  replica.handle({ kind: 'start', records: [], ledger: [], applied: undefined }, 0);
  const [ahead] = bus.peers as [BusPeer];
  ahead.handle({ kind: 'connected', peer: key.peer });
  bus.wait(2_000);
  const presence = ahead.effects.findLast(
    (effect) => effect.kind === 'publish' && saysWhereItStands(effect.bytes),
  );
  assert.ok(presence?.kind === 'publish');
  const asked: number[] = [];
  for (let now = 1_000; now <= 200_000; now += 1_000) {
    const effects = [
      ...(now % 10_000 === 0
        ? replica.handle({ kind: 'message', from: ahead.key.peer, bytes: presence.bytes }, now)
        : []),
      ...replica.handle({ kind: 'timer', name: 'sync' }, now),
    ];
    if (effects.some(({ kind }) => kind === 'sync')) asked.push(now / 1_000);
  }
  assert.deepEqual(asked, [10, 50, 120]);
});

test('onSynced verifies entries from genesis and asks for their deltas', () => {
  const { bus, ledger } = certified(3);
  const { wanted, replica } = newcomer(bus, ledger);
  assert.ok(wanted >= 4);
  assert.equal(replica.view.phase, 'syncing');
});

test('onSynced takes nothing from reordered, truncated or forged entries', () => {
  const { bus, ledger } = certified(3);
  const [first, second, third] = ledger as [LedgerEntry, LedgerEntry, LedgerEntry];
  const bad: readonly (readonly [string, readonly LedgerEntry[]])[] = [
    ['reordered', [second, first, third]],
    ['without the first', [second, third]],
    ['truncated', [{ ...first, bytes: first.bytes.subarray(0, first.bytes.length - 10) }]],
    ['without a certificate', [forge(first, (value) => (value.certificate = null))]],
    [
      'with the certificate of another',
      [
        forge(
          first,
          (value) => (value.certificate = (decodeCbor(second.bytes) as { certificate: unknown }).certificate),
        ),
      ],
    ],
    [
      'with a signature less',
      [
        forge(first, (value) => {
          const certificate = value.certificate as { signers: Uint8Array; signatures: Uint8Array };
          value.certificate = {
            ...certificate,
            signers: certificate.signers.subarray(1),
            signatures: certificate.signatures.subarray(64),
          };
        }),
      ],
    ],
    [
      'with a contribution less',
      [forge(first, (value) => (value.announcements = (value.announcements as Uint8Array[]).slice(1)))],
    ],
    [
      'with another header',
      [
        forge(first, (value) => {
          const header = decodeCbor(value.header as Uint8Array) as Record<string, unknown>;
          value.header = encodeCbor({ ...header, root: new Uint8Array(32) });
        }),
      ],
    ],
    ['empty', []],
    ['rubbish', [{ height: 1, bytes: Uint8Array.of(1, 2, 3) }]],
  ];
  for (const [name, entries] of bad) {
    const { wanted, replica } = newcomer(bus, entries);
    assert.equal(wanted, 0, name);
    assert.equal(replica.view.phase, 'running', name);
  }
});

test('onSynced keeps what a certificate covers when a later entry is forged', () => {
  const { bus, ledger } = certified(3);
  const [first, second] = ledger as [LedgerEntry, LedgerEntry];
  const forged = forge(second, (value) => (value.announcements = []));
  const { effects } = newcomer(bus, [first, forged]);
  const fetched = effects.filter((effect) => effect.kind === 'fetch').length;
  assert.equal(fetched, 4);
});

test('skipToSnapshot stores the entries before a snapshot and installs it', () => {
  const bus = createBus({ members: 4, run: { rounds: 24, snapshotEvery: 20 } });
  for (let round = 0; round < 24; round++) bus.round();
  const ledger = (bus.peers[0] as BusPeer).ledger;
  assert.equal(ledger.length, 24);
  const key = createKey(33);
  const replica = createReplica(
    { run: bus.run, runId: bus.runId, self: key.peer, role: 'guest', wallMs: 0 },
    key.components,
  );
  replica.handle({ kind: 'start', records: [], ledger: [], applied: undefined }, 0);
  const presence = (bus.peers[0] as BusPeer).effects.findLast((effect) => effect.kind === 'publish');
  assert.ok(presence?.kind === 'publish');
  bus.wait(60_000);
  const said = (bus.peers[0] as BusPeer).effects.flatMap((effect) =>
    effect.kind === 'publish' ? [effect.bytes] : [],
  );
  const from = bus.peers[0]?.key.peer as never;
  const asked = said.flatMap((bytes) => replica.handle({ kind: 'message', from, bytes }, 10));
  assert.ok(asked.some(({ kind }) => kind === 'sync'));
  const effects = replica.handle({ kind: 'synced', from, entries: ledger }, 20);
  const settled = effects.filter((effect) => effect.kind === 'settle');
  assert.equal(settled.length, 20);
  assert.ok(settled.every(({ applied }) => !applied));
  const install = effects.find((effect) => effect.kind === 'install');
  assert.ok(install?.kind === 'install' && install.height === 20 && install.from.length > 0);
  assert.equal(replica.view.mayContribute, false);
  replica.handle({ kind: 'installed', block: install.block, height: 20 }, 30);
  assert.equal(replica.view.head.height, 20);
  assert.equal(install.tensors, readLedgerEntry((ledger[19] as LedgerEntry).bytes, bus.runId).tensors);
});

/** A newcomer, and what somebody tells it: that a block of this height is final. */
function withClaims(rounds: number, snapshotEvery = 1_000) {
  const bus = createBus({ members: 4, run: { rounds: 1_000, snapshotEvery } });
  for (let round = 0; round < rounds; round++) bus.round();
  const key = createKey(33);
  const init = { run: bus.run, runId: bus.runId, self: key.peer, role: 'guest' as const, wallMs: 0 };
  const replica = createReplica(init, key.components);
  replica.handle({ kind: 'start', records: [], ledger: [], applied: undefined }, 0);
  const claim = ({ peer, components }: Key, final: number, now: number): readonly Effect[] => {
    const block = cidOf(encodeCbor(['final', final]), 'dag-cbor');
    const presence = {
      peer,
      life: 0,
      count: final,
      epoch: 0,
      view: 0,
      head: final,
      final,
      block,
      holds: [],
      opening: null,
    };
    const bytes = encodeSigned('presence', presenceBody(runDigest(bus.runId), presence), components.sign);
    return replica.handle({ kind: 'message', from: peer, bytes: encodeMessage([bytes]) }, now);
  };
  const [first, second] = bus.peers as [BusPeer, BusPeer];
  return { replica, claim, first, second, liar: createKey(70) };
}

const askedIn = (effects: readonly Effect[]): readonly (readonly PeerId[])[] =>
  effects.flatMap((effect) => (effect.kind === 'sync' ? [effect.from] : []));

test('considerSync asks a member at once, whatever a stranger claims alone (G7)', () => {
  const { claim, first, second, liar } = withClaims(3);
  assert.deepEqual(askedIn(claim(liar, 900, 1_000)), [[liar.peer]]);
  assert.deepEqual(askedIn(claim(first.key, 3, 1_500)), [[first.key.peer, liar.peer]]);
  assert.deepEqual(askedIn(claim(second.key, 3, 2_000)), []);
});

test('considerSync takes what two strangers claim for likely, what one claims not (G7)', () => {
  const { claim, liar } = withClaims(3);
  assert.deepEqual(askedIn(claim(liar, 900, 1_000)), [[liar.peer]]);
  const other = createKey(71);
  assert.equal(askedIn(claim(other, 3, 1_500)).length, 1);
  assert.equal(askedIn(claim(createKey(72), 3, 2_000)).length, 0);
});

test('onSynced asks those who had nothing after those who had', () => {
  const { replica, claim, first, second } = withClaims(3);
  assert.deepEqual(askedIn(claim(first.key, 3, 1_000)), [[first.key.peer]]);
  claim(second.key, 3, 1_100);
  const [from = []] = askedIn(replica.handle({ kind: 'timer', name: 'sync' }, 11_000));
  assert.deepEqual(from, [second.key.peer]);
  claim(first.key, 5, 11_500);
  const entries = second.ledger.slice(0, 1);
  const effects = replica.handle({ kind: 'synced', from: second.key.peer, entries }, 12_000);
  assert.deepEqual(askedIn(effects), [[second.key.peer, first.key.peer]]);
});

test('askInstall asks again while a stranger alone claims that there are more entries (G7)', () => {
  const { replica, claim, first, liar } = withClaims(24, 20);
  claim(first.key, 24, 1_000);
  const isInstall = ({ kind }: Effect): boolean => kind === 'install';
  const asked = replica.handle({ kind: 'synced', from: first.key.peer, entries: first.ledger }, 2_000);
  assert.ok(asked.some(isInstall));
  const late = 2_000 + installTimeoutMs;
  assert.deepEqual(askedIn(claim(liar, 900, late - 500)), [[liar.peer]]);
  assert.ok(claim(first.key, 24, late + 500).some(isInstall));
});
