/** By which key this peer votes, and whether it may. */
import type { VoteKey } from './index.ts';
import { keyOf } from './ledger-state.ts';
import { type Machine, tipOf, votersOf } from './machine.ts';
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
