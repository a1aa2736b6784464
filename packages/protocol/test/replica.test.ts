import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, encodeCbor } from '@murmuration/base';
import {
  createInvitation,
  createReplica,
  ProtocolError,
  readLedgerEntry,
  signInvitation,
} from '@murmuration/protocol';
import { type BusPeer, createBus, createKey, draftOf } from './harness.ts';

const heights = (peers: readonly BusPeer[]): number[] =>
  peers.map(({ replica }) => replica.view.final.height);
const roots = (peers: readonly BusPeer[]): Set<string> =>
  new Set(peers.map(({ replica }) => Buffer.from(replica.view.final.stateRoot).toString('hex')));
const kinds = (peer: BusPeer, kind: string): number =>
  peer.effects.filter((effect) => effect.kind === kind).length;

test('createReplica closes rounds without waiting for any timer when everybody is there (G1, G2, G3)', () => {
  const bus = createBus({ members: 4 });
  for (const height of [1, 2, 3]) {
    bus.round();
    assert.deepEqual(heights(bus.peers), [height, height, height, height]);
    assert.equal(roots(bus.peers).size, 1);
  }
  assert.ok(bus.peers.every(({ replica }) => replica.view.phase === 'ended'));
  const published = bus.peers.reduce((sum, peer) => sum + kinds(peer, 'publish'), 0);
  assert.ok(published <= 3 * 17 + 8, `${published} messages for three rounds`);
});

test('createReplica runs alone in a roster of one', () => {
  const bus = createBus({ members: 1, run: { rounds: 2 } });
  bus.round();
  bus.round();
  assert.deepEqual(heights(bus.peers), [2]);
});

test('createReplica executes once per distinct block and applies before it settles', () => {
  const bus = createBus({ members: 4 });
  bus.round();
  for (const peer of bus.peers) {
    assert.equal(kinds(peer, 'execute'), 1);
    const order = peer.effects
      .map(({ kind }) => kind)
      .filter((kind) => kind === 'apply' || kind === 'settle');
    assert.deepEqual(order, ['apply', 'settle']);
  }
});

test('createReplica persists every vote, proposal and contribution before it publishes (G8)', () => {
  const bus = createBus({ members: 4 });
  bus.round();
  for (const peer of bus.peers) {
    const persisted = peer.effects.flatMap((effect) =>
      effect.kind === 'persist' ? [effect.record.key.split('/')[0]] : [],
    );
    assert.ok(['vote', 'contribution', 'block'].every((key) => persisted.includes(key)));
  }
});

test('createReplica goes on without a member that is silent', () => {
  const bus = createBus({ members: 4 });
  const silent = bus.peers[1] as BusPeer;
  bus.drops = (from, to) => from === silent || to === silent;
  for (let round = 0; round < 3; round++) {
    bus.round();
    bus.wait(8_000);
  }
  assert.deepEqual(heights(bus.peers.filter((peer) => peer !== silent)), [3, 3, 3]);
});

test('createReplica catches up by ledger entries after it was cut off (G7)', () => {
  const bus = createBus({ members: 4, run: { rounds: 6 } });
  const away = bus.peers[3] as BusPeer;
  bus.drops = (from, to) => from === away || to === away;
  for (let round = 0; round < 4; round++) {
    bus.round();
    bus.wait(8_000);
  }
  bus.drops = () => false;
  bus.wait(30_000);
  assert.equal(away.replica.view.final.height, 4);
  assert.equal(roots(bus.peers).size, 1);
});

test('createReplica counts a late contribution in a later block, by its age', () => {
  const bus = createBus({ members: 4, run: { rounds: 6 } });
  const late = bus.peers[3] as BusPeer;
  const others = bus.peers.filter((peer) => peer !== late);
  for (const peer of others) peer.contribute();
  bus.flow();
  bus.wait(3_000);
  assert.equal(bus.peers[0]?.replica.view.final.height, 1);
  const draft = { ...draftOf(late, 77), base: late.replica.view.head.block };
  const genesis = createReplica(
    { run: bus.run, runId: bus.runId, self: late.key.peer, role: 'member', wallMs: 0 },
    late.key.components,
  ).view.head.block;
  late.handle({ kind: 'contributed', draft: { ...draft, base: genesis, baseHeight: 0 } });
  for (const peer of others) peer.contribute();
  bus.flow();
  bus.wait(3_000);
  const settled = bus.peers[0]?.effects.findLast((effect) => effect.kind === 'settle');
  assert.ok(settled?.kind === 'settle');
  const input = settled.block.execution.inputs.find(({ author }) => author === late.key.peer);
  assert.equal(input?.weight, 500);
});

test('createReplica expires an own contribution that no block took', () => {
  const bus = createBus({ members: 4, run: { rounds: 8 } });
  const cut = bus.peers[3] as BusPeer;
  bus.drops = (from) => from === cut;
  for (let round = 0; round < 5; round++) {
    bus.round();
    bus.wait(8_000);
  }
  assert.equal(kinds(cut, 'expire'), 1);
  assert.equal(cut.replica.view.pending?.sequence, 2);
});

test('createReplica tells the engine when a block takes an own contribution that had expired here (G4)', () => {
  const bus = createBus({ members: 4, run: { rounds: 6 } });
  const cut = bus.peers[3] as BusPeer;
  const others = bus.peers.filter((peer) => peer !== cut);
  const everybodyElse = (): void => {
    for (const peer of others) peer.contribute();
    bus.flow();
    bus.wait(5_000);
  };
  bus.drops = (_, to) => to === cut;
  everybodyElse();
  const { block: base, height: baseHeight } = (others[0] as BusPeer).replica.view.head;
  cut.handle({ kind: 'contributed', draft: { ...draftOf(cut, 5), base, baseHeight } });
  assert.equal(kinds(cut, 'expire'), 1, 'its base is unknown here');
  bus.drops = () => false;
  everybodyElse();
  const applied = cut.effects.flatMap((effect) => (effect.kind === 'apply' ? [effect] : []));
  const taken = applied.flatMap(({ block, own }) =>
    block.contributions.filter(({ author }) => author === cut.key.peer).map(({ cid }) => [cid, own]),
  );
  assert.equal(taken.length, 1);
  assert.equal(taken[0]?.[1], taken[0]?.[0]);
});

test('createReplica counts the votes of the next epoch that came before it opened', () => {
  const bus = createBus({ members: 3, guests: 1, run: { rounds: 6 } });
  const [first, , late, guest] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer];
  const terms = createInvitation({
    runId: bus.runId,
    guest: guest.key.peer,
    role: 'member',
    expires: 6,
    uses: 1,
  });
  bus.round();
  guest.handle({
    kind: 'invited',
    invitation: signInvitation(terms, first.key.peer, first.key.components.sign),
  });
  bus.flow();
  bus.wait(5_000);
  for (let round = 0; round < 3; round++) {
    bus.round();
    bus.wait(2_000);
  }
  const opened = first.ledger.filter(({ bytes }) => readLedgerEntry(bytes, bus.runId).epoch === 0);
  const votes = bus.peers
    .flatMap(({ records, effects }) => [
      ...records.values(),
      ...effects.flatMap((effect) => (effect.kind === 'persist' ? [effect.record] : [])),
    ])
    .filter(({ key }) => key === 'vote/1/0/notarize');
  assert.ok(opened.length < first.ledger.length && votes.length >= 3);
  const { key } = late;
  const replica = createReplica(
    { run: bus.run, runId: bus.runId, self: createKey(40).peer, role: 'guest', wallMs: 0 },
    key.components,
  );
  replica.handle({ kind: 'start', records: [], ledger: [], applied: undefined }, 0);
  for (const { bytes } of votes)
    replica.handle({ kind: 'message', from: key.peer, bytes: encodeCbor([bytes]) }, 1);
  replica.handle({ kind: 'synced', from: first.key.peer, entries: opened }, 2);
  assert.deepEqual([replica.view.epoch, replica.view.view], [1, 1]);
});

test('createReplica reports diverged and stops voting when its own root is another than a certificate (G2)', () => {
  const bus = createBus({ members: 4 });
  const odd = bus.peers[2] as BusPeer;
  bus.tensorsOf = (peer, { inputs }) => cidOf(encodeCbor([inputs.length, peer === odd]));
  bus.round();
  bus.wait(5_000);
  assert.equal(odd.replica.view.phase, 'diverged');
  const report = odd.effects.find((effect) => effect.kind === 'report' && effect.report.kind === 'diverged');
  assert.ok(report?.kind === 'report' && report.report.kind === 'diverged');
  assert.notDeepEqual(report.report.expected, report.report.computed);
  assert.equal(odd.replica.view.mayContribute, false);
  assert.deepEqual(heights(bus.peers.filter((peer) => peer !== odd)), [1, 1, 1]);
});

test('createReplica never includes a delta that its engine found invalid', () => {
  const bus = createBus({ members: 4, run: { rounds: 2 } });
  const [first, bad] = bus.peers as [BusPeer, BusPeer];
  bus.drops = () => true;
  bad.contribute();
  const bytes = bad.effects.findLast((effect) => effect.kind === 'publish');
  assert.ok(bytes?.kind === 'publish');
  const fetch = first
    .handle({ kind: 'message', from: bad.key.peer, bytes: bytes.bytes })
    .find((effect) => effect.kind === 'fetch');
  assert.ok(fetch?.kind === 'fetch' && fetch.input?.author === bad.key.peer);
  first.handle({ kind: 'blob', blob: fetch.blob, outcome: 'invalid' });
  const again = first.handle({ kind: 'message', from: bad.key.peer, bytes: bytes.bytes });
  assert.deepEqual(
    again
      .filter(({ kind }) => kind === 'verdict')
      .map((effect) => effect.kind === 'verdict' && effect.verdict),
    ['reject'],
  );
});

test('createReplica admits an invited guest in a block that opens the next epoch', () => {
  const bus = createBus({ members: 3, guests: 1, run: { rounds: 6, invitationSignatures: 2 } });
  const guest = bus.peers[3] as BusPeer;
  const terms = createInvitation({
    runId: bus.runId,
    guest: guest.key.peer,
    role: 'member',
    expires: 6,
    uses: 1,
  });
  const invitation = bus.peers
    .slice(0, 2)
    .reduce((bytes, { key }) => signInvitation(bytes, key.peer, key.components.sign), terms);
  bus.round();
  assert.equal(guest.replica.view.role, 'guest');
  guest.handle({ kind: 'invited', invitation });
  bus.flow();
  bus.wait(5_000);
  for (let round = 0; round < 3; round++) {
    bus.round();
    bus.wait(2_000);
  }
  assert.equal(guest.replica.view.role, 'member');
  assert.deepEqual(
    bus.peers.map(({ replica }) => replica.view.epoch),
    [1, 1, 1, 1],
  );
  assert.equal(roots(bus.peers).size, 1);
  assert.deepEqual(guest.replica.view.members.at(-1), guest.key.peer);
});

test('createReplica refuses an invitation for somebody else or without enough founders', () => {
  const bus = createBus({ members: 3, guests: 1, run: { invitationSignatures: 2 } });
  const guest = bus.peers[3] as BusPeer;
  const founder = bus.peers[0] as BusPeer;
  const half = signInvitation(
    createInvitation({ runId: bus.runId, guest: guest.key.peer, role: 'member', expires: 6, uses: 1 }),
    founder.key.peer,
    founder.key.components.sign,
  );
  const refused = (invitation: Uint8Array) =>
    assert.throws(
      () => guest.handle({ kind: 'invited', invitation }),
      (error) => error instanceof ProtocolError && error.code === 'bad-invitation',
    );
  refused(half);
  refused(half.subarray(3));
  const stranger = createKey(30);
  refused(signInvitation(half, stranger.peer, stranger.components.sign));
});

test('createReplica sends the same bytes again after a restart and contradicts nothing (G8)', () => {
  const bus = createBus({ members: 4 });
  const [peer] = bus.peers as [BusPeer];
  bus.drops = () => true;
  bus.round();
  const sent = peer.effects.filter((effect) => effect.kind === 'publish');
  const restarted = createReplica(
    { run: bus.run, runId: bus.runId, self: peer.key.peer, role: 'member', wallMs: 0 },
    peer.key.components,
  );
  restarted.handle(
    { kind: 'start', records: [...peer.records.values()], ledger: [], applied: undefined },
    2_000,
  );
  assert.deepEqual(restarted.view.pending, peer.replica.view.pending);
  assert.equal(restarted.view.mayContribute, false);
  const effects = restarted.handle({ kind: 'timer', name: 'rebroadcast' }, 60_000);
  const again = effects.filter((effect) => effect.kind === 'publish');
  const contribution = [...peer.records.values()].find(({ key }) => key.startsWith('contribution/'))?.bytes;
  assert.ok(contribution && sent.length > 0);
  assert.ok(again.some(({ bytes }) => Buffer.from(bytes).includes(Buffer.from(contribution))));
});

test('createReplica refuses to start from records and an engine that do not fit', () => {
  const bus = createBus({ members: 1 });
  const [peer] = bus.peers as [BusPeer];
  const replica = createReplica(
    { run: bus.run, runId: bus.runId, self: peer.key.peer, role: 'member', wallMs: 0 },
    peer.key.components,
  );
  const unknown = cidOf(encodeCbor('unknown'), 'dag-cbor');
  assert.throws(
    () =>
      replica.handle({ kind: 'start', records: [], ledger: [], applied: { block: unknown, height: 3 } }, 0),
    (error) => error instanceof ProtocolError && error.code === 'bad-start',
  );
});
