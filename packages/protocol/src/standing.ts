/** Where the other peers stand, by their own word. */
import type { PeerId } from '@murmuration/base';
import { ancestorAt } from './block-record.ts';
import { noticeConflict } from './conflict.ts';
import { derived, once } from './counted-map.ts';
import {
  failuresForgiven,
  membersMax,
  otherQuietMs,
  presencesCounted,
  presencesMax,
  strangerShare,
  voterQuietMs,
} from './defaults.ts';
import { classOf } from './lottery.ts';
import { keepAtMost, type Machine, membersOf, openingOf, tipOf, votersOf } from './machine.ts';
import type { PeerStanding } from './machine-parts.ts';
import { witnessesOf } from './roster.ts';
import type { Presence } from './statement.ts';

const holdingsIn = once((holds: readonly string[]): ReadonlySet<string> => new Set(holds));

/** Takes a checked presence in. */
export function notePresence(machine: Machine, presence: Presence): void {
  const { peer, life, count, epoch, view, head, final, holds, opening, block } = presence;
  if (opening !== openingOf(machine)) {
    if (classOf(machine, peer) === 'stranger') return;
    machine.elsewhere.delete(peer);
    machine.elsewhere.set(peer, { life, count, opening, final, heardAt: machine.now });
    keepAtMost(machine.elsewhere, presencesMax);
    return;
  }
  const known = machine.peers.get(peer);
  if (!known) makePlace(machine, peer);
  const moved = known === undefined || final > known.final;
  const before = known?.block === block ? known.holds : [];
  machine.peers.set(peer, {
    life,
    count,
    epoch,
    view,
    head,
    final,
    block,
    holds: holds.length > 0 ? [...before, holdingsIn(holds)].slice(-presencesCounted) : before,
    failures: known?.failures ?? 0,
    retryAt: known && (!moved || known.failures >= failuresForgiven) ? known.retryAt : machine.now,
    heardAt: machine.now,
  });
  const ours = ancestorAt(tipOf(machine), final);
  if (ours && ours.block.id !== block) noticeConflict(machine);
}

/** Of a presence that is not taken in since it says nothing new its number counts. */
export function noteRepeated(machine: Machine, { peer, count }: Presence): void {
  const known = machine.peers.get(peer);
  if (known) known.count = count;
}

/** Remembers that a member has just said something new, whatever it was. */
export function noteWord(machine: Machine, peer: PeerId): void {
  if (classOf(machine, peer) !== 'member') return;
  machine.spokeAt.delete(peer);
  machine.spokeAt.set(peer, machine.now);
  keepAtMost(machine.spokeAt, membersMax);
}

/** Whether a peer has said that it holds a contribution's delta. */
export const saysItHolds = (standing: PeerStanding | undefined, holding: string): boolean =>
  standing?.holds.some((holds) => holds.has(holding)) ?? false;

/** Whether a presence is none that its sender signed after the newest that is known of it: it was sent again. */
export function isOutrun(machine: Machine, { peer, life, count, opening }: Presence): boolean {
  const known = (opening === openingOf(machine) ? machine.peers : machine.elsewhere).get(peer);
  return known !== undefined && (life < known.life || (life === known.life && count <= known.count));
}

/** Whether a checked presence says nothing that its sender has not said a short while ago. */
export function isRepeated(machine: Machine, presence: Presence): boolean {
  const { peer, life, epoch, view, head, block, holds, opening } = presence;
  const known = machine.peers.get(peer);
  if (!known || opening !== openingOf(machine)) return false;
  const quietMs = votersOf(machine).includes(peer) ? voterQuietMs : otherQuietMs;
  return (
    known.life === life &&
    machine.now < known.heardAt + quietMs &&
    known.block === block &&
    known.epoch === epoch &&
    known.view === view &&
    known.head === head &&
    holds.every((holding) => saysItHolds(known, holding))
  );
}

/** Members have places of their own; of the others the one of the same class that was heard longest ago goes. */
function makePlace(machine: Machine, peer: PeerId): void {
  const peerClass = classOf(machine, peer);
  if (peerClass === 'member') return;
  const placesMax = peerClass === 'guest' ? presencesMax : Math.floor(presencesMax / strangerShare);
  const others = [...machine.peers].filter(([other]) => classOf(machine, other) === peerClass);
  if (others.length < placesMax) return;
  const [oldest] = others.sort(([, a], [, b]) => a.heardAt - b.heardAt);
  if (oldest) machine.peers.delete(oldest[0]);
}

/** Whether a peer's claim is believed: a sync that brought nothing is not repeated at once. */
export const mayHave = (machine: Machine, { retryAt }: PeerStanding): boolean => retryAt <= machine.now;

/** Voters whose final height is known, this peer among them, by that height: the highest first. */
const heardVoters: (machine: Machine) => readonly number[] = derived(
  (machine) => [tipOf(machine), machine.peers.revision],
  (machine) =>
    votersOf(machine)
      .map((voter) =>
        voter === machine.init.self ? tipOf(machine).block.height : machine.peers.get(voter)?.final,
      )
      .filter((final) => final !== undefined)
      .sort((a, b) => b - a),
);

/** How many voters must say the same, so that one of them is honest. */
const witnesses = (machine: Machine): number =>
  witnessesOf(machine.rules.run.quorum, votersOf(machine).length);

/**
 * The highest final height that so many voters claim that one of them is honest: what a liar claims alone holds nobody
 * up.
 */
export const witnessedFinal = (machine: Machine): number => heardVoters(machine)[witnesses(machine) - 1] ?? 0;

/** Whether so many voters said where they stand that one of them is honest. */
export const isOriented = (machine: Machine): boolean => heardVoters(machine).length >= witnesses(machine);

/**
 * Peers that say they have this final height: those that never failed, members and connected ones first, then the
 * highest.
 */
export function aheadOf(machine: Machine, height: number): PeerId[] {
  const members = membersOf(machine);
  const rank = (peer: PeerId): number =>
    (members.includes(peer) ? 2 : 0) +
    (machine.connected.has(peer) ? 1 : 0) -
    4 * Math.min(2, machine.peers.get(peer)?.failures ?? 0);
  return [...machine.peers]
    .filter(([, standing]) => standing.final >= height && mayHave(machine, standing))
    .sort(([a, left], [b, right]) => rank(b) - rank(a) || right.final - left.final)
    .map(([peer]) => peer);
}
