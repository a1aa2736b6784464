import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, decodeCbor, encodeCbor, runDigest, sha256 } from '@murmuration/base';
import type { Verdict } from '@murmuration/protocol';
import { deferredBytesMax, deferredCertificatesMax, deferredPerSignerMax } from '../src/defaults.ts';
import { defer, deferredBytes } from '../src/deferred.ts';
import type { Machine } from '../src/machine.ts';
import { createRegular, replicaOf } from '../src/replica.ts';
import { signedBytes } from '../src/signing.ts';
import { decodeStatement, encodeMessage, encodeProposal, encodeSigned } from '../src/statement.ts';
import { voteBody } from '../src/vote.ts';
import { type Bus, type BusPeer, createBus, createKey, type Key } from './harness.ts';

interface Said {
  readonly kind: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly signature: Uint8Array;
}

const forger = createKey(50);
const block = (name: unknown) => cidOf(encodeCbor(['block', name]), 'dag-cbor');

function send(to: BusPeer, ...statements: readonly Uint8Array[]): Verdict {
  const [effect] = to.handle({ kind: 'message', from: forger.peer, bytes: encodeMessage(statements) });
  assert.ok(effect?.kind === 'verdict');
  return effect.verdict;
}

const saidBy = ({ effects }: BusPeer): readonly Said[] =>
  effects
    .flatMap((effect) => (effect.kind === 'publish' ? (decodeCbor(effect.bytes) as Uint8Array[]) : []))
    .map((bytes) => decodeCbor(bytes) as Said);

const notarizedBy = (peer: BusPeer): readonly Said[] =>
  saidBy(peer).filter(({ kind, body }) => kind === 'vote' && body.choice === 'notarize');

/** The vote for another block, without its signer's key. */
const forged = (vote: Said, count: number): Uint8Array =>
  encodeCbor({
    ...vote,
    body: { ...vote.body, block: block(count) },
    signature: new Uint8Array(64).fill(count),
  });

/** Four members in the second epoch, which the leaving of one has opened. */
function inSecondEpoch(): { readonly bus: Bus; readonly first: BusPeer; readonly second: BusPeer } {
  const bus = createBus({ members: 4, run: { rounds: 40 } });
  const [first, second, , last] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer];
  for (let round = 0; round < 3; round++) {
    bus.round();
    bus.wait(2_000);
  }
  last.handle({ kind: 'leave' });
  for (let round = 0; round < 2; round++) {
    bus.round();
    bus.wait(2_000);
  }
  assert.equal(first.replica.view.epoch, 1);
  return { bus, first, second };
}

for (const epoch of [0, 1])
  test(`receiveMessage rejects forged votes of a decided view of epoch ${epoch}, for one check a message (G6)`, () => {
    const { first, second } = inSecondEpoch();
    const vote = notarizedBy(second).findLast(({ body }) => body.epoch === epoch);
    assert.ok(vote);
    const before = first.checks;
    for (let message = 0; message < 20; message++) {
      const statements = Array.from(
        { length: 30 },
        (_, index): Uint8Array => forged(vote, 30 * message + index),
      );
      assert.equal(send(first, ...statements), 'reject');
    }
    assert.equal(first.checks - before, 20);
  });

test('receiveMessage convicts by a second vote in a decided view of the epoch before (G5)', () => {
  const { first, second } = inSecondEpoch();
  const vote = notarizedBy(second).findLast(({ body }) => body.epoch === 0);
  const body = { ...vote?.body, block: block('other') };
  const signature = second.key.components.sign(signedBytes('vote', body));
  send(first, encodeCbor({ kind: 'vote', body, signature }));
  assert.ok(first.records.has(`evidence/${second.key.peer}`));
});

test('receiveMessage rejects a vote in our own name that no key of ours has signed (G6)', () => {
  const bus = createBus({ members: 4, run: { rounds: 40 } });
  const [first] = bus.peers as [BusPeer];
  const place = { epoch: 0, opened: first.replica.view.opens.opened, view: 0 };
  const body = voteBody(runDigest(bus.runId), {
    ...place,
    choice: 'skip',
    block: undefined,
    voter: first.key.peer,
  });
  assert.equal(send(first, encodeSigned('vote', body, forger.components.sign)), 'reject');
  assert.ok(!first.records.has('forgotten'));
  assert.equal(send(first, encodeSigned('vote', body, first.key.components.sign)), 'ignore');
  assert.ok(first.records.has('forgotten'));
});

test('contradicted sees two proposals that differ only in the contributions that they name (G5)', () => {
  const bus = createBus({ members: 4, run: { rounds: 6, quorum: 'byzantine' } });
  const [first, ...others] = bus.peers as [BusPeer, BusPeer, BusPeer, BusPeer];
  bus.round();
  bus.wait(2_000);
  const proposer = bus.peers.find((peer) => saidBy(peer).some(({ kind }) => kind === 'proposal')) as BusPeer;
  const witness = proposer === first ? others[0] : first;
  const statement = saidBy(proposer).find(({ kind }) => kind === 'proposal') as Said;
  const decoded = decodeStatement(encodeCbor(statement), sha256);
  assert.ok(decoded.kind === 'proposal' && decoded.proposal.contributions.length > 1);
  const { proposal } = decoded;
  const other = { ...proposal, contributions: proposal.contributions.slice(1) };
  const { components } = proposer.key;
  send(witness, encodeProposal(runDigest(bus.runId), other, components));
  assert.ok(witness.records.has(`evidence/${proposer.key.peer}`));
});

/** One machine of a run of four that stands in epoch 0. */
function withMachine() {
  const machines: Machine[] = [];
  const bus = createBus({
    members: 4,
    run: { rounds: 40 },
    create(init, components) {
      const machine = createRegular(init, components);
      machines.push(machine);
      return replicaOf(machine);
    },
  });
  const [first, second] = bus.peers as [BusPeer, BusPeer];
  return { bus, first, second, machine: machines[0] as Machine };
}

function nextVote(bus: Bus, { peer, components }: Key, view: number): Uint8Array {
  const body = voteBody(runDigest(bus.runId), {
    epoch: 1,
    opened: block('opening'),
    view,
    choice: 'notarize',
    block: block(view),
    voter: peer,
  });
  return encodeSigned('vote', body, components.sign);
}

test('defer keeps few statements of one signer and of no stranger, each once, the newest ones (G6)', () => {
  const { bus, first, second, machine } = withMachine();
  const votes = Array.from({ length: 3 * deferredPerSignerMax }, (_, view) =>
    nextVote(bus, second.key, view),
  );
  for (const vote of [...votes, ...votes.slice(-2)]) assert.equal(send(first, vote), 'ignore');
  const kept = [...machine.deferred.values()].map(({ bytes }) => encodeCbor(bytes));
  assert.deepEqual(
    kept,
    votes.slice(-deferredPerSignerMax).map((bytes) => encodeCbor(bytes)),
  );
  for (let view = 0; view < 100; view++) send(first, nextVote(bus, createKey(60 + view), view));
  assert.equal(machine.deferred.size, deferredPerSignerMax);
});

test('defer keeps no more bytes than it may, the newest ones (G6)', () => {
  const { bus, second, machine } = withMachine();
  const vote = decodeStatement(nextVote(bus, second.key, 0), sha256);
  assert.ok(vote.kind === 'vote');
  for (const [index, { key }] of bus.peers.entries())
    for (let count = 0; count < 40; count++)
      defer(machine, { ...vote, signer: key.peer, bytes: new Uint8Array(16_000).fill(40 * index + count) });
  assert.ok(deferredBytes(machine) <= deferredBytesMax);
  assert.ok(deferredBytes(machine) > deferredBytesMax - 16_000);
  assert.equal([...machine.deferred.values()].at(-1)?.bytes[0], 159);
});

test('defer bounds certificates, whatever is sent (G6)', () => {
  const { bus, first, second, machine } = withMachine();
  const certificate = (view: number): Uint8Array => {
    const body = {
      run: runDigest(bus.runId),
      epoch: 1,
      opened: block('opening'),
      view,
      choice: 'skip',
      block: null,
      signers: Uint8Array.of(0, 1, 2),
      signatures: new Uint8Array(3 * 64),
      rekeys: [],
    };
    return encodeCbor({ kind: 'certificate', body });
  };
  for (let view = 0; view < 3 * deferredCertificatesMax; view++) {
    assert.equal(send(first, certificate(view)), 'ignore');
    send(first, nextVote(bus, second.key, view));
  }
  assert.equal(machine.deferred.size, deferredCertificatesMax + deferredPerSignerMax);
});
