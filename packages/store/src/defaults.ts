import { GiB, MiB, minute, second } from '@murmuration/base';

/** Deltas of a demo peer are some 15 KB, of a 100M-parameter one 2 MB: weeks of rounds. */
export const blobBytesMax: number = 2 * GiB;

/** A blob younger than this is not pruned: its round may still be open, and others still ask for it. */
export const blobRecentMs: number = 10 * minute;

/** While all blobs are recent, this many times `blobBytesMax` may be in use before recent ones go too. */
export const blobBytesOvershoot = 2;

/** Newcomers may still be downloading the last but one when the newest is taken. */
export const snapshotsKept = 2;

/** Ledger states, for links that were made so many snapshots ago. Of a run of 64 members each has some 50 KB. */
export const statesKept = 64;

/** Unfinished downloads that are kept: that of the newest snapshot, and of the one before. */
export const downloadsKept = 2;

/** Public keys kept ready for `verifySignature`: a roster of 64 and its guests, some 2 KB each. */
export const publicKeysMax = 1_024;

/** A file in PEM with an Ed25519 key has 119 bytes. */
export const keyFileBytesMax = 1_024;

/** The folder's mark: 32 hex digits. */
export const markBytesMax = 64;

/** A reader (`murmur status`) holds SQLite's lock for milliseconds. */
export const busyTimeoutMs: number = 5 * second;

/** Two processes that look at the lock file at the same instant wait for each other, not for the holder's life. */
export const lockTimeoutMs = 200;

/** The write-ahead log is folded into the ledger after this many pages of 4 KiB (SQLite's own default). */
export const checkpointPages = 1_000;

/** What stays of the write-ahead log's file after a checkpoint that a slow reader delayed. */
export const walBytesKept: number = 16 * MiB;

/** Up to this size the ledger's pages are all checked when it is opened (about 0.2 s per 100 MB). */
export const checkedBytesMax: number = 256 * MiB;

/** Between two slices of this many bytes the event loop gets its turn (hashing: about 3 ms). */
export const hashSliceBytes: number = 4 * MiB;
