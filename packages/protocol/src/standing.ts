/** Where the other peers stand, by their own word. */
import type { PeerId } from '@murmuration/base';
import { presencesMax } from './defaults.ts';
import { type Machine, type PeerStanding, rosterOf } from './machine.ts';
import type { Presence } from './statement.ts';

/** Takes a checked presence in. Returns whether there was room for it. */
export function notePresence(machine: Machine, presence: Presence): boolean {
  const { peer, epoch, view, head, final, holds } = presence;
  const known = machine.peers.get(peer);
  if (!known && !rosterOf(machine).includes(peer) && machine.peers.size >= presencesMax) return false;
  const moved = known === undefined || final > known.final;
  machine.peers.set(peer, {
    epoch,
    view,
    head,
    final,
    holds: new Set(holds),
    failures: moved ? 0 : known.failures,
    retryAt: moved ? machine.now : known.retryAt,
  });
  return true;
}

/** Whether a peer's claim is believed: a sync that brought nothing is not repeated at once. */
export const mayHave = (machine: Machine, { retryAt }: PeerStanding): boolean => retryAt <= machine.now;

/** Peers that say they have this final height: members and connected ones first, then the highest. */
export function aheadOf(machine: Machine, height: number): PeerId[] {
  const roster = rosterOf(machine);
  const rank = (peer: PeerId): number =>
    (roster.includes(peer) ? 2 : 0) + (machine.connected.has(peer) ? 1 : 0);
  return [...machine.peers]
    .filter(([, standing]) => standing.final >= height && mayHave(machine, standing))
    .sort(([a, left], [b, right]) => rank(b) - rank(a) || right.final - left.final)
    .map(([peer]) => peer);
}
