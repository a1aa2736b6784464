import { type Cid, type PeerId, runDigest, sha256 } from '@murmuration/base';
import type { BlockId, Contribution } from './index.ts';
import { decodeEntry } from './ledger-entry.ts';

/** One round as the ledger tells it. */
export interface LedgerRound {
  readonly id: BlockId;
  readonly height: number;
  readonly epoch: number;
  readonly view: number;
  readonly proposer: PeerId;
  readonly tensors: Cid;
  readonly stateRoot: Uint8Array;
  readonly contributions: readonly Contribution[];
}

/** Reads a ledger entry for display; nothing is verified. Throws `ProtocolError` `bad-entry`. */
export function readLedgerEntry(bytes: Uint8Array, runId: Cid): LedgerRound {
  const { id, header, announcements } = decodeEntry(bytes, runDigest(runId), sha256);
  const { height, epoch, view, proposer, tensors, root } = header;
  const contributions = announcements.map(({ contribution }) => contribution);
  return { id, height, epoch, view, proposer, tensors, stateRoot: root, contributions };
}
