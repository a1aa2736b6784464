/** By which keys this peer and others vote, and whose votes count. */
import type { PeerId } from '@murmuration/base';
import type { VoteKey } from './index.ts';
import { keyOf, type LedgerState } from './ledger-state.ts';
import { type Machine, tipOf, votersOf } from './machine.ts';
import type { RekeyRequest } from './request.ts';
import { renewalsMax } from './roster.ts';

/** The key that this peer signs votes with; the ledger may know an older one. */
export const ownVoteKey = ({ components, init }: Machine): VoteKey =>
  components.voteKey ?? { key: init.self, sign: components.sign };

/**
 * Whether this peer may sign votes and proposals now: a voter of the epoch, that remembers what its key has signed and
 * has listened.
 */
export const mayVote = (machine: Machine): boolean =>
  machine.started &&
  (machine.provisional !== undefined || tipOf(machine).fork === undefined) &&
  !machine.diverged &&
  !machine.conflicted &&
  !machine.forgotten &&
  machine.signsFrom !== undefined &&
  machine.now >= machine.signsFrom &&
  machine.init.role !== 'observer' &&
  votersOf(machine).includes(machine.init.self) &&
  (keyOf(tipOf(machine).state, machine.init.self) === ownVoteKey(machine).key || mayVoteByNewKey(machine));

/**
 * Whether votes by a key that the ledger does not know yet count: in small epochs, where they break no quorum. Who
 * votes alone first learns from those who follow what it may have forgotten.
 */
function mayVoteByNewKey(machine: Machine): boolean {
  const { length } = votersOf(machine);
  if (renewalsMax(machine.rules.run.quorum, length) === 0) return false;
  const { height } = tipOf(machine).block;
  const isAhead = [...machine.peers.values()].some(
    ({ final, retryAt }) => final > height && retryAt <= machine.now,
  );
  return length > 1 || (machine.heard && !isAhead);
}

/** The renewal of another peer's vote key that waits for a block, as far as it was heard of. */
export function renewalOf(machine: Machine, peer: PeerId): RekeyRequest | undefined {
  const change = machine.changes.get(`rekey/${peer}`)?.change;
  return change?.kind === 'rekey' ? change.request : undefined;
}

/** The key that a member votes by, as far as it is known. */
const keyNow = (machine: Machine, peer: PeerId): PeerId | undefined =>
  peer === machine.init.self
    ? ownVoteKey(machine).key
    : (renewalOf(machine, peer)?.key ?? keyOf(tipOf(machine).state, peer));

/**
 * How many of these voters can be in one certificate of an epoch in which members have these keys: of those with newer
 * keys only so many count.
 */
export function countVotes(
  machine: Machine,
  peers: readonly PeerId[],
  electorate: Pick<LedgerState, 'members' | 'voters'> = tipOf(machine).state,
): number {
  const renewed = peers.filter((peer) => keyNow(machine, peer) !== keyOf(electorate, peer)).length;
  const counting = renewalsMax(machine.rules.run.quorum, electorate.voters.length);
  return peers.length - renewed + Math.min(renewed, counting);
}
