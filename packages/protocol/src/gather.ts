/**
 * How survivors of a stalled epoch find to one opening: who is there, who proposes, who signs, and which recovery a
 * replica takes part in. Everything here looks at the regular machine. It stands at the fork all the while, and its
 * peers are known by their presences.
 *
 * Who is there need not count: of members that were restored from a backup, and vote by a new key, a certificate holds
 * few. What decides is how many votes one certificate could have. An opening lists all the same everybody who is there,
 * with the new keys, so that all of them count in the recovery.
 *
 * Who is there need not hear us either. Of those who are there the smallest id proposes; who does not sign in time is
 * left out, and where nobody proposes the next one does.
 */
import type { PeerId } from '@murmuration/base';
import { isSameBlock } from './block-record.ts';
import type { Electorate } from './certificate.ts';
import { attemptsAhead, attemptsMax, heardMs, openingPatienceMs, stallCheckMs } from './defaults.ts';
import { hasSigned, isComplete, keepNewest, noteOpening, signedBy } from './known-openings.ts';
import { keyOf } from './ledger-state.ts';
import { isMember, type Machine, report, tipOf, votersOf } from './machine.ts';
import {
  createOpening,
  encodeOpening,
  fitsOpening,
  forgedOpening,
  isPreferred,
  misplacedOpening,
  type Opening,
  openingName,
  parseOpening,
  rekeyed,
  signOpening,
} from './opening.ts';
import type { Report } from './report.ts';
import { quorumOf } from './roster.ts';
import { ownRekey } from './sign.ts';
import { encodeOpeningStatement } from './statement.ts';
import { quorum } from './views.ts';
import { countVotes, ownVoteKey, renewalOf } from './vote-key.ts';

const isRecent = (machine: Machine, at: number): boolean => machine.now - at <= heardMs;

/** Voters that were heard lately and stand at our newest final block; sorted, this peer among them. */
export function votersThere(machine: Machine): readonly PeerId[] {
  const { height } = machine.settled.block;
  return votersOf(machine)
    .filter((voter) => {
      const standing = machine.peers.get(voter);
      return (
        voter === machine.init.self ||
        (standing !== undefined && standing.final === height && isRecent(machine, standing.heardAt))
      );
    })
    .sort();
}

/** Whether voters that are there could certify something in the regular epoch. */
export const hasQuorum = (machine: Machine): boolean =>
  countVotes(machine, votersThere(machine)) >= quorum(machine);

/** Whether the machine stands at its newest final block, with nothing of a snapshot or an adoption on its way. */
const isSteady = (machine: Machine): boolean =>
  machine.started &&
  !machine.diverged &&
  !machine.ended &&
  !machine.installing &&
  machine.decided.length === 0 &&
  machine.settled.fork === undefined;

const quietSince = ({ progressAt, startedAt }: Machine): number => Math.max(progressAt, startedAt);

/** Whether nothing became final for so long, and no regular quorum is there, that survivors may go on by themselves. */
function isStalled(machine: Machine): boolean {
  const { stallMs } = machine.rules.run.membership;
  return (
    stallMs > 0 && isSteady(machine) && machine.now >= quietSince(machine) + stallMs && !hasQuorum(machine)
  );
}

/**
 * Whether this peer may go along with a recovery that lives: nothing was final since it started, or those voters that
 * take part in none are too few to go on with the epoch.
 */
function mayFollow(machine: Machine): boolean {
  if (!isSteady(machine)) return false;
  if (machine.progressAt <= machine.startedAt) return true;
  if (machine.now < quietSince(machine) + heardMs) return false;
  const outside = votersThere(machine).filter((voter) => {
    const stand = machine.elsewhere.get(voter);
    return stand === undefined || !isRecent(machine, stand.heardAt);
  });
  return countVotes(machine, outside) < quorum(machine);
}

/** Who votes in a recovery at our newest final block, and by which keys. */
const electorateOf = ({ settled }: Machine, opening: Opening): Electorate => ({
  members: rekeyed(settled.state.members, opening),
  voters: opening.listed,
});

/** Whether a majority of those listed is known to be in the recovery, by keys that count there. */
export function isAlive(machine: Machine, opening: Opening): boolean {
  const name = openingName(opening);
  const current = machine.dormant && openingName(machine.dormant.opening);
  const there = opening.listed.filter((peer) => {
    if (peer === machine.init.self) return current === name;
    const stand = machine.elsewhere.get(peer);
    return stand?.opening === name && isRecent(machine, stand.heardAt);
  });
  return (
    countVotes(machine, there, electorateOf(machine, opening)) >= quorumOf('crash', opening.listed.length)
  );
}

/** The recovery to take part in: the current one, a better one that lives, or one that was just opened; or none. */
export function chooseRecovery(machine: Machine): Opening | undefined {
  const current = machine.dormant?.opening;
  const name = current && openingName(current);
  const stalled = isStalled(machine);
  const follows = stalled || mayFollow(machine);
  const lasts = current !== undefined && (isAlive(machine, current) || !stalled);
  if (current === undefined && !follows) return undefined;
  const { self } = machine.init;
  const isWhole = hasQuorum(machine);
  const candidates = [...machine.openings.values()].filter(
    (opening) =>
      opening.authority === 'survivors' &&
      isComplete(machine, opening) &&
      openingName(opening) !== name &&
      !(isWhole && machine.leftOpenings.has(openingName(opening))),
  );
  const living = candidates.filter((opening) => isAlive(machine, opening));
  const fresh = candidates.filter(
    (opening) =>
      stalled &&
      opening.listed.includes(self) &&
      opening.attempt > (current?.attempt ?? -1) &&
      !machine.leftOpenings.has(openingName(opening)),
  );
  const better = lasts
    ? living.filter((opening) => isPreferred(opening, current))
    : living.length > 0
      ? living
      : fresh;
  return (
    better.reduce<Opening | undefined>(
      (best, opening) => (best === undefined || isPreferred(opening, best) ? opening : best),
      undefined,
    ) ?? current
  );
}

/** The newest opening at this fork that we signed. */
const ownOpening = (machine: Machine): Opening | undefined =>
  [true, false]
    .flatMap((complete) => signedBy(machine, machine.init.self, complete))
    .sort((a, b) => b.attempt - a.attempt)[0];

/** The highest attempt that a peer has signed, or whose recovery it is in; −1: none. */
function attemptOf(machine: Machine, peer: PeerId): number {
  const { dormant, elsewhere, init } = machine;
  const isIn = peer === init.self ? dormant && openingName(dormant.opening) : elsewhere.get(peer)?.opening;
  let highest = -1;
  for (const [name, opening] of machine.openings)
    if (opening.authority === 'survivors' && (name === isIn || hasSigned(opening, peer)))
      highest = Math.max(highest, opening.attempt);
  return highest;
}

/**
 * Attempts rise above what those whom we list have signed. Who is too far ahead is not followed, or one who lies could
 * use all attempts up; where all others are, we come nearer by as much as they may sign at once.
 */
function nextAttempt(machine: Machine, peers: readonly PeerId[]): number {
  const { self } = machine.init;
  const own = attemptOf(machine, self);
  const others = peers.filter((peer) => peer !== self).map((peer) => attemptOf(machine, peer));
  const near = others.filter((attempt) => attempt < own + attemptsAhead);
  return near.length > 0 ? 1 + Math.max(own, ...near) : own + attemptsAhead;
}

/** Signs: durable before it is sent, at most once for each fork and attempt, and attempts only rise. */
function sign(machine: Machine, opening: Opening): void {
  const { self } = machine.init;
  const signed = parseOpening(signOpening(encodeOpening(opening), self, machine.components.sign));
  machine.openings.set(openingName(signed), signed);
  keepNewest(machine);
  machine.gathering.signedAt = machine.now;
  const record = { key: `opening/${opening.fork}`, height: opening.height + 1, bytes: encodeOpening(signed) };
  machine.out.persist.push({ kind: 'persist', record });
  machine.out.statements.push(encodeOpeningStatement(signed));
}

/** Whether we may sign what another voter proposed: it lists us by our key, nobody gone, and skips few attempts. */
function isSignable(machine: Machine, opening: Opening, there: readonly PeerId[]): boolean {
  const { self } = machine.init;
  return (
    opening.authority === 'survivors' &&
    opening.attempt > (ownOpening(machine)?.attempt ?? -1) &&
    opening.attempt <= attemptOf(machine, self) + attemptsAhead &&
    opening.listed.includes(self) &&
    keyOf(electorateOf(machine, opening), self) === ownVoteKey(machine).key &&
    opening.listed.every((peer) => there.includes(peer))
  );
}

/** Whether a peer has signed an opening of this attempt or one of the next. */
const signedSince = (machine: Machine, since: number, peer: PeerId): boolean =>
  [...machine.openings.values()].some(
    (opening) =>
      opening.attempt >= since && opening.attempt <= since + attemptsAhead && hasSigned(opening, peer),
  );

/** Those who are there without those who let our last opening wait for too long; all, where nobody else is left. */
function listable(machine: Machine, there: readonly PeerId[]): readonly PeerId[] {
  const { gathering } = machine;
  const own = ownOpening(machine);
  if (own && !isComplete(machine, own) && machine.now >= gathering.signedAt + openingPatienceMs)
    for (const peer of own.listed) if (!signedSince(machine, own.attempt, peer)) gathering.deaf.add(peer);
  const left = there.filter((peer) => !gathering.deaf.has(peer));
  if (left.length > 1) return left;
  gathering.deaf.clear();
  return there;
}

/** An opening of these voters, with their new keys, as far as it fits into a message; `undefined` if there is none. */
function openingOf(machine: Machine, peers: readonly PeerId[]): Opening | undefined {
  const { self } = machine.init;
  const listed: PeerId[] = [];
  const rekeys: Uint8Array[] = [];
  for (const peer of [self, ...peers.filter((other) => other !== self)]) {
    const renewal = peer === self ? ownRekey(machine) : renewalOf(machine, peer);
    if (!fitsOpening(listed.length + 1, rekeys.length + (renewal ? 1 : 0))) continue;
    listed.push(peer);
    if (renewal) rekeys.push(renewal.bytes);
  }
  const { block, next } = machine.settled;
  const terms = { runId: machine.rules.runId, fork: block.id, height: block.height, ...next };
  const attempt = nextAttempt(machine, listed);
  if (listed.length < 2 || attempt > attemptsMax) return undefined;
  return parseOpening(createOpening({ ...terms, attempt, listed, rekeys, authority: 'survivors' }));
}

/** Proposes an opening of those who are there, or signs one. Returns whether it did. */
export function gather(machine: Machine): boolean {
  const { gathering, dormant } = machine;
  const { self } = machine.init;
  const takesPart = !machine.provisional && isMember(machine) && votersOf(machine).includes(self);
  const isOpen = takesPart && !machine.forgotten && !(dormant && isAlive(machine, dormant.opening));
  const there = isOpen ? votersThere(machine) : [];
  const stalled = there.length > 1 && isStalled(machine);
  if (!stalled) {
    gathering.stalledAt = undefined;
    gathering.deaf.clear();
  } else gathering.stalledAt ??= machine.now;
  if (!stalled && !(there.length > 1 && mayFollow(machine) && !hasQuorum(machine))) return false;
  const signable = [...machine.openings.values()]
    .filter((opening) => isSignable(machine, opening, there))
    .sort((a, b) => b.attempt - a.attempt || (isPreferred(a, b) ? -1 : 1))[0];
  if (signable) {
    sign(machine, signable);
    return true;
  }
  const peers = listable(machine, there);
  const signed = ownOpening(machine) ? gathering.signedAt + openingPatienceMs : Number.NEGATIVE_INFINITY;
  const turn = Math.max(gathering.stalledAt ?? Number.POSITIVE_INFINITY, signed);
  if (machine.now < turn + peers.indexOf(self) * openingPatienceMs) return false;
  const opening = openingOf(machine, peers);
  if (!opening) return false;
  sign(machine, opening);
  return true;
}

/** What a peer that takes part, or has signed, sends again. */
export function openingStatements(machine: Machine): Uint8Array[] {
  const current = machine.dormant?.opening;
  const { opening, block } = machine.settled;
  const reopened = opening?.fork === block.id ? [opening] : [];
  const known = [...machine.openings.values(), ...reopened];
  return known
    .filter(
      (opening) =>
        opening === ownOpening(machine) ||
        opening.authority === 'founders' ||
        (current && openingName(opening) === openingName(current)),
    )
    .map(encodeOpeningStatement);
}

/** When to look again, if time alone may bring something. */
export function nextGathering(machine: Machine): number | undefined {
  const { stallMs } = machine.rules.run.membership;
  if (stallMs === 0 || !machine.started || machine.ended || machine.provisional) return undefined;
  return machine.now < quietSince(machine) + Math.min(stallMs, heardMs)
    ? quietSince(machine) + Math.min(stallMs, heardMs)
    : machine.now + stallCheckMs;
}

/** The own openings of earlier lives at this fork, and a founders' one that was accepted. */
export function restoreOpening(machine: Machine, bytes: Uint8Array): void {
  const opening = parseOpening(bytes);
  if (misplacedOpening(opening, machine.settled) || forgedOpening(opening, machine.rules)) return;
  noteOpening(machine, opening);
  machine.gathering.signedAt = machine.now;
}

/** Whether the newest final block is still the one that a recovery goes on from, in the same epoch. */
export const isAtFork = (
  machine: Machine,
  fork: { readonly fork: string; readonly opened: string },
): boolean =>
  isSameBlock(tipOf(machine), machine.settled) &&
  tipOf(machine).block.id === fork.fork &&
  tipOf(machine).next.opened === fork.opened;

/** Tells what becomes of a recovery. */
export const reportRecovery = (
  machine: Machine,
  opening: Opening,
  state: Extract<Report, { kind: 'recovery' }>['state'],
  height: number,
): void =>
  report(machine, { kind: 'recovery', state, opening: openingName(opening), listed: opening.listed, height });
