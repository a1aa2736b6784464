/**
 * How long certification takes. For each height: from the moment when the last contribution that its block contains was
 * held by a quorum (its author holds it when it is announced) to the moment when a quorum had settled the block.
 */
import type { Cid } from '@murmuration/base';
import type { Block } from '@murmuration/protocol';
import type { SimPeer } from './peer.ts';
import type { Scenario } from './scenario.ts';

export interface CommitWatch {
  /** A peer holds a delta that it has checked. */
  held(peer: SimPeer, blob: Cid, now: number): void;
  settled(peer: SimPeer, block: Block, rosterSize: number, now: number): void;
  /** Milliseconds per height with contributions, in order. */
  readonly commitMs: readonly number[];
}

interface Height {
  readonly blobs: readonly Cid[];
  readonly rosterSize: number;
  readonly settledMs: Map<SimPeer, number>;
}

/** The judge's own count of a quorum. */
const quorumOf = (mode: Scenario['quorum'], members: number): number =>
  mode === 'crash' ? Math.floor(members / 2) + 1 : Math.floor((2 * members) / 3) + 1;

/** The k-th of the smallest values, from 1. */
const kth = (values: Iterable<number>, k: number): number | undefined =>
  [...values].sort((a, b) => a - b)[k - 1];

export function createCommitWatch({ quorum, members }: Scenario): CommitWatch {
  const heldMs = new Map<Cid, number[]>();
  const heights = new Map<number, Height>();
  const isVoter = (peer: SimPeer): boolean => peer.index < members;

  const commitOf = ({ blobs, rosterSize, settledMs }: Height): number | undefined => {
    const needed = Math.min(quorumOf(quorum, rosterSize), members);
    const arrivals = blobs.map((blob) => kth(heldMs.get(blob) ?? [], needed) ?? 0);
    const settled = kth(settledMs.values(), needed);
    return settled === undefined ? undefined : Math.max(0, settled - Math.max(...arrivals));
  };
  return {
    held(peer, blob, now) {
      if (!isVoter(peer)) return;
      const times = heldMs.get(blob) ?? [];
      times.push(now);
      heldMs.set(blob, times);
    },
    settled(peer, { height, contributions }, rosterSize, now) {
      if (!isVoter(peer)) return;
      const known = heights.get(height) ?? {
        blobs: contributions.map(({ blob }) => blob),
        rosterSize,
        settledMs: new Map<SimPeer, number>(),
      };
      heights.set(height, known);
      if (!known.settledMs.has(peer)) known.settledMs.set(peer, now);
    },
    get commitMs() {
      return [...heights.values()]
        .filter(({ blobs }) => blobs.length > 0)
        .map(commitOf)
        .filter((time) => time !== undefined);
    },
  };
}
