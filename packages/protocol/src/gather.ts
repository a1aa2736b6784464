/**
 * How survivors of a stalled epoch find to one opening: who is there, who proposes, who signs, and which recovery a
 * replica takes part in. Everything here looks at the regular machine. It stands at the fork all the while, and its
 * peers are known by their presences.
 */
import type { PeerId } from '@murmuration/base';
import { isSameBlock } from './block-record.ts';
import { attemptsMax, heardMs, listedMax, openingPatienceMs, openingsMax, stallCheckMs } from './defaults.ts';
import { isMember, type Machine, report, tipOf, votersOf } from './machine.ts';
import {
  createOpening,
  encodeOpening,
  forgedOpening,
  isPreferred,
  mergeSignatures,
  misplacedOpening,
  type Opening,
  openingName,
  parseOpening,
  signaturesMissing,
  signOpening,
} from './opening.ts';
import { quorumOf } from './roster.ts';
import { encodeOpeningStatement } from './statement.ts';
import { quorum } from './views.ts';

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

const isComplete = (machine: Machine, opening: Opening): boolean =>
  signaturesMissing(opening, machine.rules.run) === 0;

const hasSigned = (opening: Opening, peer: PeerId): boolean =>
  opening.signatures.some((entry) => entry.peer === peer);

/** Whether an opening brings no signature that we do not have. */
export function knowsOpening(machine: Machine, opening: Opening): boolean {
  const known = machine.openings.get(openingName(opening));
  return known !== undefined && opening.signatures.every(({ peer }) => hasSigned(known, peer));
}

/** Keeps a checked opening at our newest final block. Returns whether there was room. */
export function noteOpening(machine: Machine, opening: Opening): boolean {
  const name = openingName(opening);
  const known = machine.openings.get(name);
  if (!known && machine.openings.size >= openingsMax) return false;
  machine.openings.set(name, known ? mergeSignatures(known, opening.signatures) : opening);
  return true;
}

/** Drops openings at blocks that are no longer the newest final one. */
export function sweepOpenings(machine: Machine): void {
  for (const [name, opening] of machine.openings)
    if (misplacedOpening(opening, machine.settled)) machine.openings.delete(name);
}

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
    stallMs > 0 &&
    isSteady(machine) &&
    machine.now >= quietSince(machine) + stallMs &&
    votersThere(machine).length < quorum(machine)
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
  return outside.length < quorum(machine);
}

/** Whether a majority of those listed is known to be in the recovery. */
export function isAlive(machine: Machine, opening: Opening): boolean {
  const name = openingName(opening);
  const current = machine.dormant && openingName(machine.dormant.opening);
  const there = opening.listed.filter((peer) => {
    if (peer === machine.init.self) return current === name;
    const stand = machine.elsewhere.get(peer);
    return stand?.opening === name && isRecent(machine, stand.heardAt);
  });
  return there.length >= quorumOf('crash', opening.listed.length);
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
  const hasQuorum = votersThere(machine).length >= quorum(machine);
  const candidates = [...machine.openings.values()].filter(
    (opening) =>
      opening.authority === 'survivors' &&
      isComplete(machine, opening) &&
      openingName(opening) !== name &&
      !(hasQuorum && machine.leftOpenings.has(openingName(opening))),
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
  [...machine.openings.values()]
    .filter((opening) => opening.authority === 'survivors' && hasSigned(opening, machine.init.self))
    .sort((a, b) => b.attempt - a.attempt)[0];

/** Signs: durable before it is sent, at most once for each fork and attempt, and attempts only rise. */
function sign(machine: Machine, opening: Opening): void {
  const { self } = machine.init;
  const signed = parseOpening(signOpening(encodeOpening(opening), self, machine.components.sign));
  machine.openings.set(openingName(signed), signed);
  machine.openedAt = machine.now;
  const key = `opening/${opening.fork}/${opening.attempt}`;
  const record = { key, height: opening.height + 1, bytes: encodeOpening(signed) };
  machine.out.persist.push({ kind: 'persist', record });
  machine.out.statements.push(encodeOpeningStatement(signed));
}

/** Proposes an opening of those who are there, or signs one. Returns whether it did. */
export function gather(machine: Machine): boolean {
  const current = machine.dormant?.opening;
  if (machine.provisional || !isMember(machine) || !votersOf(machine).includes(machine.init.self))
    return false;
  if (!isStalled(machine)) return false;
  const there = votersThere(machine);
  if (there.length < 2 || there.length > listedMax) return false;
  if (current && isAlive(machine, current)) return false;
  const own = ownOpening(machine);
  const { self } = machine.init;
  const signable = [...machine.openings.values()]
    .filter(
      (opening) =>
        opening.authority === 'survivors' &&
        opening.attempt > (own?.attempt ?? -1) &&
        opening.listed.includes(self) &&
        opening.listed.every((peer) => there.includes(peer)),
    )
    .sort((a, b) => b.attempt - a.attempt || (isPreferred(a, b) ? -1 : 1))[0];
  if (signable) {
    sign(machine, signable);
    return true;
  }
  const waits = own !== undefined && machine.now < machine.openedAt + openingPatienceMs;
  if (there[0] !== self || waits) return false;
  const attempt = 1 + Math.max(-1, ...[...machine.openings.values()].map((opening) => opening.attempt));
  if (attempt > attemptsMax) return false;
  const { block, next } = machine.settled;
  const terms = { runId: machine.rules.runId, fork: block.id, height: block.height, ...next };
  sign(machine, parseOpening(createOpening({ ...terms, attempt, listed: there, authority: 'survivors' })));
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
  machine.openedAt = machine.now;
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
  state: 'opened' | 'abandoned' | 'adopted' | 'reopened',
  height: number,
): void =>
  report(machine, { kind: 'recovery', state, opening: openingName(opening), listed: opening.listed, height });
