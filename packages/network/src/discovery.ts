/**
 * Peers of a run find each other in the DHT: each one provides the run's id and looks for the others that do, often
 * at first, then less and less, and often again when a peer of the run is lost, or when a connection opens while few
 * are known.
 */
import type { PeerInfo } from '@libp2p/interface';
import type { Cid, Random } from '@murmuration/base';
import { CID } from 'multiformats/cid';
import {
  backOffFactor,
  enoughPeers,
  type NetworkLimits,
  provideAgainMs,
  searchTimeoutMs,
} from './defaults.ts';
import { limited } from './limited.ts';
import type { Node } from './node.ts';
import { pause } from './pause.ts';
import { jittered } from './redial.ts';
import type { RunPeers } from './run-peers.ts';

export interface DiscoveryComponents {
  readonly node: Node;
  readonly peers: RunPeers;
  readonly limits: NetworkLimits;
  readonly random: Random;
  readonly signal: AbortSignal;
}

/** The loop that provides and searches. */
export class Discovery {
  readonly #key: CID;
  readonly #components: DiscoveryComponents;
  #waitMs: number;
  #sleep = new AbortController();
  #provided = { atMs: Number.NEGATIVE_INFINITY, stale: true };

  constructor(runId: Cid, components: DiscoveryComponents) {
    this.#key = CID.parse(runId);
    this.#components = components;
    this.#waitMs = components.limits.searchFirstMs;
  }

  start(): void {
    this.#components.node.addEventListener('peer:connect', this.#onConnect);
    void this.#run();
  }

  /** Searches often again: a peer of the run was lost. */
  hurry(): void {
    this.#waitMs = this.#components.limits.searchFirstMs;
    this.#sleep.abort();
  }

  /** Dials a peer that the DHT or mDNS named, unless it is connected or there is no room. */
  async meet({ id, multiaddrs }: Pick<PeerInfo, 'id' | 'multiaddrs'>): Promise<void> {
    const { node, limits, signal } = this.#components;
    if (id.equals(node.peerId) || node.getConnections(id).length > 0) return;
    if (node.getConnections().length >= limits.connectionsMax / 2) return;
    try {
      if (multiaddrs.length > 0) await node.peerStore.merge(id, { multiaddrs });
      await node.dial(id, { signal });
    } catch {
      // The next search names it again if it is alive.
    }
  }

  readonly #onConnect = (): void => {
    this.#provided.stale = true;
    if (this.#components.peers.connected().length < enoughPeers) this.hurry();
  };

  async #run(): Promise<void> {
    const { limits, random, signal, node } = this.#components;
    while (!signal.aborted) {
      if (node.getConnections().length > 0) await this.#search();
      this.#sleep = new AbortController();
      const waitMs = jittered(this.#waitMs, random);
      this.#waitMs = Math.min(limits.searchLongestMs, this.#waitMs * backOffFactor);
      await pause(waitMs, AbortSignal.any([signal, this.#sleep.signal]));
      if (this.#sleep.signal.aborted) await pause(jittered(limits.searchFirstMs, random), signal);
    }
    node.removeEventListener('peer:connect', this.#onConnect);
  }

  async #search(): Promise<void> {
    const { node, signal } = this.#components;
    try {
      await limited(searchTimeoutMs, signal, async (either) => {
        await this.#provide(either);
        for await (const provider of node.contentRouting.findProviders(this.#key, { signal: either }))
          void this.meet(provider);
      });
    } catch {
      // A walk that ran out of time or peers is repeated.
    }
  }

  async #provide(signal: AbortSignal): Promise<void> {
    const now = performance.now();
    if (!this.#provided.stale && now - this.#provided.atMs < provideAgainMs) return;
    this.#provided = { atMs: now, stale: false };
    await this.#components.node.contentRouting.provide(this.#key, { signal });
  }
}
