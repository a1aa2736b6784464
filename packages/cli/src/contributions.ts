/** What peers brought to certified rounds, as a ledger says it. */
import type { PeerId } from '@murmuration/base';
import type { AuditedBlock, Contribution } from '@murmuration/protocol';

/** A contribution, with what its block made of it. */
export interface ContributionLine extends Contribution {
  readonly isMember: boolean;
  readonly weight: number;
  /** Its weight as a part of the weight of all in its round. */
  readonly share: number;
  readonly clip: number;
}

/** What one peer did in the rounds that were added up. */
export interface PeerSummary {
  readonly peer: PeerId;
  /** Rounds with a contribution of it, the first and the last of them. */
  readonly rounds: number;
  readonly first: number;
  readonly last: number;
  readonly tokens: number;
  /** Of the tokens of all. */
  readonly tokensShare: number;
  /** Mean share of the weight, over the rounds that it was in. */
  readonly weight: number;
  /** Rounds in which its delta was scaled down. */
  readonly clipped: number;
  readonly bytes: number;
}

export function contributionsOf({ block, authorsOfRoster }: AuditedBlock): readonly ContributionLine[] {
  const { contributions, execution } = block;
  const members = new Set(authorsOfRoster);
  const weightOfAll = execution.inputs.reduce((sum, { weight }) => sum + weight, 0);
  return contributions.map((contribution, index) => {
    const { weight = 0, clip = 1 } = execution.inputs[index] ?? {};
    const isMember = members.has(contribution.author);
    return { ...contribution, isMember, weight, share: weightOfAll > 0 ? weight / weightOfAll : 0, clip };
  });
}

/** Adds rounds up, peer by peer. */
export interface Summary {
  add(block: AuditedBlock): void;
  /** Who brought most tokens first. */
  peers(): readonly PeerSummary[];
}

export function createSummary(): Summary {
  const peers = new Map<PeerId, PeerSummary>();
  let tokensOfAll = 0;
  return {
    add(audited) {
      const { height } = audited.block;
      for (const { author, tokens, blobBytes, share, clip } of contributionsOf(audited)) {
        const before = peers.get(author);
        tokensOfAll += tokens;
        peers.set(author, {
          peer: author,
          rounds: (before?.rounds ?? 0) + 1,
          first: before?.first ?? height,
          last: height,
          tokens: (before?.tokens ?? 0) + tokens,
          tokensShare: 0,
          weight: (before?.weight ?? 0) + share,
          clipped: (before?.clipped ?? 0) + (clip < 1 ? 1 : 0),
          bytes: (before?.bytes ?? 0) + blobBytes,
        });
      }
    },
    peers: () =>
      [...peers.values()]
        .map((peer) => ({
          ...peer,
          tokensShare: peer.tokens / tokensOfAll,
          weight: peer.weight / peer.rounds,
        }))
        .sort((a, b) => b.tokens - a.tokens),
  };
}
