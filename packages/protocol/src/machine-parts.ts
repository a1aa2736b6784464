/** What a machine keeps of one blob, view, peer and so on. Each kind has its owner among the modules (machine.ts). */
import type { Cid, PeerId } from '@murmuration/base';
import type { Announcement, BlockRecord } from './block-record.ts';
import type { Certificate } from './certificate.ts';
import type { BlockId, Execution, FetchPriority } from './index.ts';
import type { LedgerState } from './ledger-state.ts';
import type { Opening } from './opening.ts';
import type { RekeyRequest } from './request.ts';
import type { Proposal } from './statement.ts';
import type { EpochId } from './vote.ts';

export interface PoolEntry extends Announcement {
  /** How presences name it. */
  readonly holding: string;
}

export interface BlobStatus {
  readonly blob: Cid;
  status: 'wanted' | 'fetching' | 'held' | 'invalid';
  readonly bytes: number;
  readonly purpose: 'contributions' | 'delta';
  readonly author: PeerId;
  readonly input: { readonly author: PeerId; readonly base: BlockId; readonly norm: number } | undefined;
  /** `first`: members' deltas, lists, and what a block needs. */
  priority: FetchPriority;
  attempts: number;
  retryAt: number;
}

export interface CountedVote {
  readonly block: BlockId | undefined;
  readonly signature: Uint8Array;
  /** Where the vote was signed by a key that the ledger did not know yet. */
  readonly rekey: RekeyRequest | undefined;
}

export interface ViewSlot {
  readonly of: EpochId;
  /** Of the epoch: whose vote keys count. */
  readonly state: LedgerState;
  readonly notarize: Map<PeerId, CountedVote>;
  readonly skip: Map<PeerId, CountedVote>;
  readonly finalize: Map<PeerId, CountedVote>;
  notarized?: Certificate;
  skipped?: Certificate;
  proposal?: {
    readonly proposal: Proposal;
    readonly bytes: Uint8Array;
    problem?: string;
    record?: BlockRecord;
  };
}

export interface ExecutionStatus {
  readonly request: number;
  status: 'running' | 'done' | 'failed';
  tensors: Cid | undefined;
  retryAt: number;
}

/** Own contribution that is neither final nor expired. */
export interface OwnContribution extends Announcement {
  expired: boolean;
}

export interface PeerStanding {
  /** Of its newest presence. */
  readonly life: number;
  count: number;
  readonly epoch: number;
  readonly view: number;
  readonly head: number;
  readonly final: number;
  /** Its newest final block. */
  readonly block: BlockId;
  /** What its presences at that block name, one set each. */
  readonly holds: readonly ReadonlySet<string>[];
  /** Syncs from this peer at this claimed height that brought nothing, and when to ask it again. */
  failures: number;
  retryAt: number;
  heardAt: number;
}

/** Where a peer stands in a recovery that is not ours, or on the regular chain while we look from inside a recovery. */
export interface PeerElsewhere {
  readonly life: number;
  readonly count: number;
  readonly opening: Cid | null;
  readonly final: number;
  readonly heardAt: number;
}

/** The set that we would propose on the head; executed ahead by every member. */
export interface Plan {
  readonly parent: BlockId;
  readonly view: number;
  readonly announcements: readonly Announcement[];
  readonly execution: Execution;
}

export interface Dormancy {
  /** The newest final block of the recovery; the fork while there is none. */
  adoptable: BlockRecord;
  /** Whether we voted to finalize something in the recovery that is not final yet. */
  isCalm: boolean;
  readonly opening: Opening;
  /** Since when a regular quorum is there. */
  quorumSince: number | undefined;
}
