import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cid, cidOf, decodeCbor, encodeCbor, runDigest } from '@murmuration/base';
import { createInvitation, genesisBlockId, signInvitation } from '@murmuration/protocol';
import fc from 'fast-check';
import { createEvidence, type Deed, deedOf } from '../src/evidence.ts';
import { decodeHeader, encodeHeader, type Header } from '../src/header.ts';
import { parseInvitation } from '../src/invitation.ts';
import { encodeInvitationStatement, encodeMessage, encodeProposal, encodeSigned } from '../src/statement.ts';
import { type Bus, type BusPeer, createBus, createKey, draftOf } from './harness.ts';

/** Numbers at and beyond every bound. */
const number = fc.constantFrom(0, 1, 2, 3, 4, 7, 8, 255, 256, 257, 2 ** 31, Number.MAX_SAFE_INTEGER);
const anyCid = fc.constantFrom(
  cidOf(encodeCbor('nobody knows')),
  cidOf(encodeCbor('nor this'), 'dag-cbor'),
  cidOf(encodeCbor('initial')),
);

/** What the statements of a liar are made of. */
interface Means {
  readonly run: Uint8Array;
  readonly member: BusPeer;
  readonly bus: Bus;
  readonly block: fc.Arbitrary<Cid>;
  /** Views about the head. */
  readonly near: fc.Arbitrary<number>;
}

/** Statements that a member signs with its own key, whatever they say. */
function hostile(bus: Bus, member: BusPeer): fc.Arbitrary<Uint8Array> {
  const { head } = member.replica.view;
  const means: Means = {
    run: runDigest(bus.runId),
    member,
    bus,
    block: fc.oneof(anyCid, fc.constant(head.block)),
    near: fc.constantFrom(head.height, head.height + 1, head.height + 2),
  };
  return fc.oneof(
    votes(means),
    presences(means),
    contributions(means),
    proposals(means),
    evidence(means),
    invitations(means),
  );
}

const votes = ({ run, member, bus, block, near }: Means): fc.Arbitrary<Uint8Array> =>
  fc
    .record({
      epoch: fc.constantFrom(0, 0, 1),
      opened: fc.constantFrom(genesisBlockId(bus.runId), cidOf(encodeCbor('elsewhere'), 'dag-cbor')),
      view: fc.oneof(number, near),
      choice: fc.constantFrom('notarize', 'skip', 'finalize'),
      block,
    })
    .map((fields) => ({
      run,
      voter: member.key.peer,
      ...fields,
      block: fields.choice === 'skip' ? null : fields.block,
    }))
    .map((body) => encodeSigned('vote', body, member.key.components.sign));

const presences = ({ run, member, block, near }: Means): fc.Arbitrary<Uint8Array> =>
  fc
    .record({
      life: fc.oneof(number, fc.constant(Number.MAX_SAFE_INTEGER)),
      count: number,
      epoch: number,
      view: number,
      head: fc.oneof(number, near),
      final: fc.oneof(number, fc.constant(0)),
      block,
      holds: fc.oneof(fc.uint8Array(), fc.constantFrom(new Uint8Array(), new Uint8Array(16))),
    })
    .map((body) => ({ run, peer: member.key.peer, opening: null, ...body }))
    .map((body) => encodeSigned('presence', body, member.key.components.sign));

function contributions({ run, member, block }: Means): fc.Arbitrary<Uint8Array> {
  const { head } = member.replica.view;
  return fc
    .record({
      baseHeight: fc.oneof(number, fc.constant(head.height)),
      base: block,
      sequence: number,
      blob: fc.oneof(anyCid, fc.constant(draftOf(member, 7).blob)),
      blobBytes: number,
      norm: fc.oneof(fc.double(), fc.constantFrom(5e-324, Number.MAX_VALUE)),
      tokens: number,
      steps: number,
      loss: fc.double({ noNaN: true, noDefaultInfinity: true }),
    })
    .filter(({ norm }) => Number.isFinite(norm))
    .map((body) => ({ run, author: member.key.peer, ...body }))
    .map((body) => encodeSigned('contribution', body, member.key.components.sign));
}

/** Headers that say what they like, some of them with the list of a real block. */
function headers({ run, member, block }: Means): fc.Arbitrary<Header> {
  const { head } = member.replica.view;
  const real = member.effects.flatMap((effect) =>
    effect.kind === 'persist' && effect.record.key.startsWith('block/')
      ? [decodeHeader((decodeCbor(effect.record.bytes) as { header: Uint8Array }).header)]
      : [],
  );
  return fc
    .record({
      epoch: number,
      view: number,
      height: fc.oneof(number, fc.constant(head.height + 1)),
      parent: block,
      list: fc.oneof(anyCid, ...real.map(({ list }) => fc.constant(list))),
      listBytes: fc.constantFrom(1, 2, 400, 256 * 1024),
      tensors: anyCid,
      root: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    })
    .map((fields) => ({ run, proposer: member.key.peer, changes: [], ...fields }));
}

const proposals = (means: Means): fc.Arbitrary<Uint8Array> =>
  fc
    .record({
      header: headers(means),
      view: fc.oneof(number, means.near),
      after: fc.constantFrom(-1, 0, 1, 2),
      contributions: fc.array(anyCid, { maxLength: 4 }),
    })
    .map(({ header, view, ...fields }) => {
      const headerBytes = encodeHeader({ ...header, view, epoch: 0 });
      const block = cidOf(headerBytes, 'dag-cbor');
      const opened = genesisBlockId(means.bus.runId);
      return { ...fields, epoch: 0, opened, view, block, headerBytes, proposer: means.member.key.peer };
    })
    .map((proposal) => encodeProposal(means.run, proposal, means.member.key.components));

/** Accusations of anybody, by statements that the liar signed itself. */
function evidence({ run, member, bus, near }: Means): fc.Arbitrary<Uint8Array> {
  const { head } = member.replica.view;
  return fc
    .record({
      voter: fc.constantFrom(...bus.peers.map(({ key }) => key.peer)),
      view: near,
      names: fc.shuffledSubarray([head.block, cidOf(encodeCbor(1), 'dag-cbor')]),
    })
    .map(({ voter, view, names: [one, two] }) => {
      const place = { run, epoch: 0, opened: genesisBlockId(bus.runId), view, voter };
      const deeds = [
        { ...place, choice: 'finalize', block: one ?? head.block },
        two ? { ...place, choice: 'finalize', block: two } : { ...place, choice: 'skip', block: null },
      ].map((body) => deedOf(decodeCbor(encodeSigned('vote', body, member.key.components.sign))));
      return createEvidence(deeds[0] as Deed, deeds[1] as Deed, undefined).bytes;
    });
}

const invitations = ({ member, bus: { runId } }: Means): fc.Arbitrary<Uint8Array> =>
  number.map((at) => {
    const guest = createKey(60 + (at % 5)).peer;
    const terms = createInvitation({ runId, guest, role: 'member', expires: Math.max(1, at), uses: 1 });
    const signed = signInvitation(terms, member.key.peer, member.key.components.sign);
    return encodeInvitationStatement(parseInvitation(signed));
  });

test('handle survives whatever one member signs, the others close the run and convict nobody else (G5)', () => {
  const accepted = new Set<string>();
  let convictions = 0;
  fc.assert(
    fc.property(fc.integer(), fc.gen(), (_, draw) => {
      const bus = createBus({ members: 4, run: { rounds: 6, quorum: 'byzantine' } });
      const liar = bus.peers[1] as BusPeer;
      const honest = bus.peers.filter((peer) => peer !== liar);
      bus.round();
      bus.drops = (from) => from === liar;
      for (let round = 0; round < 14; round++) {
        for (let count = draw(fc.nat, { max: 6 }); count > 0; count--) {
          const bytes = encodeMessage([draw(() => hostile(bus, liar))]);
          for (const peer of honest) {
            const [verdict] = peer.handle({ kind: 'message', from: liar.key.peer, bytes });
            const { kind } = decodeCbor((decodeCbor(bytes) as [Uint8Array])[0]) as { kind: string };
            if (verdict?.kind === 'verdict' && verdict.verdict === 'accept') accepted.add(kind);
          }
        }
        bus.round();
        bus.wait(20_000);
      }
      const roots = honest.map(({ replica }) => Buffer.from(replica.view.final.stateRoot).toString('hex'));
      assert.deepEqual(
        honest.map(({ replica }) => replica.view.phase),
        ['ended', 'ended', 'ended'],
        JSON.stringify(
          honest.map(({ replica: { view } }) => [view.phase, view.final.height, view.head.height, view.view]),
        ),
      );
      assert.equal(new Set(roots).size, 1);
      for (const { replica, effects } of honest) {
        for (const { key } of honest) assert.ok(replica.view.members.includes(key.peer));
        if (effects.some((effect) => effect.kind === 'report' && effect.report.kind === 'convicted'))
          convictions++;
      }
    }),
    { numRuns: 30 },
  );
  assert.deepEqual([...accepted].sort(), [
    'contribution',
    'evidence',
    'invitation',
    'presence',
    'proposal',
    'vote',
  ]);
  assert.ok(convictions > 10, `${convictions}`);
});
