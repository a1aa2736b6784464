/**
 * One node in one run. `startNode` makes the libp2p node, whose multiplexer `TrafficMeter` listens at. `RunGossip`
 * judges and publishes messages. `keepDialling` holds on to configured addresses, `Discovery` finds the others in the
 * DHT, and `RunPeers` tells which connections belong to the run. Blobs and ledger ranges are asked for by
 * `fetchBlob` and `fetchEntries` and answered by handlers that share one `Conduct`: whoever sends rubbish on either
 * protocol is refused on both. One signal, aborted by `stop`, ends every loop and stream.
 */
import { setMaxListeners } from 'node:events';
import type { PeerId as Libp2pPeerId, PeerInfo } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { type Cid, createRandom, digestOfCid, type PeerId, type Random } from '@murmuration/base';
import { type FetchInit, fetchBlob } from './blob-client.ts';
import { createBlobProtocol } from './blob-server.ts';
import { Conduct } from './conduct.ts';
import {
  addressesMax,
  blobProtocol,
  defaultLimits,
  ledgerProtocol,
  muteMs,
  type NetworkLimits,
  outboundStreamsMax,
  stopMs,
  watchMs,
} from './defaults.ts';
import { Discovery } from './discovery.ts';
import { NetworkError } from './errors.ts';
import { Gate } from './gate.ts';
import { RunGossip, topicOf } from './gossip.ts';
import type {
  ChunkSink,
  DownloadProgress,
  Network,
  NetworkComponents,
  NetworkInit,
  Traffic,
  Uplink,
} from './index.ts';
import { createLedgerProtocol, type Entry, fetchEntries, fetchState } from './ledger-exchange.ts';
import { isAddress, type Node, parseAddress, startNode } from './node.ts';
import { pause } from './pause.ts';
import { keepDialling } from './redial.ts';
import { RunPeers } from './run-peers.ts';
import { createHandler } from './serve.ts';
import { TrafficMeter } from './traffic.ts';
import { UplinkMeter } from './uplink.ts';

interface BlobOptions {
  readonly bytesMax: number;
  readonly from?: readonly PeerId[];
  readonly signal?: AbortSignal;
}

class RunNetwork implements Network {
  readonly peer: PeerId;
  readonly #runId: Cid;
  readonly #node: Node;
  readonly #limits: NetworkLimits;
  readonly #meter: TrafficMeter;
  readonly #uplink: UplinkMeter = new UplinkMeter();
  readonly #gossip: RunGossip;
  readonly #peers: RunPeers;
  readonly #conduct: Conduct;
  readonly #discovery: Discovery;
  readonly #stopping: AbortController;
  readonly #gate: Gate;
  readonly #random: Random;

  constructor(node: Node, init: NetworkInit, components: NetworkComponents, parts: Parts) {
    const topic = topicOf(init.runId);
    this.peer = node.peerId.toString() as PeerId;
    this.#runId = init.runId;
    this.#node = node;
    this.#limits = parts.limits;
    this.#meter = parts.meter;
    this.#conduct = parts.conduct;
    this.#stopping = parts.stopping;
    this.#random = createRandom(`${this.peer}/sources`);
    this.#gate = new Gate(parts.limits.pulledStreamsPerPeer);
    this.#gossip = new RunGossip(node.services.gossip, topic, components.onMessage, parts.limits);
    this.#peers = new RunPeers(node, {
      topic,
      watchMs,
      muteMs,
      onConnect: (peer) => components.onConnect?.(peer),
      onDisconnect: (peer) => {
        this.#discovery.hurry();
        components.onDisconnect?.(peer);
      },
    });
    this.#discovery = new Discovery(init.runId, {
      node,
      peers: this.#peers,
      limits: parts.limits,
      random: createRandom(`${this.peer}/discovery`),
      signal: parts.stopping.signal,
    });
  }

  async start(init: NetworkInit, components: NetworkComponents): Promise<void> {
    const { signal } = this.#stopping;
    const known = (init.knownAddresses ?? []).filter(isAddress);
    const served = { conduct: this.#conduct, limits: this.#limits, signal };
    const streams = {
      maxInboundStreams: this.#limits.servedStreamsPerPeer,
      maxOutboundStreams: outboundStreamsMax,
    };
    const blobs = createBlobProtocol(components.blobs, served, (transfer) => this.#uplink.note(transfer));
    const ledger = createLedgerProtocol(init.runId, components.ledger, this.#conduct, this.#limits, (ms) =>
      pause(ms, signal),
    );
    this.#peers.start();
    this.#gossip.start();
    await this.#node.handle(blobProtocol, createHandler(blobs, served), streams);
    await this.#node.handle(ledgerProtocol, createHandler(ledger, served), streams);
    keepDialling([...init.bootstrap, ...known].slice(0, addressesMax), {
      node: this.#node,
      limits: this.#limits,
      random: createRandom(`${this.peer}/redial`),
      signal,
    });
    this.#discovery.start();
  }

  meet(peer: PeerInfo): void {
    void this.#discovery.meet(peer);
  }

  hangUp(peer: string): void {
    void this.#node.hangUp(peerIdFromString(peer)).catch(() => undefined);
  }

  addresses(): string[] {
    return this.#node.getMultiaddrs().map(String);
  }

  connected(): PeerId[] {
    return this.#peers.connected();
  }

  knownAddresses(): string[] {
    return this.#peers.knownAddresses();
  }

  async publish(bytes: Uint8Array): Promise<void> {
    this.#assertRunning();
    await this.#gossip.publish(bytes);
  }

  fetchBlob(cid: Cid, options: BlobOptions): Promise<Uint8Array> {
    return this.#pull(cid, options);
  }

  async downloadBlob(
    cid: Cid,
    sink: ChunkSink,
    { onProgress, ...options }: BlobOptions & { onProgress?(progress: DownloadProgress): void },
  ): Promise<void> {
    await this.#pull(cid, options, { sink, onProgress });
  }

  async #pull(
    cid: Cid,
    { bytesMax, from = [], signal }: BlobOptions,
    into: Pick<FetchInit, 'sink' | 'onProgress'> = {},
  ): Promise<Uint8Array> {
    this.#assertRunning();
    digestOfCid(cid);
    const sources = new Set([...from, ...shuffled(this.connected(), this.#random)]);
    sources.delete(this.peer);
    const init = { cid, bytesMax, sources: [...sources], signal: this.#signal(signal), ...into };
    return fetchBlob(init, {
      node: this.#node,
      conduct: this.#conduct,
      limits: this.#limits,
      gate: this.#gate,
    });
  }

  fetchState(
    peer: PeerId,
    height: number,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Uint8Array | undefined> {
    this.#assertRunning();
    return fetchState(
      { runId: this.#runId, peer, height, signal: this.#signal(options.signal) },
      { node: this.#node, conduct: this.#conduct, limits: this.#limits },
    );
  }

  async fetchEntries(
    peer: PeerId,
    fromHeight: number,
    options: {
      readonly countMax?: number;
      readonly signal?: AbortSignal;
      readonly opening?: Cid | undefined;
    } = {},
  ): Promise<Entry[]> {
    this.#assertRunning();
    return fetchEntries(
      {
        runId: this.#runId,
        peer,
        from: fromHeight,
        countMax: options.countMax ?? this.#limits.entriesMax,
        opening: options.opening,
        signal: this.#signal(options.signal),
      },
      { node: this.#node, conduct: this.#conduct, limits: this.#limits },
    );
  }

  uplink(): Uplink {
    return this.#uplink.uplink();
  }

  traffic(): Traffic {
    return this.#meter.traffic();
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    this.#peers.stop();
    const stopped = this.#node.stop();
    const late = new AbortController();
    await Promise.race([stopped, pause(stopMs, late.signal)]);
    late.abort();
    for (const connection of this.#node.getConnections())
      connection.abort(new NetworkError('the node stops', { code: 'stopped' }));
    await stopped;
  }

  #assertRunning(): void {
    if (this.#stopping.signal.aborted) throw new NetworkError('the network is stopped', { code: 'stopped' });
  }

  #signal(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#stopping.signal]) : this.#stopping.signal;
  }
}

/** In another order, so that a blob is not always asked from the peer that connected first. */
function shuffled(peers: readonly PeerId[], random: Random): PeerId[] {
  const order = [...peers];
  for (let last = order.length - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [order[last], order[other]] = [order[other] as PeerId, order[last] as PeerId];
  }
  return order;
}

interface Parts {
  readonly limits: NetworkLimits;
  readonly meter: TrafficMeter;
  readonly conduct: Conduct;
  readonly stopping: AbortController;
}

/** Starts a node. `NetworkError` `bad-seed` | `bad-address` | `port-in-use`; nothing is left running then. */
export async function createNetwork(init: NetworkInit, components: NetworkComponents): Promise<Network> {
  const limits: NetworkLimits = { ...defaultLimits, ...init.limits };
  digestOfCid(init.runId);
  for (const address of [...init.listen, ...init.bootstrap]) parseAddress(address);
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal);
  let network: RunNetwork | undefined;
  const meter = new TrafficMeter();
  const conduct = new Conduct(
    limits,
    (peer) => network?.hangUp(peer),
    () => performance.now(),
  );
  const isRefused = (peer: Libp2pPeerId): boolean => conduct.isRefused(peer.toString());
  const node = await startNode({
    runId: init.runId,
    seed: init.seed,
    listen: init.listen,
    mdns: init.mdns,
    dht: init.dht ?? 'server',
    topic: topicOf(init.runId),
    limits,
    meter,
    gater: { denyDialPeer: isRefused, denyInboundEncryptedConnection: isRefused },
    onLanPeer: (peer) => network?.meet(peer),
  });
  network = new RunNetwork(node, init, components, { limits, meter, conduct, stopping });
  try {
    await network.start(init, components);
    return network;
  } catch (error) {
    await network.stop();
    throw error;
  }
}
