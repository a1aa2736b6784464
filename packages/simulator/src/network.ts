/**
 * The network between the peers: how long a message takes, whether it is lost, doubled or overtaken, and how gossip
 * spreads: from each to all at once, or from neighbour to neighbour, each of which passes on what its replica accepted
 * and nothing twice. A real mesh also tells from time to time what it has, and is asked for what others lack; here a
 * lost message is lost on that way.
 */
import type { PeerId, Random } from '@murmuration/base';
import { drawMs } from './distribution.ts';
import type { Judge } from './judge.ts';
import { createLinks, type Links } from './links.ts';
import { announcedBytes, announcementBytes, createMesh, type Envelope, type Mesh } from './mesh.ts';
import type { SimPeer } from './peer.ts';
import type { Scenario } from './scenario.ts';
import type { Traffic } from './traffic.ts';
import type { World } from './world.ts';

export interface Network {
  publish(from: SimPeer, bytes: Uint8Array): void;
  /** To these peers only, as if it had been published. */
  send(from: SimPeer, to: readonly PeerId[], bytes: Uint8Array): void;
  /** The running peer of this name that `from` can talk to now. */
  reach(from: SimPeer, to: PeerId): SimPeer | undefined;
  /** Who asks for a peer of this name gets to another one: a free identity has no process of its own. */
  answerFor(id: PeerId, peer: SimPeer): void;
  /** One way between two peers, or from a peer into nowhere. */
  delay(from: SimPeer, to?: SimPeer): number;
  /** Counts bytes that leave a peer for another, and how long they wait for its uplink. */
  transfer(from: SimPeer, to: SimPeer, bytes: number): number;
  /** The peer is reachable (again): all that it is connected to hear of it. */
  join(peer: SimPeer): void;
  leave(peer: SimPeer): void;
}

interface NetworkParts {
  readonly world: World;
  readonly random: Random;
  readonly judge: Judge;
  readonly traffic: Traffic;
  /** Everybody so far; grows with churn. */
  readonly peers: readonly SimPeer[];
}

/** What gossip needs beside: the links, and how a message gets from one peer to another. */
interface Wires extends NetworkParts {
  readonly scenario: Scenario;
  readonly links: Links;
  readonly mesh: Mesh | undefined;
  delay(from: SimPeer, to?: SimPeer): number;
}

interface Gossip {
  publish(envelope: Envelope): void;
  /** One copy. */
  carry(envelope: Envelope, from: SimPeer, to: SimPeer): void;
}

/** A message that is overtaken comes so much later. */
const overtakenMs = [200, 3_000] as const;

/** Connections to members that a peer of a mesh keeps beside its neighbours. */
const membersConnected = 4;

const envelopeOf = (origin: SimPeer, bytes: Uint8Array, now: number): Envelope => ({
  origin,
  bytes,
  heardMs: new Map(origin.life && [[origin.life, now]]),
});

/** How messages spread from peer to peer. */
function createGossip({ scenario, world, random, judge, traffic, peers, links, mesh, delay }: Wires): Gossip {
  const chance = (probability: number): boolean => probability > 0 && random.unit() < probability;

  /** Whether a neighbour has said, and it was heard in time, that it has a long message. */
  const isUnwanted = ({ bytes, heardMs }: Envelope, from: SimPeer, to: SimPeer): boolean => {
    const since = bytes.length >= announcedBytes && to.life ? heardMs.get(to.life) : undefined;
    return since !== undefined && since + delay(to, from) <= world.now;
  };
  const passOn = (envelope: Envelope, by: SimPeer, next: readonly SimPeer[]): void => {
    for (const to of next) if (!isUnwanted(envelope, by, to)) carry(envelope, by, to);
  };
  const arrive = (envelope: Envelope, from: SimPeer, to: SimPeer): void => {
    if (!to.life || world.now < to.aloneUntilMs) return;
    traffic.received(to, envelope.bytes.length);
    if (mesh && envelope.heardMs.has(to.life)) return;
    if (mesh) envelope.heardMs.set(to.life, world.now);
    const next = (mesh?.neighboursOf(to) ?? []).filter((peer) => peer !== from);
    if (envelope.bytes.length >= announcedBytes) traffic.announced(to, next.length * announcementBytes);
    to.life.handle({ kind: 'message', from: from.id, bytes: envelope.bytes }, (verdict) => {
      judge.heard(to, envelope.origin, envelope.bytes, verdict);
      if (verdict === 'accept') passOn(envelope, to, next);
    });
  };
  const carry = (envelope: Envelope, from: SimPeer, to: SimPeer): void => {
    traffic.sent(from, envelope.bytes);
    if (!links.canSend(from, to)) return;
    if (chance(scenario.loss) || chance(from.traits.loss ?? 0) || chance(to.traits.loss ?? 0)) return;
    const copies = chance(scenario.duplication) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const overtaken = chance(scenario.reordering) ? drawMs(overtakenMs, random) : 0;
      world.after(delay(from, to) + overtaken, () => arrive(envelope, from, to));
    }
  };
  return {
    carry,
    publish(envelope) {
      const { origin } = envelope;
      const to = mesh?.neighboursOf(origin) ?? peers.filter((peer) => peer !== origin && peer.life);
      for (const peer of to) carry(envelope, origin, peer);
    },
  };
}

/** Tells two peers of each other when they get connected. */
function join(peer: SimPeer, { scenario, random, peers, links, mesh }: Wires): void {
  if (!peer.life) return;
  const members = peers.filter(({ index }) => index < scenario.members);
  const some = Array.from(
    { length: Math.min(membersConnected, members.length) },
    () => members.splice(random.below(members.length), 1)[0] as SimPeer,
  );
  const others = mesh ? new Set([...mesh.neighboursOf(peer), ...some]) : peers;
  for (const other of [...others]) {
    if (other === peer || !other.life || !links.connects(peer, other)) continue;
    peer.handle({ kind: 'connected', peer: other.id });
    other.handle({ kind: 'connected', peer: peer.id });
  }
}

export function createNetwork(scenario: Scenario, parts: NetworkParts): Network {
  const { world, random, traffic, peers } = parts;
  const links = createLinks(scenario, world, peers);
  const { namesakes, connects } = links;
  const delay = (from: SimPeer, to?: SimPeer): number =>
    drawMs(scenario.latency, random) + (from.traits.slowMs ?? 0) + (to?.traits.slowMs ?? 0);
  const mesh: Mesh | undefined =
    scenario.gossip === 'full'
      ? undefined
      : createMesh(scenario.gossip.degree, random, peers, (a, b) => b.life !== undefined && connects(a, b));
  const wires: Wires = { ...parts, scenario, links, mesh, delay };
  const gossip = createGossip(wires);
  const uplinkFreeMs = new Map<SimPeer, number>();

  return {
    delay,
    answerFor: links.answerFor,
    publish: (from, bytes) => gossip.publish(envelopeOf(from, bytes, world.now)),
    send(from, to, bytes) {
      const envelope = envelopeOf(from, bytes, world.now);
      for (const id of to)
        for (const peer of namesakes(id)) if (peer !== from) gossip.carry(envelope, from, peer);
    },
    reach: (from, to) =>
      from.id === to ? from : namesakes(to).find((peer) => peer.life && connects(from, peer)),
    transfer(from, to, bytes) {
      traffic.served(from, to, bytes);
      const rate = from.traits.uplinkBytesPerSecond;
      if (rate === undefined) return 0;
      const startMs = Math.max(world.now, uplinkFreeMs.get(from) ?? 0);
      const endMs = startMs + (1_000 * bytes) / rate;
      uplinkFreeMs.set(from, endMs);
      return endMs - world.now;
    },
    join: (peer) => join(peer, wires),
    leave(peer) {
      mesh?.forget(peer);
      for (const other of peers) if (other.life) other.handle({ kind: 'disconnected', peer: peer.id });
    },
  };
}
