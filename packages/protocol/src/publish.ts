/** What leaves: presences, re-broadcasts of what is still needed, answers to peers that lag behind. */
import { encodeCbor, type PeerId } from '@murmuration/base';
import { openEvidence, votesBy } from './accuse.ts';
import { isHeld } from './blobs.ts';
import { encodeList } from './block-record.ts';
import { encodeCertificate } from './certificate.ts';
import { derived } from './counted-map.ts';
import {
  assistMs,
  callersAtOnce,
  callersWithNews,
  certificatesMax,
  depthMax,
  farewellMs,
  heardMs,
  holdingsDelayMs,
  holdsMax,
  messageBytesMax,
  rebroadcastGrowth,
  rebroadcastMaxMs,
  rebroadcastMs,
  remindDelayMs,
  spareDelayMs,
  spareShare,
  statementsMax,
  voterShowsMs,
  votesMax,
} from './defaults.ts';
import { openingStatements } from './gather.ts';
import type { BlockId, Effect } from './index.ts';
import { classOf } from './lottery.ts';
import {
  epochOf,
  headOf,
  isMember,
  type Machine,
  membersOf,
  openingOf,
  setTimer,
  tipOf,
  votersOf,
} from './machine.ts';
import type { PeerStanding, PoolEntry } from './machine-parts.ts';
import { pendingOwn } from './own.ts';
import { isKnownToBeHeld } from './pool.ts';
import { isSilent } from './readiness.ts';
import { ownProposal, ownRequests, signPresence } from './sign.ts';
import { encodeMessage, type Presence } from './statement.ts';
import { quorum } from './views.ts';

const held: (machine: Machine) => readonly PoolEntry[] = derived(
  (machine) => [machine.pool.revision, machine.blobs.revision],
  (machine) =>
    [...machine.pool.values()]
      .filter(({ contribution }) => isHeld(machine, contribution))
      .slice(-holdsMax)
      .sort((a, b) => (a.holding < b.holding ? -1 : 1)),
);

export const isVoter = (machine: Machine): boolean => votersOf(machine).includes(machine.init.self);

/**
 * Whether this peer voted in an epoch that others may not know to have ended: they need its last votes. A quorum of the
 * next voters can go on, and bring the others along.
 */
function isFormerVoter(machine: Machine): boolean {
  const { now, votedAt, settled, lastVote, peers } = machine;
  if (isVoter(machine) || now >= votedAt + farewellMs) return false;
  const knows = (voter: PeerId): boolean =>
    lastVote.has(voter) || (peers.get(voter)?.final ?? 0) >= settled.block.height;
  return votersOf(machine).filter(knows).length < quorum(machine);
}

/** What a voter holds and has not said at this final block, as far as no quorum is known to hold it. */
function unsaid(machine: Machine): readonly PoolEntry[] {
  const { published, settled } = machine;
  if (!isVoter(machine)) return [];
  const before = published.of === settled.block.id ? published.holdings : new Set();
  return held(machine).filter((entry) => !before.has(entry.holding) && !isKnownToBeHeld(machine, entry));
}

/** Whether a proposer may still choose what goes into the next block. */
const isOpenRound = ({ readyAt, view, views }: Machine): boolean =>
  readyAt !== undefined && views.get(view)?.proposal === undefined;

/**
 * What others should learn of that. Members' deltas are waited for until we are ready, and there is a proposal soon
 * after; guests' are only taken if they are known to be held by then, so that they are said at other times, too.
 */
function worthSaying(machine: Machine): readonly string[] {
  const members = new Set(isOpenRound(machine) ? [] : membersOf(machine));
  const chosen = unsaid(machine).filter(({ contribution }) => !members.has(contribution.author));
  return chosen.map(({ holding }) => holding);
}

/** Whether others should learn what we hold: there is more than we have said, and it makes a difference. */
export const holdingsChanged = (machine: Machine): boolean =>
  isOpenRound(machine) && unsaid(machine).length > 0;

/** Whether the next blocks may admit us, if we are there. Who earns membership shows that by its contributions. */
const asksForMembership = (machine: Machine): boolean =>
  !isMember(machine) && machine.own.invitation !== undefined;

/**
 * Says where we stand, and what we hold beside what we have said at this final block. Who neither votes nor is about to
 * become a member is asked for nothing by anybody, and says nothing.
 */
export function publishPresence(machine: Machine): void {
  const isAsked = isVoter(machine) || isFormerVoter(machine) || asksForMembership(machine);
  if (isAsked || machine.provisional) sendPresence(machine, worthSaying(machine));
}

function sendPresence(machine: Machine, holds: readonly string[]): void {
  const { published, init, settled, voice } = machine;
  if (init.role === 'observer') return;
  if (published.of !== settled.block.id) published.holdings.clear();
  published.of = settled.block.id;
  published.at = machine.now;
  for (const holding of holds) published.holdings.add(holding);
  const presence: Presence = {
    peer: init.self,
    life: voice.life,
    count: ++voice.count,
    epoch: epochOf(machine),
    view: machine.view,
    head: headOf(machine).block.height,
    final: settled.block.height,
    block: settled.block.id,
    holds,
    opening: openingOf(machine),
  };
  machine.out.statements.push(signPresence(machine, presence));
}

/**
 * Somewhat more voters than a quorum, those who propose next and are not silent, say first what they hold; the others
 * when it has turned out that this was not enough.
 */
function speaksFirst(machine: Machine): boolean {
  const voters = votersOf(machine);
  const next = machine.view % voters.length;
  const turns = [...voters.slice(next), ...voters.slice(0, next)].filter(
    (voter) => !isSilent(machine, voter),
  );
  return turns.indexOf(machine.init.self) < quorum(machine) + Math.ceil(voters.length / spareShare);
}

/** How long what we hold since we were ready is gathered. */
export const holdingsWait = (machine: Machine): number =>
  speaksFirst(machine) ? holdingsDelayMs : spareDelayMs;

/** A voter that is ready says what it holds, unless it can make no difference; who is invited, that it is there. */
export function publishHoldings(machine: Machine): void {
  const holds = worthSaying(machine);
  if (holds.length > 0 || asksForMembership(machine)) sendPresence(machine, holds);
}

/** What is said at once when we have become ready. */
export function publishReadiness(machine: Machine): void {
  if (speaksFirst(machine) || asksForMembership(machine)) publishHoldings(machine);
}

/** Everything that we hold once more: somebody may have missed what we said. */
function repeatPresence(machine: Machine): void {
  machine.published.of = undefined;
  publishPresence(machine);
}

/**
 * A voter that stands in or before views in which it has voted may have forgotten that: it gets its votes back when it
 * lags, and when it is not where it was by its word before (`known`), now and once more a little later.
 */
function giveBack(
  machine: Machine,
  { peer, life, epoch, view, final }: Presence,
  known: PeerStanding | undefined,
): void {
  const hasVoted = epoch === epochOf(machine) && (machine.lastVote.get(peer) ?? -1) >= view;
  const isElsewhere =
    known?.epoch !== epoch ||
    known.life !== life ||
    view < known.view ||
    final < known.final ||
    machine.now > known.heardAt + heardMs;
  if (!hasVoted || !isElsewhere || !isMember(machine) || machine.returning.has(peer)) return;
  machine.returning.set(peer, machine.now);
  if (!machine.timers.has('remind')) setTimer(machine, 'remind', machine.now + remindDelayMs);
  machine.out.repeated.push(...votesBy(machine, peer, view));
}

/**
 * Answers a peer whose presence shows that it lags: with certificates, when it is in our epoch; our presence tells it
 * to sync. By one step it may just not have heard yet. A voter without others is answered by whoever knows more.
 */
export function answer(machine: Machine, presence: Presence, known: PeerStanding | undefined): void {
  const { peer, epoch, view, final } = presence;
  const { settled, progressAt, roundStartedAt, now } = machine;
  giveBack(machine, presence, known);
  const isBehind = (its: number, ours: number, since: number): boolean =>
    its < ours - 1 || (its < ours && now >= since + assistMs);
  const lagsInViews = epoch === epochOf(machine) && isBehind(view, machine.view, roundStartedAt);
  const lagsInBlocks = isBehind(final, settled.block.height, progressAt);
  const peerClass = classOf(machine, peer);
  const assistedAt = machine.assistedAt.get(peerClass) ?? Number.NEGATIVE_INFINITY;
  const isAlone = votersOf(machine).every((voter) => voter === peer);
  const isAsked = isMember(machine) || isFormerVoter(machine) || isAlone;
  if (!isAsked || machine.now < assistedAt + assistMs) return;
  if (!lagsInBlocks && !lagsInViews) return;
  machine.assistedAt.set(peerClass, machine.now);
  sendPresence(machine, worthSaying(machine));
  machine.out.repeated.push(...certificatesFrom(machine, view));
  const forgot = lagsInViews && (machine.lastVote.get(peer) ?? -1) >= view;
  if (forgot) machine.out.repeated.push(...votesBy(machine, peer, view));
}

/** Certificates of undecided views from one on, newest last, and the newest finalization. */
function certificatesFrom(machine: Machine, from: number): Uint8Array[] {
  const { runDigest } = machine.rules;
  const { finality } = tipOf(machine);
  const undecided = [...machine.views]
    .filter(([view]) => view >= from)
    .sort(([a], [b]) => a - b)
    .flatMap(([, { notarized, skipped }]) => [notarized, skipped])
    .filter((certificate) => certificate !== undefined)
    .slice(-certificatesMax);
  return [...(finality ? [finality] : []), ...undecided].map((certificate) =>
    encodeCertificate(runDigest, certificate),
  );
}

/**
 * The proposals of blocks that are notarized and not final, one for each block, newest last; with them goes the list of
 * their contributions. Who has skipped such a view goes on only above its block, and the proposer may be gone.
 */
function notarizedProposals(machine: Machine): Uint8Array[] {
  const chosen = new Map<BlockId, Uint8Array>();
  for (const [, { notarized, proposal }] of [...machine.views].sort(([a], [b]) => a - b)) {
    const block = notarized?.block;
    if (!proposal?.record || block === undefined || proposal.proposal.block !== block) continue;
    const { header } = proposal.proposal;
    if (!chosen.has(block) || header.view === proposal.proposal.view) chosen.set(block, proposal.bytes);
    const bytes = encodeList(proposal.record.announcements);
    machine.out.serve.push({ kind: 'serve', blob: header.list, bytes });
  }
  return [...chosen.values()].slice(-depthMax - 1);
}

/** Whether nothing is under way here: everybody trains, and who missed the end of the round will say so. */
function isCalm(machine: Machine): boolean {
  const { own, settled, readyAt, openings, elsewhere, returning } = machine;
  const isRegular = !machine.provisional && !machine.dormant && openings.size === 0 && elsewhere.size === 0;
  const isDone = own.votes.size === 0 && own.proposals.size === 0 && headOf(machine) === settled;
  const waits = readyAt !== undefined && isVoter(machine);
  return isRegular && isDone && !waits && returning.size === 0 && !asksForMembership(machine);
}

/** When a voter must be heard again so that nobody takes it for gone; only where survivors may open a recovery. */
const showsItselfAt = (machine: Machine): number =>
  machine.rules.run.membership.stallMs > 0 && isVoter(machine)
    ? machine.published.at + voterShowsMs
    : Number.POSITIVE_INFINITY;

/** In calm times a few voters at a time say where all stand; more of them when guests' deltas have come. */
function hasItsTurn(machine: Machine): boolean {
  const voters = votersOf(machine);
  const index = voters.indexOf(machine.init.self);
  const atOnce = worthSaying(machine).length > 0 ? callersWithNews : callersAtOnce;
  const first = atOnce * (machine.settled.block.height + machine.repeats);
  return index >= 0 && (index + first) % voters.length < atOnce;
}

/**
 * Sends everything again that somebody may have missed and that still matters. Who has just connected gets its own
 * votes back: it may have been restored from a backup.
 */
export function rebroadcast(machine: Machine): void {
  const isFormer = isFormerVoter(machine);
  const speaks = isFormer || !isCalm(machine) || hasItsTurn(machine) || machine.now >= showsItselfAt(machine);
  if (speaks) repeatPresence(machine);
  const pending = pendingOwn(machine);
  const statements = machine.out.repeated;
  if (pending) statements.push(pending.bytes);
  statements.push(...ownRequests(machine));
  for (const { statement } of machine.changes.values()) statements.push(statement);
  statements.push(...openEvidence(machine));
  statements.push(...openingStatements(machine));
  if (!isMember(machine) && !isFormer) return;
  for (const view of [machine.view - 1, machine.view]) {
    const proposal = ownProposal(machine, view);
    if (proposal) statements.push(proposal);
  }
  if (machine.repeats > 0) statements.push(...notarizedProposals(machine));
  if (speaks)
    statements.push(...certificatesFrom(machine, Math.max(machine.floor, machine.view - certificatesMax)));
  const votes = [...machine.own.votes.values()].slice(-votesMax);
  statements.push(...votes);
  for (const peer of machine.returning.keys()) statements.push(...votesBy(machine, peer, machine.floor));
}

/**
 * Who connected a moment ago gets its own votes once more: some may have been on their way here when it was greeted.
 */
export function remind(machine: Machine): void {
  for (const [peer, since] of machine.returning) {
    if (machine.now < since + remindDelayMs) {
      setTimer(machine, 'remind', since + remindDelayMs);
      return;
    }
    machine.returning.delete(peer);
    if (isMember(machine)) machine.out.repeated.push(...votesBy(machine, peer, machine.floor));
  }
}

/** What must change to count as progress. */
const progressMark = (machine: Machine): string =>
  [
    epochOf(machine),
    machine.view,
    headOf(machine).block.id,
    tipOf(machine).block.height,
    machine.own.sequence,
  ].join('/');

/** Re-broadcasts when nothing has moved for a while; returns when to look again. */
export function nextRebroadcast(machine: Machine): number {
  const mark = progressMark(machine);
  const at = machine.timers.get('rebroadcast');
  if (mark !== machine.progressMark) {
    machine.progressMark = mark;
    machine.rebroadcastDelay = rebroadcastMs;
    machine.repeats = 0;
    return machine.now + rebroadcastMs;
  }
  if (at !== undefined && at > machine.now) return at;
  rebroadcast(machine);
  machine.rebroadcastDelay = Math.min(rebroadcastMaxMs, machine.rebroadcastDelay * rebroadcastGrowth);
  machine.repeats++;
  const showsAt = Math.max(showsItselfAt(machine), machine.now + rebroadcastMs);
  return Math.min(machine.now + machine.rebroadcastDelay, showsAt);
}

/** The gathered statements as gossip messages, each within its limits; equal statements once. */
export function messagesOf(statements: readonly Uint8Array[]): Effect[] {
  const effects: Effect[] = [];
  let batch: Uint8Array[] = [];
  let bytes = 0;
  const flush = (): void => {
    if (batch.length > 0) effects.push({ kind: 'publish', bytes: encodeMessage(batch) });
    batch = [];
    bytes = 0;
  };
  for (const statement of new Set(statements)) {
    const length = encodeCbor(statement).length;
    if (bytes + length + 16 > messageBytesMax || batch.length === statementsMax) flush();
    batch.push(statement);
    bytes += length;
  }
  flush();
  return effects;
}
