/**
 * Who exists inside a replica. One `Machine` per replica holds everything that changes; the modules are functions over
 * it, each the owner of one part:
 *
 *   chain       which blocks are known, applied, final (follow.ts, settle.ts)
 *   pool        contributions of all authors, and which blobs are held (pool.ts, blobs.ts)
 *   views       votes, certificates and proposals of this epoch's undecided views (votes.ts, agree.ts)
 *   round       whether the current height may be closed (readiness.ts)
 *   own         what this peer has signed and may not contradict (sign.ts)
 *   peers       where the others stand (presence.ts, sync.ts)
 *
 * An event changes one part (receive.ts, replica.ts); then `settleDown` lets every module take the steps that have
 * become possible, until nothing moves. Effects gather in `out` and leave in the order: persist, serve, publish, rest.
 */
import type { Cid, PeerId } from '@murmuration/base';
import { type Announcement, type BlockRecord, genesisRecord, type Rules } from './block-record.ts';
import type { Certificate } from './certificate.ts';
import type { BlockId, Contribution, Effect, Execution, ReplicaComponents, ReplicaInit } from './index.ts';
import type { Proposal } from './statement.ts';

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
  attempts: number;
  retryAt: number;
}

export interface CountedVote {
  readonly block: BlockId | undefined;
  readonly signature: Uint8Array;
}

export interface ViewSlot {
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
  readonly epoch: number;
  readonly view: number;
  readonly head: number;
  readonly final: number;
  readonly holds: ReadonlySet<string>;
  /** Syncs from this peer at this claimed height that brought nothing, and when to ask it again. */
  failures: number;
  retryAt: number;
}

/** The set that we would propose on the head; executed ahead by every member. */
export interface Plan {
  readonly parent: BlockId;
  readonly view: number;
  readonly announcements: readonly Announcement[];
  readonly execution: Execution;
}

export interface Machine {
  readonly init: ReplicaInit;
  readonly components: ReplicaComponents;
  readonly rules: Rules;
  now: number;
  started: boolean;
  startedAt: number;
  diverged: boolean;

  readonly out: {
    readonly persist: Effect[];
    readonly serve: Effect[];
    readonly statements: Uint8Array[];
    readonly rest: Effect[];
    readonly forget: Effect[];
  };
  readonly timers: Map<string, number>;

  readonly genesis: BlockRecord;
  readonly records: Map<BlockId, BlockRecord>;
  /** Newest block that is final, applied and stored. */
  settled: BlockRecord;
  /** Final blocks after `settled`, in order. */
  decided: BlockRecord[];
  /** Blocks after `settled` that the engine has applied, in order. */
  applied: BlockRecord[];
  /** The engine is behind `settled` and waits for a snapshot of this block. */
  installing:
    | {
        readonly block: BlockId;
        readonly height: number;
        askedAt: number;
        readonly own: { readonly blob: Cid; readonly clip: number } | undefined;
      }
    | undefined;
  readonly executions: Map<string, ExecutionStatus>;
  requests: number;

  readonly pool: Map<Cid, PoolEntry>;
  /** By blob, author, base and norm (deltas) or by blob and length (lists). */
  readonly blobs: Map<string, BlobStatus>;
  readonly lists: Map<Cid, readonly Announcement[]>;
  /** Keys of deltas that are not what their announcement says. */
  readonly invalidDeltas: Set<string>;
  readonly invitations: Map<
    PeerId,
    { readonly bytes: Uint8Array; readonly statement: Uint8Array; readonly expires: number }
  >;

  /** Views up to this one are decided. */
  floor: number;
  view: number;
  readonly views: Map<number, ViewSlot>;
  /** Finalize certificate of a block that we do not know yet. */
  pendingFinality: Certificate | undefined;
  readonly lastVote: Map<PeerId, number>;
  /** Everybody counts as active at this view: we have just arrived in the epoch. */
  activeSince: number;
  readonly deferred: Uint8Array[];
  /** Notarizations found at the start, until the views are open. */
  readonly restored: Certificate[];
  /** Nobody was heard for so long after the start that we go on alone. */
  heard: boolean;

  /** The head for which the round below runs. */
  roundOf: BlockId | undefined;
  roundStartedAt: number;
  twoThirdsAt: number | undefined;
  readyAt: number | undefined;
  /** We were ready because finality was behind, not because of contributions. */
  readyUrgently: boolean;
  viewDeadline: number | undefined;
  plan: Plan | undefined;

  readonly own: {
    /** By `<epoch>/<view>/<choice>`. */
    readonly votes: Map<string, Uint8Array>;
    /** By `<epoch>/<view>`. */
    readonly proposals: Map<string, { readonly bytes: Uint8Array; readonly list: Uint8Array }>;
    readonly contributions: Map<number, OwnContribution>;
    sequence: number;
    last: Contribution | undefined;
    invitation: Uint8Array | undefined;
  };

  readonly peers: Map<PeerId, PeerStanding>;
  readonly connected: Set<PeerId>;
  readonly verified: Set<string>;
  /** Holdings in the last presence that we published. */
  published: string;
  rebroadcastDelay: number;
  /** What counts as progress for the re-broadcast. */
  progressMark: string;
  assistedAt: number;
  syncing: { readonly askedAt: number; readonly from: readonly PeerId[] } | undefined;
  behindSince: number | undefined;
  ended: boolean;
}

export function createMachine(init: ReplicaInit, components: ReplicaComponents, rules: Rules): Machine {
  const genesis = genesisRecord(rules);
  return {
    init,
    components,
    rules,
    now: 0,
    started: false,
    startedAt: 0,
    diverged: false,
    out: { persist: [], serve: [], statements: [], rest: [], forget: [] },
    timers: new Map(),
    genesis,
    records: new Map([[genesis.block.id, genesis]]),
    settled: genesis,
    decided: [],
    applied: [],
    installing: undefined,
    executions: new Map(),
    requests: 0,
    pool: new Map(),
    blobs: new Map(),
    lists: new Map(),
    invalidDeltas: new Set(),
    invitations: new Map(),
    floor: -1,
    view: 0,
    views: new Map(),
    pendingFinality: undefined,
    lastVote: new Map(),
    activeSince: 0,
    deferred: [],
    restored: [],
    heard: false,
    roundOf: undefined,
    roundStartedAt: 0,
    twoThirdsAt: undefined,
    readyAt: undefined,
    readyUrgently: false,
    viewDeadline: undefined,
    plan: undefined,
    own: {
      votes: new Map(),
      proposals: new Map(),
      contributions: new Map(),
      sequence: 0,
      last: undefined,
      invitation: undefined,
    },
    peers: new Map(),
    connected: new Set(),
    verified: new Set(),
    published: '',
    rebroadcastDelay: 0,
    progressMark: '',
    assistedAt: Number.NEGATIVE_INFINITY,
    syncing: undefined,
    behindSince: undefined,
    ended: false,
  };
}

/** The newest block known to be final, applied or not. Its state rules the epoch. */
export const tipOf = (machine: Machine): BlockRecord => machine.decided.at(-1) ?? machine.settled;

/** The newest block that the engine stands at. */
export const headOf = (machine: Machine): BlockRecord => machine.applied.at(-1) ?? machine.settled;

export const rosterOf = (machine: Machine): readonly PeerId[] => tipOf(machine).state.roster;
export const epochOf = (machine: Machine): number => tipOf(machine).state.epoch;

/** Whether this peer votes in the current epoch. */
export const isMember = (machine: Machine): boolean =>
  machine.init.role !== 'observer' && rosterOf(machine).includes(machine.init.self);

/** Whether this peer may sign votes and proposals now. */
export const mayVote = (machine: Machine): boolean =>
  machine.started && !machine.diverged && isMember(machine);

/** Sets, moves or clears a timer. */
export function setTimer(machine: Machine, name: string, at: number | undefined): void {
  if (machine.timers.get(name) === at) return;
  if (at === undefined) machine.timers.delete(name);
  else machine.timers.set(name, at);
  machine.out.rest.push({ kind: 'timer', name, at });
}

/** Adds to a bounded map or set; the oldest entry goes. */
export function keepAtMost(collection: Map<unknown, unknown> | Set<unknown>, max: number): void {
  for (const key of collection.keys()) {
    if (collection.size <= max) return;
    collection.delete(key);
  }
}

export const report = (machine: Machine, value: Extract<Effect, { kind: 'report' }>['report']): void => {
  machine.out.rest.push({ kind: 'report', report: value });
};
