/**
 * The replica: one peer's view of a run, as a pure machine. `handle(event, now)` returns effects; time, randomness,
 * hashing and signing come in; sends, timers, fetches, state changes go out as values. It moves digests and
 * decisions, never tensors. PROTOCOL.md is the normative text.
 *
 * The driver performs the effects of one call in order, and each before the next: a `persist` is durable before the
 * `publish` that follows it. `execute`, `fetch` and `sync` are answered later by events.
 */
import type { Cid, PeerId, RunConfig } from '@murmuration/base';
import type { Report } from './report.ts';

export {
  type Audit,
  type AuditComponents,
  type AuditedBlock,
  type AuditedOpening,
  type AuditInit,
  type AuditStep,
  createAudit,
  type LedgerFault,
} from './audit.ts';
export type { ChangeKind } from './change.ts';
export { shareProofBytesMax } from './defaults.ts';
export { ProtocolError } from './errors.ts';
export { genesisBlockId } from './header.ts';
export {
  checkInvitation,
  createInvitation,
  type Invitation,
  type InvitationTerms,
  type InvitedRole,
  parseInvitation,
  signInvitation,
} from './invitation.ts';
export { baseOf, type Checkpoint, type CheckpointInit, firstEntryOf, openCheckpoint } from './ledger-base.ts';
export {
  createOpening,
  encodeOpening,
  foundersNeeded,
  type Opening,
  type OpeningAuthority,
  type OpeningTerms,
  openingName,
  parseOpening,
  signaturesMissing,
  signOpening,
} from './opening.ts';
export { type LedgerRound, readLedgerEntry } from './read-entry.ts';
export { provisionalEntries } from './recovery-records.ts';
export { createReplica } from './replica.ts';
export type { Report } from './report.ts';
export { checkShareProof, type Share, shareProofVersion } from './share-proof.ts';
export { createShareProver, type ShareProver } from './share-prover.ts';

/** CID (dag-cbor) of a block header. */
export type BlockId = Cid;
export type Role = 'member' | 'guest' | 'observer';
export type Verdict = 'accept' | 'ignore' | 'reject';

/** What a peer announces of its delta. Signed by its author; the delta itself is a blob. */
export interface Contribution {
  /** CID of the signed announcement: the order of aggregation. */
  readonly cid: Cid;
  readonly author: PeerId;
  /** The block whose state the delta starts from, and its height. */
  readonly base: BlockId;
  readonly baseHeight: number;
  /** Rises by one with each contribution of this author. */
  readonly sequence: number;
  readonly blob: Cid;
  readonly blobBytes: number;
  /** Euclidean norm of the decoded delta: √ of the float64 sum of squares in index order; checked against the blob. */
  readonly norm: number;
  readonly tokens: number;
  readonly steps: number;
  /** Mean training loss over the steps, nats per token; for display only. */
  readonly loss: number;
}

/** What the author's engine knows about a delta that it has just encoded; the replica adds the rest. */
export type ContributionDraft = Pick<
  Contribution,
  'base' | 'baseHeight' | 'blob' | 'blobBytes' | 'norm' | 'tokens' | 'steps' | 'loss'
>;

/** One delta of a block, with what the block's clip and weight rules make of it. */
export interface AggregationInput {
  readonly contribution: Cid;
  readonly author: PeerId;
  readonly blob: Cid;
  readonly blobBytes: number;
  /** The header inside the blob must name this base block. */
  readonly base: BlockId;
  /** Norm that the blob must decode to. */
  readonly norm: number;
  /** Factor in (0, 1] by which the decoded delta is scaled: min(1, τ / norm). */
  readonly clip: number;
  /** Weight in the mean, > 0. */
  readonly weight: number;
}

/**
 * How θ of a block follows from θ of its parent. `inputs` are sorted by contribution CID; none means θ is unchanged.
 */
export interface Execution {
  readonly parent: BlockId;
  readonly height: number;
  readonly inputs: readonly AggregationInput[];
  readonly kappa: number;
  readonly outerStep: number;
}

export interface Block {
  readonly id: BlockId;
  readonly height: number;
  readonly epoch: number;
  readonly view: number;
  readonly parent: BlockId;
  readonly proposer: PeerId;
  readonly contributions: readonly Contribution[];
  /** Name of θ's bytes after this block (little-endian float32). */
  readonly tensors: Cid;
  /** Hash over `tensors` and the ledger state (members, epoch, norms, tokens): what peers compare. */
  readonly stateRoot: Uint8Array;
  readonly execution: Execution;
}

/**
 * A block as the ledger keeps and hands it out: header, contribution list, certificates; opaque bytes outside this
 * package.
 */
export interface LedgerEntry {
  readonly height: number;
  readonly bytes: Uint8Array;
}

export type ReplicaEvent =
  /**
   * First event after creation. `records` are all that were persisted and not forgotten; `ledger` all settled entries
   * from height 1; `applied` is what the engine's parameters stand at (absent: genesis), `undoable` the blocks that the
   * engine can take back, oldest first (the newest is `applied`). Throws `ProtocolError` when they do not fit.
   */
  | {
      readonly kind: 'start';
      readonly records: readonly DurableRecord[];
      readonly ledger: readonly LedgerEntry[];
      readonly applied: { readonly block: BlockId; readonly height: number } | undefined;
      readonly undoable?: readonly { readonly block: BlockId; readonly height: number }[];
      /** States whose download has begun, with the bytes that are here. */
      readonly atHand?: readonly { readonly tensors: Cid; readonly bytes: number }[];
    }
  | { readonly kind: 'message'; readonly from: PeerId; readonly bytes: Uint8Array }
  | { readonly kind: 'timer'; readonly name: string }
  /** Own delta is encoded and durable. */
  | { readonly kind: 'contributed'; readonly draft: ContributionDraft }
  /** A blob that was asked for is held and (a delta) decodes to the announced norm; or cannot be had, or is invalid. */
  | {
      readonly kind: 'blob';
      readonly blob: Cid;
      readonly outcome: 'held' | 'unavailable' | 'invalid';
      readonly bytes?: Uint8Array;
    }
  | { readonly kind: 'executed'; readonly request: number; readonly tensors: Cid | undefined }
  /** Ledger entries that a `sync` brought, from one peer. */
  | {
      readonly kind: 'synced';
      readonly from: PeerId;
      readonly entries: readonly LedgerEntry[];
      /** As in the `sync` that this answers. */
      readonly opening?: Cid;
    }
  /** The engine stands at the fork again, as a `rewind` asked. */
  | { readonly kind: 'rewound'; readonly block: BlockId }
  /** The operator brings an opening that founders signed. */
  | { readonly kind: 'opening'; readonly opening: Uint8Array }
  /**
   * The engine stands at this final block's state, downloaded and checked against `tensors`. `ledger` are the stored
   * entries after it: with a state older than the newest settled block the replica goes on by them.
   */
  | {
      readonly kind: 'installed';
      readonly block: BlockId;
      readonly height: number;
      readonly ledger?: readonly LedgerEntry[];
    }
  /** An `apply` failed, since a delta is lost; it and what follows it changed nothing. The replica takes a snapshot. */
  | { readonly kind: 'unapplied'; readonly block: BlockId; readonly height: number }
  | { readonly kind: 'connected'; readonly peer: PeerId }
  | { readonly kind: 'disconnected'; readonly peer: PeerId }
  /** The operator asks to be admitted. */
  | { readonly kind: 'invited'; readonly invitation: Uint8Array }
  /** The operator asks to be a member no more. */
  | { readonly kind: 'leave' };

/** One durable fact of the replica. A later record with the same key replaces the earlier one. */
export interface DurableRecord {
  readonly key: string;
  readonly height: number;
  readonly bytes: Uint8Array;
}

/**
 * What goes first where the driver must choose: what members announced and what blocks need, then deltas of guests that
 * the ledger knows, then those of strangers. These should neither hold places for long nor many at once.
 */
export type FetchPriority = 'first' | 'guest' | 'stranger';

export type Effect =
  /** For a `message` event: exactly one, first. */
  | { readonly kind: 'verdict'; readonly verdict: Verdict; readonly reason: string }
  | { readonly kind: 'persist'; readonly record: DurableRecord }
  /**
   * Records of a lower height are no longer needed: those whose keys begin with `prefix`, or (absent) not with
   * `recovery/`.
   */
  | { readonly kind: 'forget'; readonly below: number; readonly prefix?: 'recovery/' }
  | { readonly kind: 'publish'; readonly bytes: Uint8Array }
  /** Replaces an earlier timer of this name; `undefined` cancels it. `at` in ms of the same clock as `now`. */
  | { readonly kind: 'timer'; readonly name: string; readonly at: number | undefined }
  /**
   * Get a blob: answered by a `blob` event. For purpose `delta` the driver also has the engine validate it. Asked again
   * for a blob that is on its way when its priority rises.
   */
  | {
      readonly kind: 'fetch';
      readonly blob: Cid;
      readonly bytes: number;
      readonly from: readonly PeerId[];
      readonly purpose: 'contributions' | 'delta';
      readonly priority: FetchPriority;
      readonly input?: Pick<AggregationInput, 'author' | 'base' | 'norm'>;
    }
  | { readonly kind: 'cancel-fetch'; readonly blob: Cid }
  /** Keep these bytes as a blob that others may pull. */
  | { readonly kind: 'serve'; readonly blob: Cid; readonly bytes: Uint8Array }
  /** Compute the name of θ after this execution, without changing θ: answered by `executed` with the same `request`. */
  | { readonly kind: 'execute'; readonly request: number; readonly execution: Execution }
  /**
   * Make the engine's parameters those of `block` (its parent's until now). `own` is our contribution among its inputs.
   */
  | {
      readonly kind: 'apply';
      readonly block: Block;
      readonly own: Cid | undefined;
      /** What the block says is in the local parameters, which a `rewind` left as they were: they stay. */
      readonly carried?: boolean;
    }
  /** Take the newest applied block back. */
  | { readonly kind: 'undo'; readonly block: BlockId; readonly height: number }
  /**
   * The block is final: store the entry; what was kept to undo it can go. Every height is settled once per life, in
   * order (again after a restart, with the same entry, when the engine's checkpoint was older). `applied` is false when
   * the engine never stood at the block, because an `install` skips it: then only the entry is to be stored.
   */
  | {
      readonly kind: 'settle';
      readonly block: Block;
      readonly entry: LedgerEntry;
      readonly applied: boolean;
      /** At a snapshot height: the ledger state after the block, to be kept for those who begin there. */
      readonly state?: Uint8Array;
    }
  /** The own pending contribution will never enter a block; its work is still in the local parameters. */
  | { readonly kind: 'expire'; readonly contribution: Cid; readonly blob: Cid }
  /** Fetch ledger entries from `fromHeight` on, from one of these peers (best first): answered by `synced`. */
  | {
      readonly kind: 'sync';
      readonly fromHeight: number;
      readonly from: readonly PeerId[];
      /** The recovery whose entries are asked for: others find them in their records by `provisionalEntries`. */
      readonly opening?: Cid;
    }
  /** A recovery begins: keep θ of this block, at which the engine stands, until the next `fork`. */
  | { readonly kind: 'fork'; readonly block: BlockId; readonly height: number; readonly tensors: Cid }
  /** A block is final in a recovery: what was kept to undo it can go. Its entry is a record, not of the ledger. */
  | { readonly kind: 'provision'; readonly block: Block; readonly applied: boolean }
  /**
   * A recovery is given up: make θ again what `fork` kept, answered by `rewound`. Of the local parameters only the work
   * since the recovery's newest final block stays; with `carry` all of it, so that the next deltas bring it back.
   */
  | {
      readonly kind: 'rewind';
      readonly block: BlockId;
      readonly height: number;
      readonly tensors: Cid;
      readonly carry: boolean;
    }
  /**
   * Fetch the state of this final block (its `tensors` blob) instead of replaying to it: answered by `installed`. Its
   * height is divisible by `run.snapshotEvery`; after a divergence it may be below the newest settled one. Asked again,
   * perhaps for a newer block, when it takes long. `own` is our newest contribution that the blocks in between took:
   * the engine must not count it again.
   */
  | {
      readonly kind: 'install';
      readonly block: BlockId;
      readonly height: number;
      readonly tensors: Cid;
      readonly from: readonly PeerId[];
      readonly own: { readonly blob: Cid; readonly clip: number } | undefined;
    }
  | { readonly kind: 'report'; readonly report: Report };

export interface ReplicaView {
  readonly role: Role;
  readonly epoch: number;
  readonly view: number;
  /** The epoch of the blocks after the newest final one of the regular chain: what an opening there names. */
  readonly opens: { readonly epoch: number; readonly opened: BlockId };
  /** Renewals of vote keys that wait for a block: an opening by founders carries them. */
  readonly rekeys: readonly Uint8Array[];
  /** Members of the epoch, in the order of their admission, and those of them that vote in it. */
  readonly members: readonly PeerId[];
  readonly voters: readonly PeerId[];
  /** Newest block that is applied (notarized or final). */
  readonly head: { readonly block: BlockId; readonly height: number };
  /** The newest final block of the regular chain and its state root. */
  readonly final: { readonly block: BlockId; readonly height: number; readonly stateRoot: Uint8Array };
  /** True when a new delta from `head` may be encoded: none pending, run not over, not diverged, caught up. */
  readonly mayContribute: boolean;
  readonly pending: Contribution | undefined;
  readonly phase: 'starting' | 'syncing' | 'running' | 'diverged' | 'conflict' | 'ended';
  /** Tokens in final blocks, by all and by author. */
  readonly tokens: number;
  /** The recovery that has the engine: where it began, who votes in it, and its newest final block. */
  readonly recovery:
    | {
        readonly opening: Cid;
        readonly height: number;
        readonly listed: readonly PeerId[];
        readonly final: { readonly block: BlockId; readonly height: number };
      }
    | undefined;
}

export interface ReplicaInit {
  readonly run: RunConfig;
  readonly runId: Cid;
  readonly self: PeerId;
  readonly role: Role;
  /** The wall clock at the start, ms since 1970: it orders the lives of a peer whose records were put back. */
  readonly wallMs: number;
  /** Where the ledger begins that does not begin at genesis: what `openCheckpoint` gave. Then `ledger` follows it. */
  readonly base?: Uint8Array;
}

/** An Ed25519 key pair; the public key in the form of a peer id. */
export interface VoteKey {
  readonly key: PeerId;
  sign(bytes: Uint8Array): Uint8Array;
}

export interface ReplicaComponents {
  hash(bytes: Uint8Array): Uint8Array;
  /** Ed25519 by the peer's own key. */
  sign(bytes: Uint8Array): Uint8Array;
  /**
   * Signs votes and proposals; by default the peer's own key. A peer that cannot be sure that its records are the
   * newest (a restored backup, or the report `forgotten`) comes with a new one in a new replica, and votes again once
   * the ledger knows it; in small epochs at once.
   */
  readonly voteKey?: VoteKey;
  verify(signer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean;
}

export interface Replica {
  handle(event: ReplicaEvent, now: number): Effect[];
  readonly view: ReplicaView;
}
