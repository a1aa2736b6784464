import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, decodeCbor, digestOfCid, encodeCbor, runDigest } from '@murmuration/base';
import { createInvitation, signInvitation } from '@murmuration/protocol';
import fc from 'fast-check';
import { decodeHeader, encodeHeader, type Header } from '../src/header.ts';
import { parseInvitation } from '../src/invitation.ts';
import { encodeInvitationStatement, encodeMessage, encodeSigned } from '../src/statement.ts';
import { type Bus, type BusPeer, createBus, createKey, draftOf } from './harness.ts';

/** Numbers at and beyond every bound. */
const number = fc.constantFrom(0, 1, 2, 3, 4, 7, 8, 255, 256, 257, 2 ** 31, Number.MAX_SAFE_INTEGER);
const anyCid = fc.constantFrom(
  cidOf(encodeCbor('nobody knows')),
  cidOf(encodeCbor('nor this'), 'dag-cbor'),
  cidOf(encodeCbor('initial')),
);

/** Statements that a member signs with its own key, whatever they say. */
function hostile(bus: Bus, member: BusPeer): fc.Arbitrary<Uint8Array> {
  const run = runDigest(bus.runId);
  const self = member.key.peer;
  const { head } = member.replica.view;
  const sign = member.key.components.sign;
  const block = fc.oneof(anyCid, fc.constant(head.block));
  const proposals = member.effects.flatMap((effect) =>
    effect.kind === 'persist' && effect.record.key.startsWith('block/')
      ? [decodeHeader((decodeCbor(effect.record.bytes) as { header: Uint8Array }).header)]
      : [],
  );
  const header = fc
    .record({
      epoch: number,
      view: number,
      height: fc.oneof(number, fc.constant(head.height + 1)),
      parent: block,
      list: fc.oneof(anyCid, ...proposals.map(({ list }) => fc.constant(list))),
      listBytes: fc.constantFrom(1, 2, 400, 256 * 1024),
      tensors: anyCid,
      root: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    })
    .map((changes): Header => ({ run, proposer: self, invitation: undefined, ...changes }));
  const near = fc.constantFrom(head.height, head.height + 1, head.height + 2);
  const draft = draftOf(member, 7);
  return fc.oneof(
    fc
      .record({ epoch: fc.constantFrom(0, 0, 1), view: fc.oneof(number, near), block })
      .chain((fields) =>
        fc.constantFrom('notarize', 'skip', 'finalize').map((choice) => ({
          run,
          voter: self,
          choice,
          ...fields,
          block: choice === 'skip' ? null : fields.block,
        })),
      )
      .map((body) => encodeSigned('vote', body, sign)),
    fc
      .record({ epoch: number, view: number, head: number, final: number, holds: fc.uint8Array() })
      .map((body) => encodeSigned('presence', { run, peer: self, ...body }, sign)),
    fc
      .record({
        baseHeight: fc.oneof(number, fc.constant(head.height)),
        base: block,
        sequence: number,
        blob: fc.oneof(anyCid, fc.constant(draft.blob)),
        blobBytes: number,
        norm: fc.oneof(fc.double(), fc.constantFrom(5e-324, Number.MAX_VALUE)),
        tokens: number,
        steps: number,
        loss: fc.double({ noNaN: true, noDefaultInfinity: true }),
      })
      .filter(({ norm }) => Number.isFinite(norm))
      .map((body) => encodeSigned('contribution', { run, author: self, ...body }, sign)),
    fc
      .record({
        header,
        after: fc.constantFrom(-1, 0, 1, 2),
        contributions: fc.array(anyCid, { maxLength: 4 }),
      })
      .chain((fields) =>
        fc.oneof(number, near).map((view) => {
          const fitting: Header = { ...fields.header, view, epoch: 0 };
          return {
            run,
            epoch: 0,
            view,
            after: fields.after,
            header: encodeHeader(fitting),
            contributions: fields.contributions.map(digestOfCid),
            proposer: self,
          };
        }),
      )
      .map((body) => encodeSigned('proposal', body, sign)),
    number.map((expires) => {
      const guest = createKey(60 + (expires % 5)).peer;
      const terms = createInvitation({ runId: bus.runId, guest, expires: Math.max(1, expires) });
      return encodeInvitationStatement(parseInvitation(signInvitation(terms, self, sign)));
    }),
  );
}

test('handle survives whatever one member signs, and the others close the run', () => {
  const accepted = new Set<string>();
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
    }),
    { numRuns: 30 },
  );
  assert.deepEqual([...accepted].sort(), ['contribution', 'invitation', 'presence', 'proposal', 'vote']);
});
