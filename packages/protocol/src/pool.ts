/** Contributions that may still enter a block, of all authors, the own ones included. */
import type { Cid, PeerId } from '@murmuration/base';
import { isHeld, isInvalid, isWanted, wantDelta } from './blobs.ts';
import { type Announcement, type BlockRecord, checkContribution } from './block-record.ts';
import { chargeDelta, openBudget } from './budget.ts';
import { derived, once } from './counted-map.ts';
import {
  baseAheadMax,
  blockBytesMax,
  contributionsPerAuthorMax,
  drawMs,
  guestsMax,
  strangerShare,
  strangersWaitingMax,
} from './defaults.ts';
import type { Contribution } from './index.ts';
import { recentNames } from './ledger-state.ts';
import { classOf, inOrder, type PeerClass } from './lottery.ts';
import { headOf, type Machine, membersOf, report, tipOf, votersOf } from './machine.ts';
import type { PoolEntry } from './machine-parts.ts';
import { saysItHolds } from './standing.ts';
import { holdingOf } from './statement.ts';
import { quorum } from './views.ts';

/** Why a contribution cannot enter any block to come, whatever its signature says; cheap. */
export function staleness(machine: Machine, contribution: Contribution): string | undefined {
  const settled = machine.settled.block.height;
  if (contribution.baseHeight < settled + 1 - machine.rules.run.lateHeights) return 'stale contribution';
  if (contribution.baseHeight > headOf(machine).block.height + baseAheadMax)
    return 'contribution from the future';
  if (recentNames(machine.settled.state).has(contribution.cid)) return 'contribution that is final already';
  return machine.settled.state.convicted.includes(contribution.author)
    ? 'contribution of a convicted peer'
    : undefined;
}

const entriesOf = (machine: Machine, author: PeerId): PoolEntry[] =>
  [...machine.pool.values()]
    .filter(({ contribution }) => contribution.author === author)
    .sort((a, b) => a.contribution.sequence - b.contribution.sequence);

/**
 * Who goes if this author, who has no place yet, gets one: nobody (`undefined`) while there is room, or the one that
 * ranks last, perhaps itself. A stranger whose delta was drawn keeps its place.
 */
function loserTo(machine: Machine, author: PeerId): PeerId | undefined {
  const peerClass = classOf(machine, author);
  const rivals = new Set<PeerId>();
  for (const { contribution } of machine.pool.values()) {
    if (contribution.author === machine.init.self || classOf(machine, contribution.author) !== peerClass)
      continue;
    if (peerClass === 'guest' || !isWanted(machine, contribution)) rivals.add(contribution.author);
  }
  if (rivals.size < (peerClass === 'guest' ? guestsMax : strangersWaitingMax)) return undefined;
  return inOrder(machine, [...rivals, author], (peer) => peer).at(-1);
}

/** Why an author gets no (further) place, or `undefined`. Cheap: it comes before the signature. */
export function lacksRoom(machine: Machine, { author, sequence }: Contribution): string | undefined {
  const entries = entriesOf(machine, author);
  if (entries.length >= contributionsPerAuthorMax && (entries[0]?.contribution.sequence ?? 0) >= sequence)
    return 'contribution older than those we have';
  if (entries.length > 0 || classOf(machine, author) === 'member') return undefined;
  return loserTo(machine, author) === author ? 'no place for one more guest' : undefined;
}

/** Gives an author that does not lack room its place. */
export function makeRoom(machine: Machine, { author }: Contribution): void {
  const [oldest, ...newer] = entriesOf(machine, author);
  if (oldest && newer.length + 1 >= contributionsPerAuthorMax) machine.pool.delete(oldest.contribution.cid);
  if (oldest || classOf(machine, author) === 'member') return;
  const loser = loserTo(machine, author);
  if (loser === undefined) return;
  for (const { contribution } of entriesOf(machine, loser)) machine.pool.delete(contribution.cid);
}

/** Puts a checked announcement into the pool. */
export function addToPool(machine: Machine, announcement: Announcement): void {
  const { contribution } = announcement;
  if (machine.pool.has(contribution.cid)) return;
  machine.pool.set(contribution.cid, { ...announcement, holding: holdingOf(contribution.cid) });
  report(machine, { kind: 'contribution', contribution });
}

/** Deltas of the pool that nobody was asked for, by the class of their authors. */
const unwanted = derived(
  (machine) => [machine.pool.revision, machine.blobs.revision, tipOf(machine), machine.changes.revision],
  (machine) => {
    const waiting: Record<PeerClass, Contribution[]> = { member: [], guest: [], stranger: [] };
    for (const { contribution } of machine.pool.values())
      if (!isWanted(machine, contribution)) waiting[classOf(machine, contribution.author)].push(contribution);
    return waiting;
  },
);

/** What was found out about contributions to the block after a record: the pool is looked through again and again. */
const fitsAfter = once((_head: BlockRecord) => new Map<Cid, boolean>());

function isFit(machine: Machine, head: BlockRecord, contribution: Contribution): boolean {
  const known = fitsAfter(head);
  const fits = known.get(contribution.cid) ?? !checkContribution(machine.rules.run, head, contribution);
  known.set(contribution.cid, fits);
  return fits;
}

/** Asks for the deltas of the pool, as far as the round's budget goes. Returns when strangers' are drawn next. */
export function askForDeltas(machine: Machine): number | undefined {
  openBudget(machine);
  const waiting = unwanted(machine);
  for (const contribution of waiting.member) ask(machine, contribution);
  for (const contribution of inOrder(machine, waiting.guest, ({ author }) => author))
    ask(machine, contribution);
  return drawStrangers(machine, waiting.stranger);
}

function ask(machine: Machine, contribution: Contribution): boolean {
  const peerClass = classOf(machine, contribution.author);
  if (!chargeDelta(machine, contribution.author, peerClass, contribution.blobBytes)) return false;
  wantDelta(machine, contribution, peerClass === 'member' ? 'first' : peerClass);
  return true;
}

function drawStrangers(machine: Machine, waiting: readonly Contribution[]): number | undefined {
  const { budget, now } = machine;
  const places = Math.max(1, Math.floor(machine.rules.run.aggregation.contributionsMax / strangerShare));
  const head = headOf(machine);
  const isCandidate = (contribution: Contribution): boolean =>
    !budget.asked.has(contribution.author) && isFit(machine, head, contribution);
  if (budget.drawn >= places) return undefined;
  if (!waiting.some(isCandidate)) {
    if (budget.drawAt !== Number.POSITIVE_INFINITY) budget.drawAt = undefined;
    return undefined;
  }
  budget.drawAt ??= now + drawMs;
  if (now < budget.drawAt) return budget.drawAt === Number.POSITIVE_INFINITY ? undefined : budget.drawAt;
  const before = budget.drawn;
  for (const contribution of inOrder(machine, waiting.filter(isCandidate), ({ author }) => author))
    if (budget.drawn < places && ask(machine, contribution)) budget.drawn++;
  budget.drawAt = budget.drawn === before ? Number.POSITIVE_INFINITY : undefined;
  return undefined;
}

/** Contributions whose delta we hold and that may enter the block after the head: one per author, the oldest. */
export const includable: (machine: Machine) => readonly PoolEntry[] = derived(
  (machine) => [machine.pool.revision, machine.blobs.revision, headOf(machine)],
  fitFor,
);

function fitFor(machine: Machine): PoolEntry[] {
  const head = headOf(machine);
  const byAuthor = new Map<PeerId, PoolEntry>();
  for (const entry of machine.pool.values()) {
    const { contribution } = entry;
    const earlier = byAuthor.get(contribution.author);
    if (earlier && earlier.contribution.sequence <= contribution.sequence) continue;
    if (!isHeld(machine, contribution) || !isFit(machine, head, contribution)) continue;
    byAuthor.set(contribution.author, entry);
  }
  return [...byAuthor.values()];
}

/** Deltas that a quorum of these voters is known to hold, since the last final block: what was said once stays true. */
const knownToBeHeld = new WeakMap<
  Machine,
  { readonly of: unknown; readonly voters: readonly PeerId[]; readonly holdings: Set<string> }
>();

function widelyHeld(machine: Machine): Set<string> {
  const voters = votersOf(machine);
  const of = machine.settled;
  const known = knownToBeHeld.get(machine);
  if (known?.of === of && known.voters === voters) return known.holdings;
  const holdings = new Set<string>();
  knownToBeHeld.set(machine, { of, voters, holdings });
  return holdings;
}

function isHeldBy(machine: Machine, { contribution, holding }: PoolEntry, count: number): boolean {
  const known = widelyHeld(machine);
  if (known.has(holding)) return true;
  let missing = count;
  for (const voter of votersOf(machine)) {
    const holds = voter === contribution.author || saysItHolds(machine.peers.get(voter), holding);
    if (holds) missing--;
    if (missing === 0) break;
  }
  if (missing === 0 && count === quorum(machine)) known.add(holding);
  return missing === 0;
}

/** Whether everybody knows that a quorum of voters holds a contribution's delta; of us only if it is ours. */
export const isKnownToBeHeld = (machine: Machine, entry: PoolEntry): boolean =>
  isHeldBy(machine, entry, quorum(machine));

/** Whether a quorum of voters, this one perhaps among them, holds a contribution's delta, as far as we know. */
export function isWidelyHeld(machine: Machine, entry: PoolEntry): boolean {
  const { self } = machine.init;
  const { contribution } = entry;
  const isOurs = contribution.author === self;
  const holds = !isOurs && votersOf(machine).includes(self) && isHeld(machine, contribution);
  const others = quorum(machine) - (holds ? 1 : 0);
  return others === 0 || isHeldBy(machine, entry, others);
}

/**
 * What an honest proposer includes: what a quorum holds, members first, then guests by rank, within the block's limits;
 * sorted by CID.
 */
export function selectForBlock(machine: Machine): PoolEntry[] {
  const { aggregation } = machine.rules.run;
  const roster = membersOf(machine);
  const byCid = (a: PoolEntry, b: PoolEntry): number => (a.contribution.cid < b.contribution.cid ? -1 : 1);
  const held = includable(machine)
    .filter((entry) => isWidelyHeld(machine, entry))
    .sort(byCid);
  const isMemberEntry = (entry: PoolEntry): boolean => roster.includes(entry.contribution.author);
  const members = held.filter(isMemberEntry);
  const others = aggregation.guestShare > 0 ? held.filter((entry) => !isMemberEntry(entry)) : [];
  const guests = inOrder(machine, others, ({ contribution }) => contribution.author);
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
