import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, decodeCbor, encodeCbor, runDigest } from '@murmuration/base';
import { type Effect, genesisBlockId, type Report } from '@murmuration/protocol';
import { encodeCertificate } from '../src/certificate.ts';
import { createEvidence, deedOf } from '../src/evidence.ts';
import { encodeHeader } from '../src/header.ts';
import { encodeRekey } from '../src/request.ts';
import { signedBytes } from '../src/signing.ts';
import { encodeMessage, encodeProposal, encodeSigned } from '../src/statement.ts';
import { type Choice, voteBody } from '../src/vote.ts';
import { type Bus, type BusPeer, createBus, createKey, type Key } from './harness.ts';

const blockOf = (name: string) => cidOf(encodeCbor(name), 'dag-cbor');
const stranger = createKey(50).peer;

const place = (bus: Bus, view: number) => ({ epoch: 0, opened: genesisBlockId(bus.runId), view });

/** A vote of epoch 0, perhaps signed by somebody else. */
function voteBy(bus: Bus, key: Key, view: number, choice: Choice, name = 'one', signer = key): Uint8Array {
  const block = choice === 'skip' ? undefined : blockOf(name);
  const body = voteBody(runDigest(bus.runId), { ...place(bus, view), choice, block, voter: key.peer });
  return encodeSigned('vote', body, signer.components.sign);
}

const tell = (peer: BusPeer, ...statements: readonly Uint8Array[]): string => {
  const [first] = peer.handle({ kind: 'message', from: stranger, bytes: encodeMessage(statements) });
  return first?.kind === 'verdict' ? first.verdict : 'none';
};
const reportsOf = (peer: BusPeer): readonly Report[] =>
  peer.effects.flatMap((effect) => (effect.kind === 'report' ? [effect.report] : []));
const convictedAt = (peer: BusPeer) => reportsOf(peer).filter(({ kind }) => kind === 'convicted');
const isProof = (peer: BusPeer, against: BusPeer): boolean =>
  peer.records.has(`evidence/${against.key.peer}`);
const statementsIn = (effects: readonly Effect[], kind: string): readonly Uint8Array[] =>
  effects
    .flatMap((effect) => (effect.kind === 'publish' ? (decodeCbor(effect.bytes) as Uint8Array[]) : []))
    .filter((bytes) => (decodeCbor(bytes) as { kind: string }).kind === kind);

/** Four members; the last one lies, and what it sends by itself is lost. */
function withLiar() {
  const bus = createBus({ members: 4, run: { rounds: 6, quorum: 'byzantine' } });
  const [first, second, third, liar] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer];
  bus.drops = (from) => from === liar;
  return { bus, first, second, third, liar, honest: [first, second, third] };
}

function closeRounds(bus: Bus, rounds = 3): void {
  for (let round = 0; round < rounds; round++) {
    bus.round();
    bus.wait(20_000);
  }
}

const isConvictedBy = (honest: readonly BusPeer[], liar: BusPeer): void => {
  for (const peer of honest) {
    assert.deepEqual(convictedAt(peer), [{ kind: 'convicted', peer: liar.key.peer, epoch: 1 }]);
    assert.ok(!peer.replica.view.members.includes(liar.key.peer));
    assert.equal(peer.replica.view.members.length, 3);
  }
  const roots = honest.map(({ replica }) => Buffer.from(replica.view.final.stateRoot).toString('hex'));
  assert.equal(new Set(roots).size, 1);
};

const conflicts: readonly (readonly [string, (bus: Bus, key: Key) => readonly [Uint8Array, Uint8Array]])[] = [
  [
    'two notarize votes',
    (bus, key) => [voteBy(bus, key, 5, 'notarize'), voteBy(bus, key, 5, 'notarize', 'two')],
  ],
  [
    'two finalize votes',
    (bus, key) => [voteBy(bus, key, 5, 'finalize'), voteBy(bus, key, 5, 'finalize', 'two')],
  ],
  ['finalize after skip', (bus, key) => [voteBy(bus, key, 5, 'skip'), voteBy(bus, key, 5, 'finalize')]],
  ['skip after finalize', (bus, key) => [voteBy(bus, key, 5, 'finalize'), voteBy(bus, key, 5, 'skip')]],
  ['two proposals', (bus, key) => [proposalBy(bus, key, 3, 'one'), proposalBy(bus, key, 3, 'two')]],
];

function proposalBy(bus: Bus, key: Key, view: number, name: string): Uint8Array {
  const headerBytes = encodeHeader({
    run: runDigest(bus.runId),
    epoch: 0,
    view,
    height: 1,
    parent: genesisBlockId(bus.runId),
    proposer: key.peer,
    list: cidOf(encodeCbor(name)),
    listBytes: 9,
    tensors: cidOf(encodeCbor(name)),
    root: new Uint8Array(32),
    changes: [],
  });
  const block = cidOf(headerBytes, 'dag-cbor');
  const { peer: proposer, components } = key;
  return encodeProposal(
    runDigest(bus.runId),
    { ...place(bus, view), after: -1, block, headerBytes, contributions: [], proposer },
    components,
  );
}

for (const [what, make] of conflicts)
  test(`receiveMessage convicts for ${what}: everywhere, in the next block (G5)`, () => {
    const { bus, first, liar, honest } = withLiar();
    const [one, two] = make(bus, liar.key);
    assert.equal(tell(first, one), 'accept');
    assert.equal(isProof(first, liar), false);
    tell(first, two);
    bus.flow();
    for (const peer of honest) assert.equal(isProof(peer, liar), true);
    closeRounds(bus);
    isConvictedBy(honest, liar);
  });

const harmless: readonly (readonly [string, (bus: Bus, key: Key) => readonly Uint8Array[]])[] = [
  ['the same vote twice', (bus, key) => [voteBy(bus, key, 5, 'skip'), voteBy(bus, key, 5, 'skip')]],
  ['notarize and skip', (bus, key) => [voteBy(bus, key, 5, 'notarize'), voteBy(bus, key, 5, 'skip')]],
  [
    'notarize and finalize of different blocks',
    (bus, key) => [voteBy(bus, key, 5, 'notarize'), voteBy(bus, key, 5, 'finalize', 'two')],
  ],
  [
    'votes of different views',
    (bus, key) => [voteBy(bus, key, 5, 'finalize'), voteBy(bus, key, 6, 'finalize', 'two')],
  ],
  [
    'a vote that somebody else has signed',
    (bus, key) => [voteBy(bus, key, 5, 'finalize'), voteBy(bus, key, 5, 'skip', '', createKey(2))],
  ],
];
for (const [what, make] of harmless)
  test(`receiveMessage convicts nobody for ${what} (G5)`, () => {
    const { bus, first, liar, honest } = withLiar();
    for (const statement of make(bus, liar.key)) tell(first, statement);
    closeRounds(bus);
    for (const peer of honest) {
      assert.equal(isProof(peer, liar), false);
      assert.equal(peer.replica.view.members.length, 4);
      assert.ok(peer.replica.view.final.height > 0);
    }
  });

test('receiveMessage rejects a forged contradiction, so that its sender pays for the check', () => {
  const { bus, first, liar } = withLiar();
  assert.equal(tell(first, voteBy(bus, liar.key, 5, 'notarize')), 'accept');
  const forged = voteBy(bus, liar.key, 5, 'notarize', 'two', createKey(40));
  assert.equal(tell(first, forged), 'reject');
});

test('receiveMessage compares votes inside certificates with those it knows (G5)', () => {
  const { bus, first, second, third, liar, honest } = withLiar();
  tell(first, voteBy(bus, liar.key, 5, 'notarize', 'two'));
  const signers = [second, third, liar];
  const signatures = signers.map(({ key }) => {
    const { signature } = decodeCbor(voteBy(bus, key, 5, 'notarize')) as { signature: Uint8Array };
    return signature;
  });
  const certificate = {
    ...place(bus, 5),
    choice: 'notarize' as const,
    block: blockOf('one'),
    signers: [1, 2, 3],
    signatures,
    rekeys: [],
  };
  assert.equal(tell(first, encodeCertificate(runDigest(bus.runId), certificate)), 'accept');
  assert.deepEqual(
    honest.map((peer) => isProof(first, peer)),
    [false, false, false],
  );
  assert.equal(isProof(first, liar), true);
});

test('receiveMessage notices what contradicts a vote of a view that was decided meanwhile (G5)', () => {
  const bus = createBus({ members: 4, run: { rounds: 6, quorum: 'byzantine' } });
  const [first, , , liar] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer];
  bus.round();
  bus.wait(5_000);
  assert.ok(first.replica.view.final.height > 0);
  assert.equal(isProof(first, liar), false);
  tell(first, voteBy(bus, liar.key, 0, 'skip'));
  assert.equal(isProof(first, liar), true);
});

test('a convicted member is heard no more, and its work enters no block (G5)', () => {
  const { bus, first, liar, honest } = withLiar();
  tell(first, voteBy(bus, liar.key, 5, 'skip'), voteBy(bus, liar.key, 5, 'finalize'));
  bus.flow();
  closeRounds(bus);
  isConvictedBy(honest, liar);
  bus.drops = () => false;
  const before = first.effects.length;
  if (liar.replica.view.mayContribute) liar.contribute();
  closeRounds(bus, 2);
  const certified = reportsOf(first).filter((report) => report.kind === 'certified');
  const authors = certified.flatMap((report) =>
    report.kind === 'certified' && report.height > 2 ? report.contributions.map(({ author }) => author) : [],
  );
  assert.ok(authors.length > 0 && !authors.includes(liar.key.peer));
  assert.ok(first.effects.length > before);
  assert.ok(!reportsOf(liar).some(({ kind }) => kind === 'diverged'));
});

test('an accused proposer gets no waiting time', () => {
  const heights = [true, false].map((accused) => {
    const bus = createBus({ members: 4, run: { rounds: 6, quorum: 'byzantine' } });
    const [liar, first] = bus.peers as [BusPeer, BusPeer];
    bus.drops = (from) => from === liar;
    assert.equal(first.replica.view.voters[0], liar.key.peer, 'it proposes in view 0');
    if (accused) tell(first, voteBy(bus, liar.key, 9, 'skip'), voteBy(bus, liar.key, 9, 'finalize'));
    bus.flow();
    bus.round();
    bus.wait(bus.run.round.graceMs + 500);
    return first.replica.view.final.height;
  });
  assert.deepEqual(heights, [1, 0]);
});

test('evidence survives a restart and is sent again until its peer is convicted (G8)', () => {
  const { bus, first, liar } = withLiar();
  tell(first, voteBy(bus, liar.key, 5, 'skip'), voteBy(bus, liar.key, 5, 'finalize'));
  assert.equal(isProof(first, liar), true);
  first.restart();
  const from = first.effects.length;
  bus.drops = () => true;
  bus.wait(10_000);
  const sent = statementsIn(first.effects.slice(from), 'evidence');
  assert.ok(sent.length > 0);
  assert.equal(new Set(sent.map((bytes) => Buffer.from(bytes).toString('hex'))).size, 1);
});

test('receiveMessage judges evidence by itself: needless, forged and foreign evidence changes nothing (G5)', () => {
  const { bus, first, second, liar } = withLiar();
  const [one, two] = [voteBy(bus, liar.key, 5, 'skip'), voteBy(bus, liar.key, 5, 'finalize')].map((bytes) =>
    deedOf(decodeCbor(bytes)),
  );
  assert.ok(one && two);
  const proof = createEvidence(one, two, undefined);
  const forger = createKey(41);
  const [a, b] = [
    voteBy(bus, second.key, 5, 'skip', '', forger),
    voteBy(bus, second.key, 5, 'finalize', 'one', forger),
  ].map((bytes) => deedOf(decodeCbor(bytes)));
  assert.ok(a && b);
  assert.equal(tell(first, createEvidence(a, b, undefined).bytes), 'reject');
  const outsider = createKey(60);
  const [c, d] = [voteBy(bus, outsider, 5, 'skip'), voteBy(bus, outsider, 5, 'finalize')].map((bytes) =>
    deedOf(decodeCbor(bytes)),
  );
  assert.ok(c && d);
  assert.equal(tell(first, createEvidence(c, d, undefined).bytes), 'ignore');
  assert.equal(tell(first, proof.bytes), 'accept');
  assert.equal(tell(first, proof.bytes), 'ignore');
  assert.deepEqual(
    [...first.records.keys()].filter((key) => key.startsWith('evidence/')),
    [`evidence/${liar.key.peer}`],
  );
});

test('a member is convicted by votes of a renewed key, with the renewal as part of the evidence (G5)', () => {
  const { bus, first, liar, honest } = withLiar();
  const voteKey = createKey(33);
  const terms = { run: runDigest(bus.runId), peer: liar.key.peer, since: 0, renewed: 1, key: voteKey.peer };
  const renewal = encodeRekey(terms, liar.key.components.sign, voteKey.components.sign);
  assert.equal(tell(first, renewal), 'accept');
  bus.drops = (from) => from === liar;
  bus.round();
  bus.wait(5_000);
  const { epoch, final } = first.replica.view;
  assert.equal(epoch, 1);
  const vote = (choice: Choice): Uint8Array => {
    const block = choice === 'skip' ? undefined : blockOf('one');
    const body = voteBody(runDigest(bus.runId), {
      epoch,
      opened: final.block,
      view: 9,
      choice,
      block,
      voter: liar.key.peer,
    });
    return encodeCbor({
      kind: 'vote',
      body,
      signature: voteKey.components.sign(signedBytes('vote', body)),
    });
  };
  assert.equal(tell(first, vote('skip')), 'accept');
  tell(first, vote('finalize'));
  bus.flow();
  for (const peer of honest) assert.equal(isProof(peer, liar), true);
  closeRounds(bus);
  for (const peer of honest)
    assert.deepEqual(convictedAt(peer), [{ kind: 'convicted', peer: liar.key.peer, epoch: 2 }]);
});
