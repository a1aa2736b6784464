/**
 * What one simulated run is: a seed, sizes, a network and a plan of faults. All of it is data, so it can be printed.
 */
import type { RunConfigInput } from '@murmuration/base';
import type { Lie } from './lies.ts';

/** Bounds of a uniform draw, or a log-normal one: most near the median, a few far above it. Milliseconds. */
export type Distribution =
  | readonly [low: number, high: number]
  | { readonly medianMs: number; readonly sigma: number };

/** What sets one peer apart from the others. */
export interface Traits {
  /** Added on the way to and from this peer, ms. */
  readonly slowMs?: number;
  /** Probability that a message to or from this peer is lost, beside the network's. */
  readonly loss?: number;
  /** Its training and executions take so many times as long. */
  readonly trainFactor?: number;
  readonly executeFactor?: number;
  /** Blobs leave it one after the other at this rate; absent: at once. */
  readonly uplinkBytesPerSecond?: number;
  /** Its clock runs so many millionths too fast. */
  readonly driftPpm?: number;
  /** Its clock is set forward or back. */
  readonly jumps?: readonly { readonly atMs: number; readonly byMs: number }[];
}

/** Times are virtual milliseconds since the beginning, peers are indices: founders first, then guests. */
export type Fault =
  /** The peer's process is down between two times; `untilMs` absent: for ever. It restarts from its disk. */
  | { readonly kind: 'away'; readonly peer: number; readonly fromMs: number; readonly untilMs?: number }
  /**
   * The peer is killed right after performing its effect number `effect` (from 1) and restarts after `downMs`; then
   * it is cut off for another `aloneMs` (default 0), so that it has only what it kept.
   */
  | {
      readonly kind: 'crash';
      readonly peer: number;
      readonly effect: number;
      readonly downMs: number;
      readonly aloneMs?: number;
    }
  /** The peers are killed again and again: each after so many effects of each of its lives, `times` in all. */
  | {
      readonly kind: 'crashes';
      readonly peers: readonly number[];
      readonly everyEffects: readonly [low: number, high: number];
      readonly times: number;
      readonly down: Distribution;
    }
  /** Messages, blobs and ledgers do not cross between `side` and the others; one way: nothing leaves `side`. */
  | {
      readonly kind: 'partition';
      readonly side: readonly number[];
      readonly fromMs: number;
      readonly untilMs?: number;
      readonly oneWay?: boolean;
    }
  /** The process stands still (a closed lid) and then finds everything that came meanwhile. */
  | { readonly kind: 'pause'; readonly peer: number; readonly fromMs: number; readonly untilMs: number }
  /**
   * As soon as these founders stand at one final block, they sign that it is gone on from by the members in `listed`,
   * and the first of them tells the others.
   */
  | {
      readonly kind: 'reopening';
      readonly atMs: number;
      readonly founders: readonly number[];
      readonly listed: readonly number[];
    }
  /** A bit of θ in the engine turns over. */
  | { readonly kind: 'bit-flip'; readonly peer: number; readonly atMs: number }
  /**
   * The peer is down between two times; meanwhile its disk is set back to what it was at `copyMs`. Its driver makes a
   * new vote key at once, unless it is `unnoticed`: then the replica must find out.
   */
  | {
      readonly kind: 'restore';
      readonly peer: number;
      readonly copyMs: number;
      readonly fromMs: number;
      readonly untilMs: number;
      readonly unnoticed?: boolean;
    };

/** With every certified round some peers go. Members come back after a while, guests are replaced by new ones. */
export interface Churn {
  readonly who: 'guests' | 'members';
  /** Share of those who are there, per round, in (0, 1]. */
  readonly share: number;
  /** How long a member is away. */
  readonly awayMs?: Distribution;
  /** It asks to be a member no more and goes when it is none; it comes back as a guest. */
  readonly retires?: boolean;
}

/** A peer that lies, and how. */
export interface LiarPlan {
  readonly peer: number;
  readonly lies: readonly Lie[];
}

export interface Scenario {
  readonly seed: string;
  readonly members: number;
  /**
   * Peers that join as guests, and when: with an invitation unless `uninvited`, from a pinned `checkpoint` or genesis.
   */
  readonly guests: readonly {
    readonly atMs: number;
    readonly uninvited?: boolean;
    readonly checkpoint?: boolean;
  }[];
  readonly quorum: 'crash' | 'byzantine';
  readonly rounds: number;
  readonly snapshotEvery: number;
  /** Values in θ. */
  readonly parameters: number;
  /** Everybody to everybody, or a mesh of so many neighbours that forwards what it accepts. */
  readonly gossip: 'full' | { readonly degree: number };
  /** A message's way from one peer to the next. */
  readonly latency: Distribution;
  /**
   * Probability that a gossip message is lost on one way, that it arrives twice, that it is overtaken by later ones.
   */
  readonly loss: number;
  readonly duplication: number;
  readonly reordering: number;
  /** Time that a round's training takes, and that an execution takes. */
  readonly training: Distribution;
  readonly execution: Distribution;
  readonly traits: Readonly<Record<number, Traits>>;
  readonly faults: readonly Fault[];
  readonly liars: readonly LiarPlan[];
  readonly churn: readonly Churn[];
  /** Settings of the run that differ from the simulator's. */
  readonly settings: Partial<RunConfigInput>;
  /** Peers of which the run's end is not expected, beside those who lie or are gone for ever. */
  readonly excused: readonly number[];
  /** Virtual time after which the run must have ended. */
  readonly limitMs: number;
}

/** Four peers in a quiet network: the scenario that the others differ from. */
export const calm: Scenario = {
  seed: 'calm',
  members: 4,
  guests: [],
  quorum: 'crash',
  rounds: 6,
  snapshotEvery: 64,
  parameters: 64,
  gossip: 'full',
  latency: [5, 30],
  loss: 0,
  duplication: 0,
  reordering: 0,
  training: [300, 600],
  execution: [20, 60],
  traits: {},
  faults: [],
  liars: [],
  churn: [],
  settings: {},
  excused: [],
  limitMs: 600_000,
};
