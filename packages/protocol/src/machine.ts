/**
 * Who exists inside a replica. One `Machine` per replica holds everything that changes; the modules are functions over
 * it, each the owner of one part:
 *
 *   chain       which blocks are known, applied, final (follow.ts, settle.ts)
 *   pool        contributions of all authors, and which blobs are held (pool.ts, blobs.ts)
 *   budget      what others may cost us until the next final block (budget.ts, lottery.ts)
 *   views       votes, certificates and proposals of this epoch's undecided views (views.ts, agree.ts)
 *   round       whether the current height may be closed (readiness.ts)
 *   own         what this peer has signed and may not contradict (sign.ts)
 *   peers       where the others stand (standing.ts, sync.ts)
 *
 * An event changes one part (receive.ts, replica.ts); then `settleDown` lets every module take the steps that have
 * become possible, until nothing moves. Effects gather in `out` and leave in the order: persist, serve, publish, rest.
 */
import { assert, type Cid, type PeerId } from '@murmuration/base';
import { type Announcement, type BlockRecord, genesisRecord, type Rules } from './block-record.ts';
import { type Budget, createBudget } from './budget.ts';
import type { Certificate } from './certificate.ts';
import type { Change } from './change.ts';
import { CountedMap } from './counted-map.ts';
import type { Deferred } from './deferred.ts';
import type { Evidence } from './evidence.ts';
import type {
  BlockId,
  Contribution,
  DurableRecord,
  Effect,
  ReplicaComponents,
  ReplicaInit,
} from './index.ts';
import { memberOf, memberPeers } from './ledger-state.ts';
import type { PeerClass } from './lottery.ts';
import type {
  BlobStatus,
  Dormancy,
  ExecutionStatus,
  OwnContribution,
  PeerElsewhere,
  PeerStanding,
  Plan,
  PoolEntry,
  ViewSlot,
} from './machine-parts.ts';
import type { Opening } from './opening.ts';
import type { RekeyRequest } from './request.ts';
import type { EpochId } from './vote.ts';

export interface Machine {
  readonly init: ReplicaInit;
  readonly components: ReplicaComponents;
  readonly rules: Rules;
  now: number;
  started: boolean;
  startedAt: number;
  /** Our θ is not what a certificate says; no vote and no contribution until that is mended. */
  diverged: boolean;
  divergedAt: number | undefined;
  /** The engine needs the state of a final block, newer or older than what it stands at. */
  repairing: boolean;
  /** Two final blocks of one height were seen: nothing goes on here. */
  conflicted: boolean;

  readonly out: {
    readonly persist: Effect[];
    readonly serve: Effect[];
    readonly statements: Uint8Array[];
    /** What goes in a message of its own: a message is passed on whole where one statement in it is new. */
    readonly repeated: Uint8Array[];
    readonly rest: Effect[];
    readonly forget: Effect[];
  };
  readonly timers: Map<string, number>;

  /** The opening whose recovery this machine is of; absent for the regular one. */
  readonly provisional: Opening | undefined;
  /** While a recovery has the engine: what the regular machine knows of it. */
  dormant: Dormancy | undefined;
  /** In a recovery: whether something new may be voted for, and whether anything may. */
  halted: 'no' | 'new' | 'all';
  /** Openings at the newest final block, by name, and where peers stand in their recoveries. */
  readonly openings: Map<Cid, Opening>;
  /** What the driver was given of founders: it waits until the engine has come to its block. */
  given: Opening | undefined;
  readonly elsewhere: Map<PeerId, PeerElsewhere>;
  /** When a block became final last, in the recovery if there is one. */
  progressAt: number;
  /** Recoveries that this peer has left: it votes in them no more. */
  readonly leftOpenings: Set<Cid>;
  /** Blocks to come must be applied one by one: the local parameters hold what some of them say. */
  replays: boolean;
  /** The newest block of a recovery in entries that others sent. */
  bridge: BlockRecord | undefined;
  /** How survivors find to an opening: since when the epoch is stalled, when we signed last, who did not sign. */
  readonly gathering: { stalledAt: number | undefined; signedAt: number; readonly deaf: Set<PeerId> };

  /** The block that the chain begins with: of the run, or the fork. */
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
        readonly tensors: Cid;
        askedAt: number;
        readonly own: { readonly blob: Cid; readonly clip: number } | undefined;
      }
    | undefined;
  /** The last two settled blocks of snapshot heights, oldest first. */
  readonly snapshots: BlockRecord[];
  /** Bytes of states whose download has begun. */
  readonly atHand: Map<Cid, number>;
  /** Up to this height blocks were reported as certified. */
  reported: number;
  readonly executions: Map<string, ExecutionStatus>;
  requests: number;

  readonly pool: CountedMap<Cid, PoolEntry>;
  /** By blob, author, base and norm (deltas) or by blob and length (lists). */
  readonly blobs: CountedMap<string, BlobStatus>;
  readonly lists: Map<Cid, readonly Announcement[]>;
  /** Keys of deltas that are not what their announcement says. */
  readonly invalidDeltas: Set<string>;
  /** Signed changes of the roster that wait for a block, by kind and peer. */
  readonly changes: CountedMap<string, { readonly change: Change; readonly statement: Uint8Array }>;

  /** Views up to this one are decided. */
  floor: number;
  view: number;
  readonly views: Map<number, ViewSlot>;
  /** Slots of the last decided views, by opening and view: what is contradicted late is noticed all the same. */
  readonly decidedViews: Map<string, ViewSlot>;
  /** At most one piece against each peer. */
  readonly evidence: Map<PeerId, Evidence>;
  /** Renewals that the ledger took, by the new key: evidence by such a key needs them. */
  readonly rekeys: Map<PeerId, RekeyRequest>;
  /** Something was signed by our vote key that we do not remember. */
  forgotten: boolean;
  /** Finalize certificate of a block that we do not know yet. */
  pendingFinality: Certificate | undefined;
  readonly lastVote: Map<PeerId, number>;
  /** When something new came last that a member has signed. */
  readonly spokeAt: Map<PeerId, number>;
  /** Everybody counts as active at this view: we have just arrived in the epoch. */
  activeSince: number;
  /** Statements of the next epoch, by their hash. */
  readonly deferred: Map<string, Deferred>;
  /** Notarizations found at the start, until the views are open. */
  readonly restored: Certificate[];
  /** Own votes and proposals found at the start, of epochs that the chain has not come to. */
  later: DurableRecord[];
  /** Nobody was heard for so long after the start that we go on alone. */
  heard: boolean;
  /**
   * Votes may be signed from then on; a peer that has started again listens first. Undefined: it hears no voter yet.
   */
  signsFrom: number | undefined;
  /** When the last connection to another voter ended. */
  apartSince: number;
  /** When this peer was a voter last. */
  votedAt: number;

  /** The head for which the round below runs. */
  roundOf: BlockId | undefined;
  roundStartedAt: number;
  twoThirdsAt: number | undefined;
  /** When two thirds had arrived, for this height and those before it. */
  readonly twoThirdsOf: Map<number, number>;
  /**
   * How long after two thirds of the members each one's last delta came, ms; infinite: the last round closed without
   * it.
   */
  readonly lateness: Map<PeerId, number>;
  /** The last two rounds that closed here: when, and who voted then. */
  readonly closings: { readonly at: number; readonly voters: ReadonlySet<PeerId> }[];
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
    leaving: boolean;
    /** It asked to leave and did: it trains no more, or it would earn its place again. */
    gone: boolean;
  };

  readonly peers: CountedMap<PeerId, PeerStanding>;
  readonly connected: Set<PeerId>;
  /** Who has just connected, and when: it may have forgotten what it signed. */
  readonly returning: Map<PeerId, number>;
  readonly verified: Set<string>;
  readonly budget: Budget;
  /** Of our newest presence; the two machines of a replica speak with one voice. */
  readonly voice: { life: number; count: number };
  /** When we said last where we stand, at which newest final block, and what we have said to hold since. */
  published: { of: BlockId | undefined; at: number; readonly holdings: Set<string> };
  rebroadcastDelay: number;
  /** Re-broadcasts since the last progress. */
  repeats: number;
  /** What counts as progress for the re-broadcast. */
  progressMark: string;
  /** When peers of a class were answered last. */
  readonly assistedAt: Map<PeerClass, number>;
  syncing:
    | {
        readonly askedAt: number;
        readonly from: readonly PeerId[];
        /** A member or several peers claim that there is more. */
        readonly isLikely: boolean;
      }
    | undefined;
  behindSince: number | undefined;
  ended: boolean;
}

/** What holds of every machine before anything has happened. */
const untouched = {
  now: 0,
  started: false,
  startedAt: 0,
  diverged: false,
  divergedAt: undefined,
  repairing: false,
  conflicted: false,
  dormant: undefined,
  halted: 'no',
  given: undefined,
  progressAt: 0,
  replays: false,
  bridge: undefined,
  installing: undefined,
  reported: 0,
  requests: 0,
  floor: -1,
  view: 0,
  forgotten: false,
  pendingFinality: undefined,
  activeSince: 0,
  heard: false,
  signsFrom: Number.NEGATIVE_INFINITY,
  apartSince: Number.NEGATIVE_INFINITY,
  votedAt: Number.NEGATIVE_INFINITY,
  roundOf: undefined,
  roundStartedAt: 0,
  twoThirdsAt: undefined,
  readyAt: undefined,
  readyUrgently: false,
  viewDeadline: undefined,
  plan: undefined,
  rebroadcastDelay: 0,
  repeats: 0,
  progressMark: '',
  syncing: undefined,
  behindSince: undefined,
  ended: false,
} as const;

type Given = 'init' | 'components' | 'rules' | 'provisional' | 'genesis' | 'records' | 'settled' | 'voice';

/** What a machine gathers, while there is nothing of it. */
const createCollections = (): Omit<Machine, Given | keyof typeof untouched> => ({
  out: { persist: [], serve: [], statements: [], repeated: [], rest: [], forget: [] },
  timers: new Map(),
  openings: new Map(),
  elsewhere: new Map(),
  leftOpenings: new Set(),
  gathering: { stalledAt: undefined, signedAt: Number.NEGATIVE_INFINITY, deaf: new Set() },
  decided: [],
  applied: [],
  snapshots: [],
  atHand: new Map(),
  executions: new Map(),
  pool: new CountedMap(),
  blobs: new CountedMap(),
  lists: new Map(),
  invalidDeltas: new Set(),
  changes: new CountedMap(),
  views: new Map(),
  decidedViews: new Map(),
  evidence: new Map(),
  rekeys: new Map(),
  lastVote: new Map(),
  spokeAt: new Map(),
  deferred: new Map(),
  restored: [],
  later: [],
  twoThirdsOf: new Map(),
  lateness: new Map(),
  closings: [],
  own: {
    votes: new Map(),
    proposals: new Map(),
    contributions: new Map(),
    sequence: 0,
    last: undefined,
    invitation: undefined,
    leaving: false,
    gone: false,
  },
  peers: new CountedMap(),
  connected: new Set(),
  returning: new Map(),
  verified: new Set(),
  budget: createBudget(),
  published: { of: undefined, at: Number.NEGATIVE_INFINITY, holdings: new Set() },
  assistedAt: new Map(),
});

/** A machine at genesis, or (of a recovery) at the fork that its opening made, with the voice of the regular one. */
export function createMachine(
  init: ReplicaInit,
  components: ReplicaComponents,
  rules: Rules,
  fork?: BlockRecord,
  voice: Machine['voice'] = { life: 0, count: 0 },
): Machine {
  const genesis = fork ?? genesisRecord(rules);
  return {
    init,
    components,
    rules,
    provisional: fork?.opening,
    genesis,
    records: new Map([[genesis.block.id, genesis]]),
    settled: genesis,
    voice,
    ...untouched,
    ...createCollections(),
  };
}

/** The newest block known to be final, applied or not. Its state rules the epoch. */
export const tipOf = (machine: Machine): BlockRecord => machine.decided.at(-1) ?? machine.settled;

/** The newest block that the engine stands at. */
export const headOf = (machine: Machine): BlockRecord => machine.applied.at(-1) ?? machine.settled;

export const votersOf = (machine: Machine): readonly PeerId[] => tipOf(machine).state.voters;
export const membersOf = (machine: Machine): readonly PeerId[] => memberPeers(tipOf(machine).state);
export const epochOf = (machine: Machine): number => tipOf(machine).next.epoch;
export const epochIdOf = (machine: Machine): EpochId => tipOf(machine).next;

/** Whether this peer belongs to the current roster. */
export const isMember = (machine: Machine): boolean =>
  machine.init.role !== 'observer' && memberOf(tipOf(machine).state, machine.init.self) !== undefined;

/** The name of the opening whose recovery this machine is of. */
export const openingOf = ({ provisional, genesis }: Machine): Cid | null =>
  provisional ? genesis.next.opened : null;

/** Whether this peer takes no block any more: it saw two histories, or diverged again after it was mended. */
export const isStopped = (machine: Machine): boolean =>
  machine.conflicted || (machine.diverged && !machine.repairing);

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
  assert(collection.size <= max, 'G6: a collection stays within its maximum');
}

export const report = (machine: Machine, value: Extract<Effect, { kind: 'report' }>['report']): void => {
  machine.out.rest.push({ kind: 'report', report: value });
};
