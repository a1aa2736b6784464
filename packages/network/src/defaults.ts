import { blobChunkBytes, hour, KiB, MiB, minute, second } from '@murmuration/base';

/** Names on the wire: they never change their meaning. */
export const blobProtocol = '/murmuration/blob/1';
export const ledgerProtocol = '/murmuration/ledger/1';
export const dhtProtocol = '/murmuration/kad/1';
export const topicPrefix = '/murmuration/run/1/';

/** The largest gossip message; anything larger is a blob. */
export const gossipBytesMax: number = 16 * KiB;

/** Numbers that a person may tune; `NetworkInit.limits` overrides them one by one. */
export interface NetworkLimits {
  /** Connections in all, in both directions. */
  readonly connectionsMax: number;
  /** New inbound connections per second from one host. Peers behind one router, or on one machine, start together. */
  readonly inboundPerHostMax: number;
  /** Time for dialling one peer, in ms. */
  readonly dialTimeoutMs: number;
  /** First and longest pause between two dials of a configured address, in ms. */
  readonly redialFirstMs: number;
  readonly redialLongestMs: number;
  /** First and longest pause between two searches for peers of the run, in ms. */
  readonly searchFirstMs: number;
  readonly searchLongestMs: number;
  /** A transfer without one new byte for this long, in ms, fails. Slow is fine, silent is not. */
  readonly stallMs: number;
  /** Chunk requests outstanding per source. */
  readonly requestWindow: number;
  /** Sources that one long blob is pulled from at the same time, and tried in all. */
  readonly sourcesAtOnce: number;
  readonly sourcesMax: number;
  /** Inbound streams of each of our protocols per peer. */
  readonly servedStreamsPerPeer: number;
  /** Blob streams that we have open to one peer; fewer than it serves. */
  readonly pulledStreamsPerPeer: number;
  /** Inbound streams of each of our protocols in all. */
  readonly servedStreamsMax: number;
  /** Blob bytes per second that one peer may take from us, after a burst of as many bytes. */
  readonly servedBytesPerSecond: number;
  /** Ledger entries and their bytes per answer. */
  readonly entriesMax: number;
  readonly entriesBytesMax: number;
  /** Gossip messages in judgement at once, waiting in all, and waiting per sender; the rest is ignored. */
  readonly judgedAtOnce: number;
  readonly waitingMax: number;
  readonly waitingPerPeerMax: number;
}

/** For peers at home and in data centers alike; the interface says what each number bounds. */
export const defaultLimits: NetworkLimits = {
  connectionsMax: 96,
  inboundPerHostMax: 64,
  dialTimeoutMs: 5 * second,
  redialFirstMs: 0.25 * second,
  redialLongestMs: 15 * second,
  searchFirstMs: 0.2 * second,
  searchLongestMs: 60 * second,
  stallMs: 15 * second,
  // 4 × 256 KiB in flight fill a link of 80 ms round trip at 13 MB/s; more only grows the buffers.
  requestWindow: 4,
  sourcesAtOnce: 3,
  sourcesMax: 16,
  servedStreamsPerPeer: 8,
  pulledStreamsPerPeer: 6,
  servedStreamsMax: 128,
  servedBytesPerSecond: 64 * MiB,
  entriesMax: 256,
  entriesBytesMax: 1 * MiB,
  // A judgement costs a signature check (about 2 ms on one core).
  judgedAtOnce: 8,
  waitingMax: 1_024,
  waitingPerPeerMax: 256,
};

/** Shorter answers tell how far the other peer is, not how fast the line is. */
export const uplinkAnswerBytesMin: number = 4 * KiB;
/** Less time of transfers than this tells nothing of the uplink; more than the maximum counts half. */
export const uplinkBusyMinMs: number = 0.1 * second;
export const uplinkMemoryMs: number = 10 * second;

/** Growth of the pauses, and how much of a pause is drawn at random so that peers do not move in step. */
export const backOffFactor = 1.6;
export const backOffJitter = 0.3;

/** Peers of the run with which a new connection is no reason to search at once. */
export const enoughPeers = 8;

/** Provider records live 48 hours at other peers, but those peers restart. */
export const provideAgainMs: number = 10 * minute;
/** One walk through the DHT. */
export const searchTimeoutMs: number = 10 * second;
/** How often the list of peers is compared with what gossip believes. */
export const watchMs: number = 2 * second;
/** A peer connected this long without a gossip stream is disconnected, so that the next dial starts afresh. */
export const muteMs: number = 8 * second;

/** Configured bootstrap and known addresses that are dialled. */
export const addressesMax = 128;
/** Peers whose addresses are remembered for the next life, and addresses of each. */
export const knownPeersMax = 256;
export const knownAddressesPerPeer = 4;

/** Peer and provider records of the DHT and the peer store that are kept in memory. */
export const rememberedMax = 8_192;

/** Opening a stream to a peer that is connected or can be dialled. */
export const openTimeoutMs: number = 6 * second;
/** Chunk of a blob on the wire, with the status byte. */
export const answerBytesMax: number = blobChunkBytes + 1;
/** Bytes of a length prefix: a varint of at most 2²⁸ - 1. */
export const framingBytesMax = 4;
/** Fewer bytes than this are no progress: a source that drips is as good as silent. */
export const progressBytes: number = 4 * KiB;
/** A source that made no progress for this long does not keep others from being asked for the same. */
export const hedgeMs: number = 1.5 * second;
/** Nor does one that works on a chunk for this long: a window of four at 1 Mbit/s takes 8 s. */
export const slowPieceMs: number = 12 * second;
/**
 * Where others wait for their turn, a source is left that after this long gives less than this share of the best one's
 * rate.
 */
export const slowSourceMs: number = 5 * second;
export const slowSourceShare: number = 1 / 8;
/** Missing pieces that justify one more source: a stream costs a round trip. */
export const piecesPerSource = 3;
/** What a request that finds nothing costs of the byte budget: a lookup on disk. */
export const lookupBytes: number = 4 * KiB;
/** An idle served stream is closed after this long. */
export const servedIdleMs: number = 1 * minute;

/** Broken messages of one peer that are forgiven; then it is refused for a while. */
export const offencesMax = 5;
export const refusalMs: number = 1 * minute;
export const offendersMax = 1_024;

/** Requests that may wait on one served blob stream, and the size of a ledger request. */
export const backlogRequestsMax = 64;
export const rangeBytesMax = 256;
/** Room for heights and lengths beside the entries' own bytes in a ledger answer. */
export const answerOverheadBytesMax: number = 64 * KiB;

/** Dials at the same time and waiting: a burst of providers from the DHT. */
export const parallelDialsMax = 16;
export const waitingDialsMax = 256;
/** Streams of each of our protocols that we may have open to one peer, whatever they are for. */
export const outboundStreamsMax = 64;
/** Streams of ping, inbound and outbound, per peer. */
export const pingStreamsMax = { inbound: 2, outbound: 4 } as const;
/** Parallel paths of a DHT walk. Measured: with ten the first walks of 32 local peers take 8 s, with three 2.3 s. */
export const walkPaths = 3;
/** First look at our own neighbourhood in the DHT after the start, in ms. */
export const firstSelfWalkMs = 100;

/** Flow control of one stream: a window of requests fits, and a flood ends the stream. */
export const streamWindowBytes: number = 2 * MiB;
export const streamBufferBytes: number = 4 * MiB;
export const streamsPerConnectionMax = 256;

/**
 * Neighbours in a run's mesh: how many a peer takes, below how many it takes more, and how many it has at most. Every
 * message passes a peer about as often as it has neighbours; with six of them it reaches 500 peers in four steps, and
 * each second gossip tells six others of what they may lack. The simulator's mesh has the same numbers.
 */
export const meshDegree = 6;
export const meshDegreeLow = 4;
export const meshDegreeHigh = 8;

/** Four rejected messages silence a peer (-6 · 4² < -80); forgotten within ten minutes. */
export const rejectWeight = -6;
export const rejectMemoryMs: number = 10 * minute;
/** Peers behind one address before gossip suspects one machine with many names. */
export const peersPerAddressMax = 32;
/** How long gossip remembers the score of a peer that left. */
export const scoreMemoryMs: number = 1 * hour;

/** Pings that keep the connections checked; generous, because a machine that trains may be slow to answer. */
export const pingIntervalMs: number = 15 * second;
export const pingTimeoutMs: number = 20 * second;

/** Graceful part of `stop()`; then everything is cut. */
export const stopMs: number = 1 * second;
