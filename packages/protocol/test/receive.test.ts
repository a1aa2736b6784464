import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, decodeCbor, encodeCbor, runDigest } from '@murmuration/base';
import { type Effect, genesisBlockId } from '@murmuration/protocol';
import fc from 'fast-check';
import { encodeCertificate } from '../src/certificate.ts';
import { signedBytes } from '../src/signing.ts';
import { contributionBody, encodeMessage, encodeSigned } from '../src/statement.ts';
import { type Choice, voteBody } from '../src/vote.ts';
import { type Bus, type BusPeer, createBus, createKey, draftOf, type Key } from './harness.ts';

const verdictOf = (effects: readonly Effect[]): { readonly verdict: string; readonly reason: string } => {
  const [first, ...rest] = effects;
  assert.ok(first?.kind === 'verdict', 'the verdict comes first');
  assert.ok(
    rest.every(({ kind }) => kind !== 'verdict'),
    'there is one verdict',
  );
  return first;
};
const judge = (peer: BusPeer, bytes: Uint8Array) =>
  verdictOf(peer.handle({ kind: 'message', from: createKey(50).peer, bytes }));

const announce = (bus: Bus, key: Key, changes: Record<string, unknown> = {}, signer = key): Uint8Array => {
  const peer = bus.peers[0] as BusPeer;
  const body = contributionBody(runDigest(bus.runId), key.peer, 1, draftOf(peer, 1));
  return encodeMessage([encodeSigned('contribution', { ...body, ...changes }, signer.components.sign)]);
};
const vote = (
  bus: Bus,
  key: Key,
  choice: Choice,
  changes: Record<string, unknown> = {},
  signer = key,
): Uint8Array => {
  const block = choice === 'skip' ? undefined : cidOf(encodeCbor('block'), 'dag-cbor');
  const body = voteBody(runDigest(bus.runId), {
    epoch: 0,
    opened: genesisBlockId(bus.runId),
    view: 0,
    choice,
    block,
    voter: key.peer,
  });
  return encodeMessage([encodeSigned('vote', { ...body, ...changes }, signer.components.sign)]);
};

/** Bus with real messages of one round, as bytes. */
function recorded(): { readonly bus: Bus; readonly messages: readonly Uint8Array[] } {
  const bus = createBus({ members: 4 });
  bus.round();
  const messages = bus.peers.flatMap(({ effects }) =>
    effects.flatMap((effect) => (effect.kind === 'publish' ? [effect.bytes] : [])),
  );
  return { bus, messages };
}

test('receiveMessage rejects random bytes, and nothing of the view changes', () => {
  const bus = createBus({ members: 4 });
  const [peer] = bus.peers as [BusPeer];
  const before = peer.replica.view;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      assert.equal(judge(peer, bytes).verdict, 'reject');
      assert.deepEqual(peer.replica.view, before);
    }),
  );
});

test('receiveMessage rejects every truncation of every kind of message', () => {
  const { bus, messages } = recorded();
  const fresh = createBus({ members: 4 }).peers[0] as BusPeer;
  assert.ok(messages.length >= 16 && bus.peers.length === 4);
  for (const bytes of messages)
    for (let length = 0; length < bytes.length; length += 7)
      assert.equal(judge(fresh, bytes.subarray(0, length)).verdict, 'reject');
});

test('receiveMessage never accepts a statement with a flipped bit', () => {
  const { messages } = recorded();
  const fresh = createBus({ members: 4 }).peers[0] as BusPeer;
  const before = fresh.replica.view;
  const alone = messages.slice(0, 12).flatMap((message) => decodeCbor(message) as Uint8Array[]);
  for (const message of alone.map((statement) => encodeMessage([statement])))
    for (let index = 0; index < message.length; index += 5) {
      const bytes = message.slice();
      bytes[index] = (bytes[index] as number) ^ (1 << (index % 8));
      assert.notEqual(judge(fresh, bytes).verdict, 'accept');
    }
  assert.deepEqual(fresh.replica.view, before);
});

test('receiveMessage rejects well-formed cbor of the wrong shape without throwing', () => {
  const [peer] = createBus({ members: 4 }).peers as [BusPeer];
  const value = fc.anything({
    maxDepth: 3,
    values: [fc.integer(), fc.string(), fc.boolean(), fc.constant(null), fc.uint8Array()],
  });
  const kind = fc.constantFrom(
    'contribution',
    'presence',
    'proposal',
    'vote',
    'certificate',
    'invitation',
    'leave',
    'rekey',
    'evidence',
    'other',
  );
  fc.assert(
    fc.property(kind, value, fc.uint8Array({ minLength: 64, maxLength: 64 }), (name, body, signature) => {
      let statement: Uint8Array;
      try {
        statement = encodeCbor({ kind: name, body, signature });
      } catch {
        return;
      }
      assert.equal(judge(peer, encodeMessage([statement])).verdict, 'reject');
    }),
  );
});

test('receiveMessage rejects a message that is longer than 16 KiB', () => {
  const [peer] = createBus({ members: 4 }).peers as [BusPeer];
  const judged = judge(peer, encodeCbor([new Uint8Array(17 * 1_024)]));
  assert.equal(judged.verdict, 'reject');
  assert.match(judged.reason, /at most 16384 bytes/);
});

test('receiveMessage accepts a contribution once and ignores it afterwards', () => {
  const bus = createBus({ members: 4 });
  const [peer, author] = bus.peers as [BusPeer, BusPeer];
  assert.equal(judge(peer, announce(bus, author.key)).verdict, 'accept');
  assert.equal(judge(peer, announce(bus, author.key)).verdict, 'ignore');
});

const badContributions: readonly (readonly [string, Record<string, unknown>, string])[] = [
  ['another run', { run: new Uint8Array(32) }, 'reject'],
  ['a norm of zero', { norm: 0 }, 'reject'],
  ['a negative norm', { norm: -1 }, 'reject'],
  ['no tokens', { tokens: 0 }, 'reject'],
  ['a blob that is too long', { blobBytes: 1_000_001 }, 'reject'],
  ['a base that is no CID', { base: 'base' }, 'reject'],
  ['a base of another height', { baseHeight: 1 }, 'reject'],
  ['a base far ahead', { baseHeight: 1_000, base: cidOf(encodeCbor('far'), 'dag-cbor') }, 'ignore'],
  ['one key too many', { extra: 1 }, 'reject'],
];
for (const [name, changes, verdict] of badContributions)
  test(`receiveMessage ${verdict}s a contribution with ${name}`, () => {
    const bus = createBus({ members: 4 });
    const [peer, author] = bus.peers as [BusPeer, BusPeer];
    assert.equal(judge(peer, announce(bus, author.key, changes)).verdict, verdict);
  });

test('receiveMessage rejects signatures by somebody else', () => {
  const bus = createBus({ members: 4 });
  const [peer, author] = bus.peers as [BusPeer, BusPeer];
  const forger = createKey(40);
  assert.match(judge(peer, announce(bus, author.key, {}, forger)).reason, /wrong signature/);
  assert.match(judge(peer, vote(bus, author.key, 'skip', {}, forger)).reason, /wrong signature/);
});

test('receiveMessage rejects votes of strangers and ignores those of other views and epochs', () => {
  const bus = createBus({ members: 4 });
  const [peer, member] = bus.peers as [BusPeer, BusPeer];
  assert.equal(judge(peer, vote(bus, createKey(40), 'skip')).verdict, 'reject');
  assert.equal(judge(peer, vote(bus, member.key, 'skip', { view: 100_000 })).verdict, 'ignore');
  assert.equal(judge(peer, vote(bus, member.key, 'skip', { epoch: 7 })).verdict, 'ignore');
  assert.equal(judge(peer, vote(bus, member.key, 'skip', { block: cidOf(encodeCbor(1)) })).verdict, 'reject');
  assert.equal(judge(peer, vote(bus, member.key, 'notarize', { block: null })).verdict, 'reject');
});

test('receiveMessage rejects certificates that are forged or too small', () => {
  const bus = createBus({ members: 4 });
  const [peer] = bus.peers as [BusPeer];
  const run = runDigest(bus.runId);
  const block = cidOf(encodeCbor('block'), 'dag-cbor');
  const sign = (indices: readonly number[], choice: Choice, keys = bus.peers.map(({ key }) => key)) => {
    const signatures = indices.map((index) => {
      const body = voteBody(run, {
        epoch: 0,
        opened: genesisBlockId(bus.runId),
        view: 0,
        choice,
        block,
        voter: bus.peers[index]?.key.peer as never,
      });
      const { signature } = decodeCbor(encodeSigned('vote', body, (keys[index] as Key).components.sign)) as {
        signature: Uint8Array;
      };
      return signature;
    });
    return encodeMessage([
      encodeCertificate(run, {
        epoch: 0,
        opened: genesisBlockId(bus.runId),
        view: 0,
        choice,
        block,
        signers: indices,
        signatures,
        rekeys: [],
      }),
    ]);
  };
  assert.match(judge(peer, sign([0, 1], 'notarize')).reason, /2 signatures, expected 3/);
  const strangers = [0, 1, 2, 3].map((index) => createKey(60 + index));
  assert.match(judge(peer, sign([0, 1, 2], 'notarize', strangers)).reason, /wrong signature/);
  assert.equal(judge(peer, sign([0, 1, 2], 'finalize', strangers)).verdict, 'reject');
  assert.equal(judge(peer, sign([0, 1, 2], 'notarize')).verdict, 'accept');
});

test('receiveMessage rejects a proposal out of turn', () => {
  const { messages } = recorded();
  const proposals = messages.flatMap((message) =>
    (decodeCbor(message) as Uint8Array[]).filter(
      (bytes) => (decodeCbor(bytes) as { kind: string }).kind === 'proposal',
    ),
  );
  assert.equal(proposals.length, 1);
  const { body, ...proposal } = decodeCbor(proposals[0] as Uint8Array) as { body: Record<string, unknown> };
  const bus = createBus({ members: 4 });
  const [peer, , third] = bus.peers as [BusPeer, BusPeer, BusPeer];
  const claimed = { ...body, proposer: third.key.peer };
  const signature = third.key.components.sign(signedBytes('proposal', claimed));
  const forged = encodeCbor({ ...proposal, body: claimed, signature });
  assert.match(judge(peer, encodeMessage([forged])).reason, /out of turn/);
});

test('wantDelta judges a delta anew for each announcement, so that a wrong one spoils nothing', () => {
  const bus = createBus({ members: 4 });
  const [peer, author, liar] = bus.peers as [BusPeer, BusPeer, BusPeer];
  const { blob } = draftOf(peer, 1);
  judge(peer, announce(bus, liar.key));
  judge(peer, announce(bus, author.key));
  const wanted = peer.handle({ kind: 'blob', blob, outcome: 'invalid' });
  const fetch = wanted.find((effect) => effect.kind === 'fetch');
  assert.ok(fetch?.kind === 'fetch');
  assert.equal(fetch.input?.author, author.key.peer);
});
