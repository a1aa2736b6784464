/**
 * Who of the connected peers takes part in this run: those that subscribe to its topic. Gossip forgets a peer when
 * its one stream breaks, even if a second connection to it is open, and never asks again; so the list is compared
 * with what gossip believes now and then, and a peer that stays mute is disconnected, to be dialled afresh.
 */
import type { Libp2pEvents } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import type { PeerId } from '@murmuration/base';
import { knownAddressesPerPeer, knownPeersMax } from './defaults.ts';
import type { Node } from './node.ts';

const gossipStream = '/meshsub/';

export interface RunPeersInit {
  readonly topic: string;
  readonly onConnect: (peer: PeerId) => void;
  readonly onDisconnect: (peer: PeerId) => void;
  /** How often to look, and how long a peer may be mute, in ms. */
  readonly watchMs: number;
  readonly muteMs: number;
}

/** The peers of this run that are connected now, and the addresses of those that were. */
export class RunPeers {
  readonly #node: Node;
  readonly #init: RunPeersInit;
  readonly #connected = new Set<PeerId>();
  readonly #known = new Map<PeerId, readonly string[]>();
  readonly #muteSinceMs = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(node: Node, init: RunPeersInit) {
    this.#node = node;
    this.#init = init;
  }

  start(): void {
    this.#node.services.gossip.addEventListener('subscription-change', this.#compare);
    this.#node.addEventListener('peer:disconnect', this.#onDisconnect);
    this.#node.addEventListener('peer:update', this.#onUpdate);
    this.#timer = setInterval(this.#watch, this.#init.watchMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#node.services.gossip.removeEventListener('subscription-change', this.#compare);
    this.#node.removeEventListener('peer:disconnect', this.#onDisconnect);
    this.#node.removeEventListener('peer:update', this.#onUpdate);
    this.#connected.clear();
  }

  connected(): PeerId[] {
    return [...this.#connected];
  }

  has(peer: PeerId): boolean {
    return this.#connected.has(peer);
  }

  /** Addresses of peers of this run, the latest seen last. */
  knownAddresses(): string[] {
    return [...this.#known.values()].flat();
  }

  readonly #compare = (): void => {
    const subscribed = new Set(
      this.#node.services.gossip.getSubscribers(this.#init.topic).map((peer) => peer.toString() as PeerId),
    );
    for (const peer of subscribed)
      if (!this.#connected.has(peer) && this.#isConnected(peer)) {
        this.#connected.add(peer);
        void this.#remember(peer);
        this.#init.onConnect(peer);
      }
    for (const peer of this.#connected)
      if (!subscribed.has(peer) && !this.#isConnected(peer)) this.#remove(peer);
  };

  #isConnected(peer: string): boolean {
    return this.#node.getConnections(peerIdFromString(peer)).length > 0;
  }

  #remove(peer: PeerId): void {
    if (this.#connected.delete(peer)) this.#init.onDisconnect(peer);
  }

  readonly #onDisconnect = (event: Libp2pEvents['peer:disconnect']): void => {
    const peer = event.detail.toString() as PeerId;
    this.#muteSinceMs.delete(peer);
    this.#remove(peer);
  };

  readonly #onUpdate = (event: Libp2pEvents['peer:update']): void => {
    const peer = event.detail.peer.id.toString() as PeerId;
    if (this.#connected.has(peer)) void this.#remember(peer);
  };

  async #remember(peer: PeerId): Promise<void> {
    const { addresses } = await this.#node.peerStore
      .get(peerIdFromString(peer))
      .catch(() => ({ addresses: [] }));
    if (addresses.length === 0) return;
    const texts = addresses.slice(-knownAddressesPerPeer).map(({ multiaddr }) => {
      const text = multiaddr.toString();
      return text.includes('/p2p/') ? text : `${text}/p2p/${peer}`;
    });
    this.#known.delete(peer);
    this.#known.set(peer, texts);
    const oldest = this.#known.keys().next();
    if (this.#known.size > knownPeersMax && !oldest.done) this.#known.delete(oldest.value);
  }

  readonly #watch = (): void => {
    this.#compare();
    const now = performance.now();
    const speaking = new Set<string>();
    for (const connection of this.#node.getConnections())
      if (
        connection.streams.some(
          ({ protocol, direction }) => protocol.startsWith(gossipStream) && direction === 'outbound',
        )
      )
        speaking.add(connection.remotePeer.toString());
    for (const peer of this.#connected) {
      if (speaking.has(peer)) this.#muteSinceMs.delete(peer);
      else if (!this.#muteSinceMs.has(peer)) this.#muteSinceMs.set(peer, now);
      else if (now - (this.#muteSinceMs.get(peer) ?? now) > this.#init.muteMs)
        void this.#node.hangUp(peerIdFromString(peer)).catch(() => undefined);
    }
  };
}
