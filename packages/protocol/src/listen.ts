/**
 * Who starts again may have forgotten what it signed: its disk was put back, and nobody noticed. Others give its votes
 * back when it comes, and when it shows itself in their epoch; until they could, it signs nothing.
 *
 *   waits    no other voter was heard, or one is in a later epoch and what opened that is on its way
 *   listens  `listenMs` pass in one epoch, in touch with another voter; whatever makes it wait ends that
 *   signs    for good, unless an epoch opens by entries that others had before: it was behind without knowing
 */
import type { PeerId } from '@murmuration/base';
import { listenMs } from './defaults.ts';
import { epochOf, type Machine, membersOf, tipOf, votersOf } from './machine.ts';
import { publishPresence } from './publish.ts';
import { witnessesOf } from './roster.ts';
import { mayHave } from './standing.ts';

/** Since always: a life that began with nothing has forgotten nothing. */
const always = Number.NEGATIVE_INFINITY;

/** Whether nothing may be signed yet. */
export const isListening = ({ signsFrom, now }: Machine): boolean =>
  signsFrom === undefined || now < signsFrom;

/** What was heard so far counts no more. */
export const listenAnew = (machine: Machine): void => {
  machine.signsFrom = undefined;
};

const othersOf = (machine: Machine): readonly PeerId[] =>
  votersOf(machine).filter((voter) => voter !== machine.init.self);

/** A connection of a moment teaches nothing: with the last voter goes what was heard. Nobody else's going matters. */
export function noteParting(machine: Machine, peer: PeerId): void {
  const others = othersOf(machine);
  if (!others.includes(peer) || others.some((voter) => machine.connected.has(voter))) return;
  machine.apartSince = machine.now;
}

/** What others had long since has come: an epoch that was opened before, or our first blocks. */
export function noteSynced(machine: Machine, epoch: number, wasAtGenesis: boolean): void {
  const hasMoved = tipOf(machine) !== machine.genesis;
  const isLate = epochOf(machine) !== epoch && machine.signsFrom !== always;
  if (isLate || (wasAtGenesis && hasMoved)) listenAnew(machine);
}

const isInTouch = ({ connected, spokeAt, apartSince }: Machine, others: readonly PeerId[]): boolean =>
  others.some((voter) => connected.has(voter) || (spokeAt.get(voter) ?? always) > apartSince);

/** Whether members are in a later epoch; one of them is believed until it has failed to show that. */
function isLeftBehind(machine: Machine, others: readonly PeerId[]): boolean {
  const { peers, rules } = machine;
  const epoch = epochOf(machine);
  const { height } = tipOf(machine).block;
  const ahead = membersOf(machine).flatMap((peer) => {
    const standing = peers.get(peer);
    return standing && standing.epoch > epoch && standing.final > height ? [{ peer, standing }] : [];
  });
  const honest = Math.min(others.length, witnessesOf(rules.run.quorum, others.length + 1));
  return (
    ahead.some(({ standing }) => mayHave(machine, standing)) ||
    (honest > 0 && ahead.filter(({ peer }) => others.includes(peer)).length >= honest)
  );
}

/** Moves on in the way that the head of this file draws, and says where it stands when it begins to listen. */
export function listen(machine: Machine): boolean {
  if (!isListening(machine)) return false;
  const before = machine.signsFrom;
  const others = othersOf(machine);
  const waits = others.length > 0 && (!isInTouch(machine, others) || isLeftBehind(machine, others));
  if (waits) machine.signsFrom = undefined;
  else if (before === undefined) {
    machine.signsFrom = machine.now + listenMs;
    publishPresence(machine);
  }
  return machine.signsFrom !== before;
}
