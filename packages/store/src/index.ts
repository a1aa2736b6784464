/**
 * What a peer keeps of one run, in one folder: `key` (0600), `ledger.sqlite`, `blobs/`, `snapshots/`, `mark`. Writes
 * are atomic and durable when the call returns. One process at a time writes; others may look, read-only. Every method
 * throws (or rejects with) `StoreError`: `disk-full`, `corrupt`, `read-only`, `closed`, `io` and those named there.
 *
 * @example
 * const store = openStore({ directory: 'my-run' });
 * store.putRecord({ key: 'vote/0/3', height: 2, bytes });
 */
import type { Cid, PeerId } from '@murmuration/base';

export { StoreError, type StoreErrorCode } from './errors.ts';
export { hashBytes, verifySignature } from './identity.ts';
export { processUsing } from './lock.ts';
export { openStore } from './store.ts';

/** The peer's Ed25519 identity. The raw seed leaves only towards libp2p. */
export interface Identity {
  readonly peer: PeerId;
  readonly publicKey: Uint8Array;
  /** 32-byte seed of the private key. */
  readonly seed: Uint8Array;
  sign(bytes: Uint8Array): Uint8Array;
}

/** The Ed25519 key that a peer's votes are signed with. */
export interface VoteKey {
  /** The public key in the form of a peer id. */
  readonly key: PeerId;
  /** How often it was renewed in this folder; the key of generation 0 is the identity's. */
  readonly generation: number;
  sign(bytes: Uint8Array): Uint8Array;
}

/** Which folder, of which run, and how much of it is kept. */
export interface StoreInit {
  readonly directory: string;
  /** Binds a new folder to this run, refuses one that belongs to another; unset: whatever run the folder has. */
  readonly runId?: Cid;
  /**
   * Blobs beyond this many bytes are pruned, oldest first; pinned, recent ones and snapshots stay. `Infinity` keeps
   * all.
   */
  readonly blobBytesMax?: number;
  /** The newest this many snapshots stay. Default 2. */
  readonly snapshotsKept?: number;
  /**
   * Looks into a folder, also while its peer runs: takes no lock, creates nothing, refuses every change with
   * `read-only`.
   */
  readonly readOnly?: boolean;
}

/** Bytes under a key that must survive a crash: a vote, a proposal, a contribution. */
export interface StoredRecord {
  readonly key: string;
  readonly height: number;
  readonly bytes: Uint8Array;
}

/** One certified block of the ledger. */
export interface StoredEntry {
  readonly height: number;
  readonly bytes: Uint8Array;
}

/** Bytes to serve, read piecewise. */
export interface StoredBlob {
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A long blob that comes chunk by chunk, in any order, also over several lives of the process. */
export interface Download {
  /** Absent until `begin` was called, in this life or an earlier one. */
  readonly manifest: Uint8Array | undefined;
  readonly bytesHere: number;
  /** Takes the manifest, which the caller has checked; gives the positions of the chunks that are here. */
  begin(manifest: Uint8Array): ReadonlySet<number>;
  /** Takes a chunk, which the caller has checked. It need not survive a power failure. Throws `disk-full`. */
  write(position: number, bytes: Uint8Array): void;
  /** Makes the blob the snapshot of a height, as `adoptSnapshot` does. Throws `bad-blob` while chunks are missing. */
  finish(height: number): Promise<void>;
  /** Lets go of the file; what came stays for the next time. */
  close(): void;
}

/** The opened folder of one peer. */
export interface Store {
  readonly directory: string;
  readonly identity: Identity;
  readonly runId: Cid | undefined;
  readonly voteKey: VoteKey;
  /**
   * Whether the folder may be a copy, or put back from a backup, so that votes may be missing in it: before another
   * vote is cast the key must be renewed. Stays true until then, also when the folder is opened again.
   */
  readonly isRestored: boolean;
  /** Makes a new vote key and says so; what the old one signed no longer matters. Durable when it returns. */
  renewVoteKey(): VoteKey;
  /** Binds the folder to a run; throws `StoreError` `other-run` if it has another. */
  bindRun(runId: Cid): void;

  /**
   * Makes all changes of `work` (which is synchronous) durable together, or none: one wait for the disk instead of
   * many.
   */
  atomically<T>(work: () => T): T;

  /** Replaces the record of the same key. */
  putRecord(record: StoredRecord): void;
  /** In the order in which they were put last. */
  records(): StoredRecord[];
  /**
   * Records of a lower height go: those whose keys begin with `prefix`, which is `recovery/`, or (absent) all others.
   */
  forgetRecords(belowHeight: number, prefix?: 'recovery/'): void;

  /**
   * Entries are contiguous; putting one that is there already with the same bytes does nothing. Throws `gap` if the
   * entry does not follow the last one, `conflict` if another one is stored at its height.
   */
  putEntry(entry: StoredEntry): void;
  /** At most `countMax` entries and `bytesMax` bytes, starting with `fromHeight`; none if that height is not stored. */
  entries(fromHeight: number, countMax: number, bytesMax?: number): StoredEntry[];
  /** Keeps what the ledger says after a block; the newest `statesKept` by height stay. */
  putState(height: number, bytes: Uint8Array): void;
  state(height: number): Uint8Array | undefined;
  firstHeight(): number | undefined;
  lastHeight(): number | undefined;
  /**
   * After an install: the next entry will be that of `nextHeight`. Entries from there on are dropped, and earlier ones
   * too if they end before.
   */
  resetLedger(nextHeight: number): void;

  /** Whether a blob, or a chunk of one, is indexed; its bytes are checked when they are read. */
  hasBlob(cid: Cid): boolean;
  /**
   * The whole blob, checked against its CID; `undefined` if absent. A corrupted file is removed and counts as absent.
   */
  getBlob(cid: Cid): Promise<Uint8Array | undefined>;
  /**
   * Stores bytes under the CID that `nameBlob` gives them, else `bad-blob`. Chunks and manifest of longer blobs are
   * served by their own CIDs.
   */
  putBlob(cid: Cid, bytes: Uint8Array): Promise<void>;
  /** Exempts a blob (also one that comes later) from pruning: the run's graph, one's own pending delta. */
  pinBlob(cid: Cid): void;
  unpinBlob(cid: Cid): void;
  /** Bytes of all blobs that are no snapshots. */
  blobBytes(): number;
  /**
   * For serving: the bytes that hash to `cid`, checked, at most 256 KiB of them, read piecewise. That is a short blob,
   * a chunk of a longer one (also of a snapshot), or, for a longer blob's own name, its manifest.
   */
  openBlob(cid: Cid): Promise<StoredBlob | undefined>;
  /**
   * Moves a state file into `snapshots/` as blob `tensors` with its chunks, which the caller has computed from the file
   * (checked when they are served). The last `snapshotsKept` by height stay. Throws `bad-blob` if size or chunks do
   * not make `tensors`.
   */
  adoptSnapshot(snapshot: {
    readonly path: string;
    readonly height: number;
    readonly tensors: Cid;
    readonly size: number;
    readonly chunks: readonly Uint8Array[];
  }): Promise<void>;
  /** Downloads that are not finished, with the bytes that they have on disk. */
  downloads(): { readonly cid: Cid; readonly bytes: number }[];
  /** Begins the download of a state, or goes on with it; the newest two that are not finished are kept. */
  openDownload(cid: Cid): Promise<Download>;
  /** Where the file of a whole blob or snapshot lies, if kept: for a process that reads it there. */
  blobPath(cid: Cid): string | undefined;

  /** Small facts: run settings, known addresses, invitation. */
  getSetting(key: string): Uint8Array | undefined;
  putSetting(key: string, value: Uint8Array): void;

  /**
   * One value per name and height, the last one counts. Survives the process; a power failure may take the last few.
   */
  putMetric(metric: {
    readonly height: number;
    readonly name: string;
    readonly value: number;
    readonly timeMs: number;
  }): void;
  metrics(name: string): { readonly height: number; readonly value: number; readonly timeMs: number }[];

  /** Folds the write-ahead log into the ledger and releases the lock. Twice is once. */
  close(): void;
}
