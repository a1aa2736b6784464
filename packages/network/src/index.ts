/**
 * The libp2p node of one peer in one run: finds the others by the DHT (and mDNS on the LAN), gossips small signed
 * messages, pulls blobs and ledger ranges, serves what it has.
 *
 * @example
 * const network = await createNetwork({ runId, seed, listen: ['/ip4/127.0.0.1/tcp/0'], bootstrap: [], mdns: false },
 *   { blobs: store, ledger, onMessage: () => 'accept' });
 * await network.publish(bytes);
 */
import type { Cid, PeerId } from '@murmuration/base';
import type { NetworkLimits } from './defaults.ts';

export { defaultLimits, gossipBytesMax, type NetworkLimits } from './defaults.ts';
export { NetworkError, type NetworkErrorCode } from './errors.ts';
export { createNetwork } from './network.ts';

/** What becomes of a gossip message. */
export type Verdict = 'accept' | 'ignore' | 'reject';

/**
 * A blob, manifest or chunk that can be served piecewise. The name of a blob of several chunks is the name of its
 * manifest, so that is what `openBlob` gives for it; each chunk has its own name.
 */
export interface ServedBlob {
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Who we are, where we listen, and whom we know. */
export interface NetworkInit {
  readonly runId: Cid;
  /** 32-byte seed of the Ed25519 key. */
  readonly seed: Uint8Array;
  readonly listen: readonly string[];
  /** Multiaddrs with or without /p2p/…; dialled again and again until they answer, and when they are lost. */
  readonly bootstrap: readonly string[];
  readonly mdns: boolean;
  /** DHT server (reachable) or client (behind NAT). Default server. */
  readonly dht?: 'server' | 'client';
  /** Multiaddrs learned in earlier lives. */
  readonly knownAddresses?: readonly string[];
  /** Overrides of `defaultLimits`, one by one. */
  readonly limits?: Partial<NetworkLimits>;
}

/** What the network needs of its owner: blobs and entries to serve, a judge of messages. */
export interface NetworkComponents {
  readonly blobs: { openBlob(cid: Cid): Promise<ServedBlob | undefined> };
  readonly ledger: {
    entries(
      fromHeight: number,
      countMax: number,
      bytesMax: number,
      /** Entries of this recovery instead of the ledger's. */
      opening?: Cid,
    ): readonly { readonly height: number; readonly bytes: Uint8Array }[];
    /** What the ledger says after the block of a height, for those who begin there; absent: never kept. */
    state?(height: number): Uint8Array | undefined;
  };
  /**
   * Judges each gossip message (≤ 16 KiB) of its author `from`, whose signature is already checked. `accept` passes it
   * on, `reject` counts against whoever delivered it, `ignore` does neither. Throwing counts as `ignore`.
   */
  onMessage(from: PeerId, bytes: Uint8Array): Verdict | Promise<Verdict>;
  onConnect?(peer: PeerId): void;
  onDisconnect?(peer: PeerId): void;
}

/** Where the chunks of a long blob go as they come, so that an interrupted download goes on where it was. */
export interface ChunkSink {
  /** From an earlier attempt. */
  readonly manifest?: Uint8Array | undefined;
  /**
   * Called first, for blobs of several chunks, with the checked manifest; gives the positions of chunks that are here.
   */
  begin(manifest: Uint8Array): ReadonlySet<number>;
  /** A checked chunk. Throwing ends the download. */
  write(position: number, bytes: Uint8Array): void;
}

export interface DownloadProgress {
  readonly size: number;
  /** Those from earlier attempts included. */
  readonly bytesHere: number;
  /** What each source gave in this call, manifest included. */
  readonly bytesFrom: ReadonlyMap<PeerId, number>;
}

/** What crossed the streams so far. */
export interface Traffic {
  /** Bytes through all streams since the start, framing included, as counted at the streams. */
  readonly sent: number;
  readonly received: number;
  readonly byProtocol: Readonly<Record<string, { readonly sent: number; readonly received: number }>>;
}

/** What others pull from us. */
export interface Uplink {
  /** While somebody pulled; the way to them included. Absent until enough was pulled to tell. */
  readonly bytesPerSecond: number | undefined;
  /** Blob bytes in all. */
  readonly servedBytes: number;
}

/** A running node of one peer in one run. */
export interface Network {
  readonly peer: PeerId;
  /** Own multiaddrs with /p2p/<id>. */
  addresses(): string[];
  /** Peers of this run that are connected now. */
  connected(): PeerId[];
  /** Multiaddrs of peers of this run, for the next life. */
  knownAddresses(): string[];
  /**
   * Gossip to the run's topic, to nobody if nobody is connected; own messages do not come back. Rejects with
   * `NetworkError` `too-long` above 16 KiB.
   */
  publish(bytes: Uint8Array): Promise<void>;
  /**
   * Pulls a blob, checked; tries `from` first, then other connected peers of the run. `NetworkError` `unavailable` |
   * `too-long` | `aborted`. `too-long` is certain for a blob of several chunks (its manifest says so); for a single
   * chunk it is what the sources claim, and none of them delivered.
   */
  fetchBlob(
    cid: Cid,
    options: { readonly bytesMax: number; readonly from?: readonly PeerId[]; readonly signal?: AbortSignal },
  ): Promise<Uint8Array>;
  /**
   * Pulls a long blob like `fetchBlob`, from several sources at once, but hands its chunks to `sink` as they come and
   * asks for none that it has. Rejects like `fetchBlob`, or with what the sink throws.
   */
  downloadBlob(
    cid: Cid,
    sink: ChunkSink,
    options: {
      readonly bytesMax: number;
      readonly from?: readonly PeerId[];
      readonly signal?: AbortSignal;
      onProgress?(progress: DownloadProgress): void;
    },
  ): Promise<void>;
  /**
   * Pulls ledger entries from one peer, contiguous from `fromHeight`; as many as one answer holds (256 entries, 1 MiB).
   * Bytes are not interpreted. `NetworkError` `unavailable` | `bad-message` | `timeout` | `aborted`.
   */
  fetchEntries(
    peer: PeerId,
    fromHeight: number,
    options?: {
      readonly countMax?: number;
      readonly signal?: AbortSignal;
      readonly opening?: Cid | undefined;
    },
  ): Promise<{ readonly height: number; readonly bytes: Uint8Array }[]>;
  /**
   * The ledger state after the block of a height, from one peer; `undefined` if it has none. Bytes are not interpreted.
   * Rejects like `fetchEntries`.
   */
  fetchState(
    peer: PeerId,
    height: number,
    options?: { readonly signal?: AbortSignal },
  ): Promise<Uint8Array | undefined>;
  traffic(): Traffic;
  uplink(): Uplink;
  stop(): Promise<void>;
}
