/** What of a peer survives the end of its process. */
import type { Cid } from '@murmuration/base';
import type { BlockId, DurableRecord, LedgerEntry } from '@murmuration/protocol';
import type { Checkpoint } from './trained.ts';

export interface Snapshot {
  readonly block: BlockId;
  readonly height: number;
  readonly values: Float32Array;
}

export interface Disk {
  readonly records: Map<string, DurableRecord>;
  readonly ledger: LedgerEntry[];
  /** Bytes by name, and the height at which they were stored. */
  readonly blobs: Map<Cid, { readonly bytes: Uint8Array; readonly height: number }>;
  readonly snapshots: Map<Cid, Snapshot>;
  /** Ledger states of the same heights. */
  readonly states: Map<number, Uint8Array>;
  /** Where the ledger begins, if not at genesis: entries up to that height are not here. */
  base: { readonly height: number; readonly bytes: Uint8Array } | undefined;
  /** Of the trainer; often older than the ledger. */
  checkpoint: Checkpoint;
}

/** States of the newest heights divisible by `snapshotEvery` that are kept. */
const snapshotsMax = 2;

export const createDisk = (checkpoint: Checkpoint): Disk => ({
  records: new Map(),
  ledger: [],
  blobs: new Map(),
  snapshots: new Map(),
  states: new Map(),
  base: undefined,
  checkpoint,
});

/** A backup, or what is put back of one. */
export const copyDisk = ({ records, ledger, blobs, snapshots, states, base, checkpoint }: Disk): Disk => ({
  records: new Map(records),
  ledger: [...ledger],
  blobs: new Map(blobs),
  snapshots: new Map(snapshots),
  states: new Map(states),
  base,
  checkpoint,
});

export function keepSnapshot(disk: Disk, tensors: Cid, snapshot: Snapshot): void {
  disk.snapshots.set(tensors, snapshot);
  for (const name of disk.snapshots.keys())
    if (disk.snapshots.size > snapshotsMax) disk.snapshots.delete(name);
}

export function keepState({ states }: Disk, height: number, state: Uint8Array): void {
  states.set(height, state);
  for (const oldest of states.keys()) if (states.size > snapshotsMax) states.delete(oldest);
}

/** Forgets blobs that were stored below a height. */
export function sweepBlobs(disk: Disk, below: number): void {
  for (const [name, { height }] of disk.blobs) if (height < below) disk.blobs.delete(name);
}
