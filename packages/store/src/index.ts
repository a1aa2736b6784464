/**
 * What a peer keeps of one run, in one folder: `key` (0600), `ledger.sqlite`, `blobs/`, `snapshots/`. Writes are
 * atomic and durable when the call returns. One process at a time.
 *
 * @example
 * const store = openStore({ directory: 'my-run' });
 * store.putRecord({ key: 'vote/0/3', height: 2, bytes });
 */
import type { Cid, PeerId } from '@murmuration/base';

/** The peer's Ed25519 identity. The raw seed leaves only towards libp2p. */
export interface Identity {
  readonly peer: PeerId;
  readonly publicKey: Uint8Array;
  /** 32-byte seed of the private key. */
  readonly seed: Uint8Array;
  sign(bytes: Uint8Array): Uint8Array;
}

export interface StoreInit {
  readonly directory: string;
  /** Refuses a folder that belongs to another run; unset: whatever run the folder has. */
  readonly runId?: Cid;
  /** Blobs beyond this many bytes are pruned, oldest first; pinned ones stay. */
  readonly blobBytesMax?: number;
}

export interface StoredRecord {
  readonly key: string;
  readonly height: number;
  readonly bytes: Uint8Array;
}

export interface StoredEntry {
  readonly height: number;
  readonly bytes: Uint8Array;
}

export interface StoredBlob {
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}

export interface Store {
  readonly directory: string;
  readonly identity: Identity;
  readonly runId: Cid | undefined;
  /** Binds the folder to a run; throws `StoreError` `other-run` if it has another. */
  bindRun(runId: Cid): void;

  putRecord(record: StoredRecord): void;
  records(): StoredRecord[];
  forgetRecords(belowHeight: number): void;

  /** Entries are contiguous; putting one that is there already with the same bytes does nothing. */
  putEntry(entry: StoredEntry): void;
  /** At most `countMax` entries and `bytesMax` bytes from `fromHeight` on. */
  entries(fromHeight: number, countMax: number, bytesMax?: number): StoredEntry[];
  lastHeight(): number | undefined;
  /** After an install: the ledger restarts at this height (earlier entries are dropped if they do not connect). */
  resetLedger(nextHeight: number): void;

  hasBlob(cid: Cid): boolean;
  /** The whole blob, checked against its CID; `undefined` if absent. A corrupted file is removed and counts as absent. */
  getBlob(cid: Cid): Promise<Uint8Array | undefined>;
  /** Stores bytes under the CID that they must hash to. Chunks and manifest of longer blobs are served by their own CIDs. */
  putBlob(cid: Cid, bytes: Uint8Array): Promise<void>;
  /** For serving: a blob, a manifest or a chunk (also one that is a range of a snapshot), read piecewise. */
  openBlob(cid: Cid): Promise<StoredBlob | undefined>;
  /** Takes over a state file as blob `tensors` with its chunks; the last `keep` (default 2) snapshots stay. */
  adoptSnapshot(snapshot: {
    readonly path: string;
    readonly height: number;
    readonly tensors: Cid;
    readonly size: number;
    readonly chunks: readonly Uint8Array[];
  }): Promise<void>;
  /** Where a snapshot's file lies, if kept. */
  snapshotPath(tensors: Cid): string | undefined;

  /** Small facts: run settings, known addresses, invitation. */
  getSetting(key: string): Uint8Array | undefined;
  putSetting(key: string, value: Uint8Array): void;

  putMetric(metric: {
    readonly height: number;
    readonly name: string;
    readonly value: number;
    readonly timeMs: number;
  }): void;
  metrics(name: string): { readonly height: number; readonly value: number; readonly timeMs: number }[];

  close(): void;
}
