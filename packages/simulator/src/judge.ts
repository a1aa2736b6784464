/**
 * Watches everything that honest peers publish, apply and settle, over all their lives, and says which guarantee of
 * PROTOCOL.md was broken. What liars do is their own affair; only what it does to the others counts. The judge reads
 * statements by itself and counts quorums by itself: it shares no rule with the code that it judges.
 */
import type { PeerId } from '@murmuration/base';
import type { Block, Report, Verdict } from '@murmuration/protocol';
import { type CommitWatch, createCommitWatch } from './commit-watch.ts';
import { type BoundsWatch, createBoundsWatch, createSignatureWatch, type SignatureWatch } from './conduct.ts';
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
  heard(peer: SimPeer, origin: SimPeer, verdict: Verdict): void;
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

const equal = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index]);

export function createJudge(scenario: Scenario, world: World, honest: ReadonlySet<PeerId>): Judge {
  const problems: string[] = [];
  const finalAtMs: number[] = [];
  const blocks = new Map<number, { readonly id: string; readonly root: Uint8Array }>();
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
  const work = createWorkWatch(complain, honest, scenario);
  const commit = createCommitWatch(scenario);
  return {
    problems,
    complain,
    signatures: createSignatureWatch(complain),
    bounds: createBoundsWatch(complain),
    work,
    commit,
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
    heard(peer, origin, verdict) {
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
      const known = blocks.get(block.height);
      if (!known) {
        blocks.set(block.height, { id: block.id, root: block.stateRoot });
        finalAtMs[block.height] = world.now;
      } else if (known.id !== block.id)
        complain(`G1: peer ${peer.index} finalizes another block at height ${block.height}`);
      else if (!equal(known.root, block.stateRoot))
        complain(`G2: peer ${peer.index} has another root at height ${block.height}`);
      if (block.contributions.some(({ cid }, index) => cid <= (block.contributions[index - 1]?.cid ?? '')))
        complain(`G2: peer ${peer.index} finalizes contributions out of order at height ${block.height}`);
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
