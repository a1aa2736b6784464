/** Contributions that may still enter a block, of all authors, the own ones included. */
import type { Cid, PeerId } from '@murmuration/base';
import { isHeld, isInvalid, wantDelta } from './blobs.ts';
import { type Announcement, type BlockRecord, checkContribution } from './block-record.ts';
import { baseAheadMax, blockBytesMax, contributionsPerAuthorMax, guestsMax } from './defaults.ts';
import type { Contribution } from './index.ts';
import { headOf, type Machine, type PoolEntry, report, rosterOf } from './machine.ts';
import { holdingOf } from './statement.ts';
import { quorum } from './views.ts';

/** Why a contribution cannot enter any block to come, whatever its signature says; cheap. */
export function staleness(machine: Machine, contribution: Contribution): string | undefined {
  const settled = machine.settled.block.height;
  if (contribution.baseHeight < settled + 1 - machine.rules.run.lateHeights) return 'stale contribution';
  if (contribution.baseHeight > headOf(machine).block.height + baseAheadMax)
    return 'contribution from the future';
  const recent = machine.settled.state.recent.some(({ contributions }) =>
    contributions.includes(contribution.cid),
  );
  return recent ? 'contribution that is final already' : undefined;
}

/** Why an author gets no (further) place, or `undefined` after room was made. */
export function makeRoom(machine: Machine, contribution: Contribution): string | undefined {
  const entries = [...machine.pool.values()];
  const ofAuthor = entries.filter((entry) => entry.contribution.author === contribution.author);
  if (ofAuthor.length >= contributionsPerAuthorMax) {
    const oldest = ofAuthor.reduce((a, b) => (a.contribution.sequence <= b.contribution.sequence ? a : b));
    if (oldest.contribution.sequence >= contribution.sequence) return 'contribution older than those we have';
    machine.pool.delete(oldest.contribution.cid);
  }
  const roster = rosterOf(machine);
  if (roster.includes(contribution.author) || ofAuthor.length > 0) return undefined;
  const guests = new Set(entries.map((entry) => entry.contribution.author)).difference(new Set(roster));
  return guests.size >= guestsMax ? 'too many guests' : undefined;
}

/** Puts a checked announcement into the pool and asks for its delta. */
export function addToPool(machine: Machine, announcement: Announcement): void {
  const { contribution } = announcement;
  if (machine.pool.has(contribution.cid)) return;
  machine.pool.set(contribution.cid, { ...announcement, holding: holdingOf(contribution.cid) });
  wantDelta(machine, contribution);
  report(machine, { kind: 'contribution', contribution });
}

/** How many members hold a contribution's delta, as far as we know. */
function holders(machine: Machine, entry: PoolEntry): number {
  return rosterOf(machine).filter((member) =>
    member === machine.init.self
      ? isHeld(machine, entry.contribution)
      : member === entry.contribution.author || machine.peers.get(member)?.holds.has(entry.holding),
  ).length;
}

/** Contributions whose delta we hold and that may enter the block after `head`: one per author, the oldest. */
export function includable(machine: Machine, head: BlockRecord): PoolEntry[] {
  const { run } = machine.rules;
  const byAuthor = new Map<PeerId, PoolEntry>();
  for (const entry of machine.pool.values()) {
    const { contribution } = entry;
    const earlier = byAuthor.get(contribution.author);
    if (earlier && earlier.contribution.sequence <= contribution.sequence) continue;
    if (!isHeld(machine, contribution) || checkContribution(run, head, contribution)) continue;
    byAuthor.set(contribution.author, entry);
  }
  return [...byAuthor.values()];
}

export const isWidelyHeld = (machine: Machine, entry: PoolEntry): boolean =>
  holders(machine, entry) >= quorum(machine);

/** What an honest proposer includes: what a quorum holds, members first, within the block's limits; sorted by CID. */
export function selectForBlock(machine: Machine, head: BlockRecord): PoolEntry[] {
  const { aggregation } = machine.rules.run;
  const roster = rosterOf(machine);
  const byCid = (a: PoolEntry, b: PoolEntry): number => (a.contribution.cid < b.contribution.cid ? -1 : 1);
  const held = includable(machine, head)
    .filter((entry) => isWidelyHeld(machine, entry))
    .sort(byCid);
  const isMemberEntry = (entry: PoolEntry): boolean => roster.includes(entry.contribution.author);
  const members = held.filter(isMemberEntry);
  const guests = aggregation.guestShare > 0 ? held.filter((entry) => !isMemberEntry(entry)) : [];
  if (members.length === 0) return [];
  const blobs = new Set<Cid>();
  let bytes = 0;
  return [...members, ...guests]
    .filter(({ contribution }) => {
      bytes += contribution.blobBytes;
      const fits = bytes <= blockBytesMax && !blobs.has(contribution.blob);
      blobs.add(contribution.blob);
      return fits;
    })
    .slice(0, aggregation.contributionsMax)
    .sort(byCid);
}

/** Drops what can no longer enter a block. */
export function sweepPool(machine: Machine): void {
  for (const [cid, { contribution }] of machine.pool)
    if (staleness(machine, contribution) !== undefined || isInvalid(machine, contribution))
      machine.pool.delete(cid);
}
