import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, cidOfDigest, encodeCbor, type PeerId, runDigest, sha256 } from '@murmuration/base';
import { type BlockId, readLedgerEntry } from '@murmuration/protocol';
import { encodeHeader } from '../src/header.ts';
import {
  decodeMessage,
  decodeStatement,
  encodeMessage,
  encodeProposal,
  type Proposal,
  type Statement,
} from '../src/statement.ts';
import type { Choice } from '../src/vote.ts';
import { around, type Bus, type BusOptions, type BusPeer, createBus } from './harness.ts';

/** What becomes of messages, and who does nothing any more. */
interface Losses {
  /** What `to` hears of a statement that was sent to it: that one, another one, or nothing. */
  hears: (to: PeerId, from: PeerId, statement: Statement) => Uint8Array | undefined;
  gone: PeerId | undefined;
}

const all: Losses['hears'] = (_to, _from, { bytes }) => bytes;

function closeRounds(bus: Bus, rounds: number, ms: number): void {
  for (let round = 0; round < rounds; round++) {
    bus.round();
    bus.wait(ms);
  }
}

/** Members that have closed so many rounds. */
function createLossy(options: BusOptions, rounds: number): { readonly bus: Bus; readonly losses: Losses } {
  const losses: Losses = { hears: all, gone: undefined };
  const create = around((self, handle) => (event, now) => {
    if (losses.gone === self) return [];
    if (event.kind !== 'message') return handle(event, now);
    const heard = decodeMessage(event.bytes).flatMap((bytes) => {
      const said = losses.hears(self, event.from, decodeStatement(bytes, sha256));
      return said ? [said] : [];
    });
    return heard.length > 0 ? handle({ ...event, bytes: encodeMessage(heard) }, now) : [];
  });
  const bus = createBus({ ...options, create });
  closeRounds(bus, rounds, 2_000);
  return { bus, losses };
}

const peerOf = ({ peers }: Bus, id: PeerId): BusPeer => peers.find(({ key }) => key.peer === id) as BusPeer;
const heightOf = ({ replica }: BusPeer): number => replica.view.final.height;

const blockAt = ({ runId }: Bus, { ledger }: BusPeer, height: number): BlockId | undefined =>
  ledger.slice(height - 1, height).map(({ bytes }) => readLedgerEntry(bytes, runId).id)[0];

const choiceIn = (statement: Statement): Choice | undefined => {
  if (statement.kind === 'vote') return statement.vote.choice;
  return statement.kind === 'certificate' ? statement.certificate.choice : undefined;
};

/** Whoever stays goes on for so many minutes, and hears everything. */
function goOn(bus: Bus, losses: Losses, gone: PeerId, minutes: number): readonly BusPeer[] {
  Object.assign(losses, { gone, hears: all });
  closeRounds(bus, minutes, 60_000);
  return bus.peers.filter(({ key }) => key.peer !== gone);
}

/**
 * In the first, or second, view to come the proposer goes with its proposal, which only one other gets: the holder. The
 * third hears nothing any more; what is final before that view the holder learns only afterwards.
 */
function loseProposer(bus: Bus, losses: Losses, viewsBefore: number) {
  const { view, voters } = (bus.peers[0] as BusPeer).replica.view;
  const lost = view + viewsBefore;
  const [gone, holder] = [0, 1].map((turn) => voters[(lost + turn) % 3]) as [PeerId, PeerId];
  losses.hears = (to, _from, statement) => {
    if (statement.kind === 'proposal' && statement.proposal.view === lost) losses.gone = gone;
    const isFinality = statement.kind === 'presence' || choiceIn(statement) === 'finalize';
    const isLost = losses.gone ? to !== holder : to === holder && isFinality;
    return isLost ? undefined : statement.bytes;
  };
  closeRounds(bus, viewsBefore, 2_000);
  assert.equal(heightOf(peerOf(bus, holder)), 1);
  bus.round();
  bus.wait(5_000);
  assert.equal(losses.gone, gone);
  return { gone, holder: peerOf(bus, holder) };
}

for (const [isRestarted, viewsBefore] of [
  [false, 0],
  [true, 0],
  [true, 1],
] as const)
  test(`two go on above a block that only one of them has${isRestarted ? ', which has started again' : ''}, ${
    viewsBefore > 0 ? 'after the one before it became final, ' : ''
  }and whose proposer is gone (G3)`, () => {
    const { bus, losses } = createLossy({ members: 3, run: { rounds: 40 } }, 1);
    const { gone, holder } = loseProposer(bus, losses, viewsBefore);
    const { head, final } = holder.replica.view;
    assert.deepEqual([final.height, head.height], [1 + viewsBefore, 2 + viewsBefore]);
    if (isRestarted) holder.restart({ applied: head });
    for (const peer of goOn(bus, losses, gone, 10)) {
      assert.ok(heightOf(peer) >= 8, `${heightOf(peer)}`);
      assert.equal(blockAt(bus, peer, head.height), head.block);
    }
  });

test('an honest quorum goes on above one of two blocks that a proposer signed before it went (G3)', () => {
  const { bus, losses } = createLossy({ members: 4, run: { rounds: 40, quorum: 'byzantine' } }, 1);
  const { view, voters } = (bus.peers[0] as BusPeer).replica.view;
  const [liar, witness, deceived] = [0, 1, 2].map((turn) => voters[(view + turn) % 4]) as PeerId[];
  const { sign } = peerOf(bus, liar as PeerId).key.components;
  const other = (proposal: Proposal): Uint8Array => {
    const headerBytes = encodeHeader({ ...proposal.header, tensors: cidOf(encodeCbor('other')) });
    const block = cidOfDigest(sha256(headerBytes), 'dag-cbor');
    return encodeProposal(runDigest(bus.runId), { ...proposal, headerBytes, block }, { hash: sha256, sign });
  };
  let isProposed = false;
  losses.hears = (to, from, statement) => {
    const { kind, bytes } = statement;
    isProposed ||= kind === 'proposal';
    if (!isProposed) return bytes;
    const isNotarize =
      kind === 'vote' && statement.vote.choice === 'notarize' && statement.vote.view === view;
    if (kind === 'proposal' && from === liar) return to === deceived ? other(statement.proposal) : bytes;
    if (to === liar) return undefined;
    if (from === liar) return isNotarize && to === witness ? bytes : undefined;
    return from !== witness || isNotarize ? bytes : undefined;
  };
  bus.round();
  bus.wait(4_000);
  const there = goOn(bus, losses, liar as PeerId, 10);
  assert.equal(there.length, 3);
  for (const peer of there) assert.ok(heightOf(peer) >= 10, `${heightOf(peer)}`);
});

test('who lacks the block that ends the run gets it, although it was proposed again (G3)', () => {
  const { bus, losses } = createLossy({ members: 3, run: { rounds: 3 } }, 2);
  const { view, voters } = (bus.peers[0] as BusPeer).replica.view;
  const [gone, holder, lacking] = [0, 1, 2].map((turn) => voters[(view + turn) % 3]) as PeerId[];
  let isTold = false;
  losses.hears = (to, from, statement) => {
    const { kind, bytes } = statement;
    if (kind === 'proposal' && statement.proposal.view > view + 1) return undefined;
    if (from === lacking) return undefined;
    if (to !== lacking) return kind === 'vote' && statement.vote.choice !== 'notarize' ? undefined : bytes;
    const isNotarization =
      kind === 'certificate' &&
      statement.certificate.view === view &&
      statement.certificate.choice === 'notarize';
    return isTold && isNotarization ? bytes : undefined;
  };
  bus.round();
  bus.wait(20_000);
  isTold = true;
  bus.wait(60_000);
  const { head, final } = peerOf(bus, holder as PeerId).replica.view;
  assert.deepEqual([final.height, head.height], [2, 3]);
  for (const peer of goOn(bus, losses, gone as PeerId, 10)) {
    assert.equal(peer.replica.view.phase, 'ended');
    assert.equal(blockAt(bus, peer, 3), head.block);
  }
});
