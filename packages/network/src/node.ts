/** Builds and starts the libp2p node: transports, limits, services. */
import { noise } from '@chainsafe/libp2p-noise';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { type GossipSub, gossipsub } from '@libp2p/gossipsub';
import { type Identify, identify } from '@libp2p/identify';
import type { ConnectionGater, Libp2p, PeerInfo } from '@libp2p/interface';
import { type KadDHT, kadDHT, passthroughMapper } from '@libp2p/kad-dht';
import { mdns } from '@libp2p/mdns';
import { type Ping, ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import type { Cid } from '@murmuration/base';
import { createLibp2p } from 'libp2p';
import { BoundedDatastore } from './bounded-datastore.ts';
import {
  dhtProtocol,
  firstSelfWalkMs,
  type NetworkLimits,
  parallelDialsMax,
  pingIntervalMs,
  pingStreamsMax,
  pingTimeoutMs,
  rememberedMax,
  streamBufferBytes,
  streamsPerConnectionMax,
  streamWindowBytes,
  waitingDialsMax,
  walkPaths,
} from './defaults.ts';
import { NetworkError, reasonOf } from './errors.ts';
import { gossipOptions } from './gossip.ts';
import type { TrafficMeter } from './traffic.ts';

/** The libp2p services that every node runs. */
export type Services = {
  readonly identify: Identify;
  readonly ping: Ping;
  readonly dht: KadDHT;
  readonly gossip: GossipSub;
};
/** A libp2p node with our services. */
export type Node = Libp2p<Services>;

export interface NodeInit {
  readonly runId: Cid;
  readonly seed: Uint8Array;
  readonly listen: readonly string[];
  readonly mdns: boolean;
  readonly dht: 'server' | 'client';
  readonly topic: string;
  readonly limits: NetworkLimits;
  readonly meter: TrafficMeter;
  readonly gater: ConnectionGater;
  /** Called for each peer that mDNS finds on the LAN; only peers of this run answer to its name. */
  readonly onLanPeer: (peer: PeerInfo) => void;
}

/** A parsed multiaddr, or `NetworkError` `bad-address`. */
export function parseAddress(text: string): Multiaddr {
  try {
    return multiaddr(text);
  } catch (cause) {
    throw new NetworkError(
      `expected a multiaddr such as /ip4/127.0.0.1/tcp/4001, got ${JSON.stringify(text.slice(0, 200))}`,
      { code: 'bad-address', address: text.slice(0, 200) },
      { cause },
    );
  }
}

/** Whether a text is a multiaddr. */
export function isAddress(text: string): boolean {
  try {
    multiaddr(text);
    return true;
  } catch {
    return false;
  }
}

/** A DNS label of at most 63 characters that only peers of one run share. */
const serviceTagOf = (runId: Cid): string => `_murmur-${runId.slice(-24)}._udp.local`;

const createServices = (init: NodeInit) => ({
  identify: identify(),
  ping: ping({ maxInboundStreams: pingStreamsMax.inbound, maxOutboundStreams: pingStreamsMax.outbound }),
  dht: kadDHT({
    protocol: dhtProtocol,
    peerInfoMapper: passthroughMapper,
    clientMode: init.dht === 'client',
    alpha: walkPaths,
    initialQuerySelfInterval: firstSelfWalkMs,
    allowQueryWithZeroPeers: true,
  }),
  gossip: gossipsub(gossipOptions(init.topic)),
});

async function createNode(init: NodeInit): Promise<Node> {
  const { limits } = init;
  const createMdns: ReturnType<typeof mdns> = (components) => {
    const discovery = mdns({ serviceTag: serviceTagOf(init.runId) })(components);
    discovery.addEventListener('peer', (event) => init.onLanPeer(event.detail));
    return discovery;
  };
  return createLibp2p({
    start: false,
    datastore: new BoundedDatastore(rememberedMax),
    privateKey: await generateKeyPairFromSeed('Ed25519', init.seed),
    nodeInfo: { name: 'murmuration', version: '0.1.0', userAgent: 'murmuration/0.1.0' },
    addresses: { listen: init.listen.map((address) => parseAddress(address).toString()) },
    transports: [
      tcp({
        dialOpts: { noDelay: true },
        listenOpts: { noDelay: true },
        maxConnections: limits.connectionsMax * 2,
      }),
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [
      () =>
        init.meter.metered(
          yamux({
            maxInboundStreams: streamsPerConnectionMax,
            maxOutboundStreams: streamsPerConnectionMax,
            streamOptions: {
              maxStreamWindowSize: streamWindowBytes,
              maxReadBufferLength: streamBufferBytes,
              maxWriteBufferLength: streamBufferBytes,
            },
          })(),
        ),
    ],
    connectionManager: {
      maxConnections: limits.connectionsMax,
      inboundConnectionThreshold: limits.inboundPerHostMax,
      maxIncomingPendingConnections: limits.inboundPerHostMax,
      maxParallelDials: parallelDialsMax,
      maxDialQueueLength: waitingDialsMax,
      dialTimeout: limits.dialTimeoutMs,
      addressDialTimeout: limits.dialTimeoutMs,
    },
    connectionMonitor: {
      pingInterval: pingIntervalMs,
      pingTimeout: { minTimeout: pingTimeoutMs, maxTimeout: pingTimeoutMs },
    },
    connectionGater: { denyDialMultiaddr: () => false, ...init.gater },
    ...(init.mdns ? { peerDiscovery: [createMdns] } : {}),
    services: createServices(init),
  });
}

/** Starts the node; rejects with `port-in-use` or `bad-address` and leaves nothing running. */
export async function startNode(init: NodeInit): Promise<Node> {
  if (init.seed.length !== 32)
    throw new NetworkError(`expected a seed of 32 bytes, got ${init.seed.length}`, {
      code: 'bad-seed',
      length: init.seed.length,
    });
  const node = await createNode(init);
  try {
    await node.start();
    return node;
  } catch (cause) {
    await Promise.resolve(node.stop()).catch(() => undefined);
    throw listenError(init.listen, cause);
  }
}

function listenError(listen: readonly string[], cause: unknown): NetworkError {
  const reason = reasonOf(cause);
  const address = listen.find((candidate) => reason.includes(`${candidate}:`)) ?? listen.join(', ');
  if (reason.includes('EADDRINUSE'))
    return new NetworkError(
      `cannot listen on ${address}: another program uses this port; choose another port, or 0 for any free one`,
      { code: 'port-in-use', address },
      { cause },
    );
  return new NetworkError(
    `cannot listen on ${address}: ${reason}`,
    { code: 'bad-address', address },
    { cause },
  );
}
