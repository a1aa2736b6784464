/**
 * Watches everything that honest peers publish, apply and settle, over all their lives, and says which guarantee of
 * PROTOCOL.md was broken. What liars do is their own affair; only what it does to the others counts. The judge reads
 * statements by itself and counts quorums by itself: it shares no rule with the code that it judges.
 */
import type { PeerId } from '@murmuration/base';
import type { Block, Report, Verdict } from '@murmuration/protocol';
import { equals } from 'uint8arrays/equals';
import { type CommitWatch, createCommitWatch } from './commit-watch.ts';
import { type BoundsWatch, createBoundsWatch, createSignatureWatch, type SignatureWatch } from './conduct.ts';
import { type ConvictionWatch, createConvictionWatch } from './conviction-watch.ts';
import type { Keys } from './keys.ts';
import type { SimPeer } from './peer.ts';
import type { Scenario } from './scenario.ts';
import { createWorkWatch, type WorkWatch } from './work-watch.ts';
import type { World } from './world.ts';

export interface Judge {
  readonly problems: readonly string[];
  complain(problem: string): void;
  readonly signatures: SignatureWatch;
  readonly bounds: BoundsWatch;
  readonly work: WorkWatch;
  readonly commit: CommitWatch;
  settled(peer: SimPeer, block: Block, rosterSize: number): void;
  readonly convictions: ConvictionWatch;
  /** A message of `origin` came to a peer, which judged it. */
  heard(peer: SimPeer, origin: SimPeer, message: Uint8Array, verdict: Verdict): void;
  reported(peer: SimPeer, report: Report): void;
  performed(kind: string): void;
  /** A view that some peer saw skipped. */
  skipped(view: string): void;
  /** How often each kind of effect was performed and each kind of report made, over all peers. */
  readonly counts: Readonly<Record<string, number>>;
  readonly skippedViews: number;
  readonly finalAtMs: readonly number[];
  /** Peers that an honest ledger convicts and the indices of those who say so, and how many of them are honest. */
  readonly convicted: ReadonlyMap<PeerId, ReadonlySet<number>>;
  readonly falseConvictions: number;
}

const problemsMax = 20;

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** One block at each height, with one root, and its contributions in order. */
function createBlockWatch(complain: (problem: string) => void): (peer: SimPeer, block: Block) => void {
  const blocks = new Map<number, { readonly id: string; readonly root: Uint8Array }>();
  return ({ index }, { id, height, stateRoot, contributions }) => {
    const known = blocks.get(height);
    if (!known) blocks.set(height, { id, root: stateRoot });
    else if (known.id !== id) complain(`G1: peer ${index} finalizes another block at height ${height}`);
    else if (!equals(known.root, stateRoot))
      complain(`G2: peer ${index} has another root at height ${height}`);
    if (contributions.some(({ cid }, at) => cid <= (contributions[at - 1]?.cid ?? '')))
      complain(`G2: peer ${index} finalizes contributions out of order at height ${height}`);
  };
}

export function createJudge(
  scenario: Scenario,
  world: World,
  keys: Keys,
  honest: ReadonlySet<PeerId>,
): Judge {
  const problems: string[] = [];
  const finalAtMs: number[] = [];
  const counts: Record<string, number> = {};
  const skippedViews = new Set<string>();
  let lastCommittee: string | undefined;
  const convicted = new Map<PeerId, Set<number>>();
  const complain = (problem: string): void => {
    if (problems.length < problemsMax) problems.push(`${problem} (at ${Math.round(world.now)} ms)`);
  };
  const count = (what: string): void => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  const watchBlock = createBlockWatch(complain);
  const work = createWorkWatch(complain, honest, scenario);
  const commit = createCommitWatch(scenario);
  const convictions = createConvictionWatch(complain, scenario, keys);
  return {
    problems,
    complain,
    signatures: createSignatureWatch(complain),
    bounds: createBoundsWatch(complain, scenario),
    work,
    commit,
    convictions,
    counts,
    convicted,
    finalAtMs,
    performed: count,
    skipped: (view) => skippedViews.add(view),
    get skippedViews() {
      return skippedViews.size;
    },
    get falseConvictions() {
      return [...convicted.keys()].filter((peer) => honest.has(peer)).length;
    },
    heard(peer, origin, message, verdict) {
      if (peer.isHonest) convictions.heard(peer, message);
      if (verdict === 'reject' && peer.isHonest && origin.isHonest)
        complain(`G5: peer ${peer.index} rejects a message of the honest peer ${origin.index}`);
    },
    reported({ id, index, restores }, report) {
      count(`report ${report.kind}`);
      if (report.kind === 'recovery') count(`recovery ${report.state}`);
      if (report.kind === 'recovery' && report.state === 'opened') work.book.enter(id, report.listed[0]);
      if (report.kind === 'forgotten' && restores === 0)
        complain(`G8: peer ${index} has forgotten what it signed, and its disk was never put back`);
      const said = report as { readonly kind: string; readonly peer?: PeerId };
      if (said.kind !== 'convicted' || !said.peer) return;
      convicted.set(said.peer, (convicted.get(said.peer) ?? new Set()).add(index));
      if (honest.has(said.peer)) complain(`G5: the honest ${said.peer} is convicted`);
    },
    settled(peer, block, rosterSize) {
      watchBlock(peer, block);
      finalAtMs[block.height] ??= world.now;
      const committee = peer.life?.replica.view.voters.join();
      if (rosterSize < (peer.life?.replica.view.members.length ?? 0) && committee !== lastCommittee) {
        if (lastCommittee) count('committee');
        lastCommittee = committee;
      }
      work.settled(block);
      commit.settled(peer, block, rosterSize, world.now);
    },
  };
}
