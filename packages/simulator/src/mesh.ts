/**
 * Who passes messages to whom: a model of gossipsub as the network package configures it. Each peer keeps some mutual
 * neighbours, and takes new ones at random when they become too few. What it publishes goes to them, what it accepts to
 * all of them but the one it came from, nothing twice. At a long message's first copy it tells them that it wants no
 * second one (IDONTWANT); who hears that in time saves the copy.
 */
import type { Random } from '@murmuration/base';
import type { Life } from './life.ts';
import type { SimPeer } from './peer.ts';

/** A published message on its way. */
export interface Envelope {
  readonly origin: SimPeer;
  readonly bytes: Uint8Array;
  /** Which processes have had it, and since when: a restart forgets. */
  readonly heardMs: Map<Life, number>;
}

export interface Mesh {
  /** The neighbours that can be reached now; lost ones are replaced. */
  neighboursOf(peer: SimPeer): readonly SimPeer[];
  forget(peer: SimPeer): void;
}

/** As gossipsub's mesh: takes more below so many neighbours, and at most so many, per degree of 6. */
const lowShare = 4 / 6;
const highShare = 8 / 6;

/** Gossipsub's: messages from this length on are announced, by a message of so many bytes. */
export const announcedBytes = 512;
export const announcementBytes = 56;

export function createMesh(
  degree: number,
  random: Random,
  peers: readonly SimPeer[],
  isReachable: (from: SimPeer, to: SimPeer) => boolean,
): Mesh {
  const edges = new Map<SimPeer, Set<SimPeer>>();
  const edgesOf = (peer: SimPeer): Set<SimPeer> => {
    const known = edges.get(peer) ?? new Set();
    edges.set(peer, known);
    return known;
  };
  const forget = (peer: SimPeer): void => {
    for (const other of edgesOf(peer)) edgesOf(other).delete(peer);
    edges.delete(peer);
  };

  function graft(peer: SimPeer): void {
    const own = edgesOf(peer);
    for (const other of own)
      if (!isReachable(peer, other)) {
        own.delete(other);
        edgesOf(other).delete(peer);
      }
    if (own.size >= degree * lowShare) return;
    const candidates = peers.filter((other) => other !== peer && !own.has(other) && isReachable(peer, other));
    const open = candidates.filter((other) => edgesOf(other).size < degree * highShare);
    const pool = open.length > 0 ? open : candidates;
    while (own.size < degree && pool.length > 0) {
      const [other] = pool.splice(random.below(pool.length), 1) as [SimPeer];
      own.add(other);
      edgesOf(other).add(peer);
    }
  }

  return {
    neighboursOf(peer) {
      graft(peer);
      return [...edgesOf(peer)];
    },
    forget,
  };
}
