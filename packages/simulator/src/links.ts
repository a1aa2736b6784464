/** Who can talk to whom at a time: partitions, peers that are alone for a while, twins with a process on each side. */
import type { PeerId } from '@murmuration/base';
import type { SimPeer } from './peer.ts';
import type { Fault, Scenario } from './scenario.ts';
import type { World } from './world.ts';

export interface Links {
  /** One way. */
  canSend(from: SimPeer, to: SimPeer): boolean;
  /** Both ways. */
  connects(a: SimPeer, b: SimPeer): boolean;
  /** All processes of this name, or who answers for it. */
  namesakes(id: PeerId): readonly SimPeer[];
  /** Who asks for a peer of this name gets to another one: a free identity has no process of its own. */
  answerFor(id: PeerId, peer: SimPeer): void;
}

type Partition = Extract<Fault, { kind: 'partition' }>;

/** Whether a message cannot go from one peer to another at a time. */
function isCut({ fromMs, untilMs, side, oneWay }: Partition, now: number, from: number, to: number): boolean {
  if (now < fromMs || now >= (untilMs ?? Number.POSITIVE_INFINITY)) return false;
  const leaves = side.includes(from) && !side.includes(to);
  const enters = !side.includes(from) && side.includes(to);
  return leaves || (enters && !oneWay);
}

/** A twin has a process on each side of everything. */
const isTwin = ({ reaches }: SimPeer): boolean => reaches !== undefined;

/** `peers` is everybody so far; it grows with churn. */
export function createLinks(scenario: Scenario, world: World, peers: readonly SimPeer[]): Links {
  const partitions = scenario.faults.filter((fault) => fault.kind === 'partition');
  const byId = new Map<PeerId, SimPeer[]>();
  const substitutes = new Map<PeerId, readonly SimPeer[]>();
  let indexed = 0;
  const canSend = (from: SimPeer, to: SimPeer): boolean =>
    world.now >= Math.max(from.aloneUntilMs, to.aloneUntilMs) &&
    (from.reaches?.(to.index) ?? true) &&
    (to.reaches?.(from.index) ?? true) &&
    (isTwin(from) ||
      isTwin(to) ||
      !partitions.some((partition) => isCut(partition, world.now, from.index, to.index)));
  return {
    canSend,
    connects: (a, b) => canSend(a, b) && canSend(b, a),
    namesakes(id) {
      for (; indexed < peers.length; indexed++) {
        const peer = peers[indexed] as SimPeer;
        byId.set(peer.id, [...(byId.get(peer.id) ?? []), peer]);
      }
      return byId.get(id) ?? substitutes.get(id) ?? [];
    },
    answerFor(id, peer) {
      substitutes.set(id, [peer]);
    },
  };
}
