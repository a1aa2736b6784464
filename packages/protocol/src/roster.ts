import type { PeerId, RunConfig } from '@murmuration/base';
import type { Member } from './ledger-state.ts';

/** How many of `voters` make a certificate: ⌊n/2⌋+1 in `crash` runs, ⌊2n/3⌋+1 in `byzantine` ones. */
export const quorumOf = (mode: RunConfig['quorum'], voters: number): number =>
  mode === 'crash' ? Math.floor(voters / 2) + 1 : Math.floor((2 * voters) / 3) + 1;

/**
 * How many signers of one certificate may vote by a key that the ledger does not know yet. Such a member may have
 * forgotten what it signed by the old one, so it counts as one more fault: two quorums must still share an honest voter
 * that remembers. In a run of one there is nobody whom it could contradict but those who follow.
 */
export function renewalsMax(mode: RunConfig['quorum'], voters: number): number {
  const shared = 2 * quorumOf(mode, voters) - voters;
  const liars = mode === 'crash' ? 0 : Math.ceil(voters / 3) - 1;
  return voters === 1 ? 1 : Math.max(0, shared - liars - 1);
}

/** So many voters cannot all be liars; and where nobody lies, two know more than one. */
export const witnessesOf = (mode: RunConfig['quorum'], voters: number): number => {
  const honest = Math.floor(voters / 3) + 1;
  return mode === 'crash' ? Math.max(honest, Math.min(2, voters)) : honest;
};

/**
 * Whether guests that have earned it may make the roster so large: odd, since an even number tolerates no more failures
 * than the odd one below it (four one, as three) and has one more member that may fail; and not two, which need both.
 * Beyond `votersMax` it is the committee that votes.
 */
export const mayGrowTo = (members: number, votersMax: number): boolean =>
  members >= 3 && (members % 2 === 1 || members > votersMax);

/** Who may propose in a view: the voters in turn. */
export const proposerOf = (voters: readonly PeerId[], view: number): PeerId =>
  voters[view % voters.length] as PeerId;

/**
 * Who votes in the epoch that these members begin: all, or the `votersMax` that voted least lately (equal: the oldest
 * members), so that everybody's turn comes. In the order of admission.
 */
export function chooseVoters(members: readonly Member[], votersMax: number): readonly PeerId[] {
  if (members.length <= votersMax) return members.map(({ peer }) => peer);
  const order = members.map((member, index) => ({ ...member, index }));
  const chosen = order.sort((a, b) => a.voted - b.voted || a.index - b.index).slice(0, votersMax);
  return chosen.sort((a, b) => a.index - b.index).map(({ peer }) => peer);
}
