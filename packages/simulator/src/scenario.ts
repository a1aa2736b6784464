/** What one simulated run is: a seed, sizes, a network and a plan of faults. All of it is data, so it can be printed. */
import type { PeerId } from '@murmuration/base';

export type Fault =
  /** The peer's process is down between two times (ms); `untilMs` absent: for ever. It restarts from its disk. */
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
  /** Messages, blobs and ledgers do not cross between `side` and the others. */
  | {
      readonly kind: 'partition';
      readonly side: readonly number[];
      readonly fromMs: number;
      readonly untilMs: number;
    };

export interface Scenario {
  readonly seed: string;
  readonly members: number;
  /** Peers that join as guests with an invitation, and when. */
  readonly guests: readonly { readonly atMs: number }[];
  readonly quorum: 'crash' | 'byzantine';
  readonly rounds: number;
  readonly snapshotEvery: number;
  /** Bounds of a message's way, ms. */
  readonly latencyMs: readonly [number, number];
  /** What is added on the way to or from a peer with a slow link, ms, by its index. */
  readonly slowMs: Readonly<Record<number, number>>;
  /** Probability that a gossip message is lost on one way, and that it arrives twice. */
  readonly loss: number;
  readonly duplication: number;
  /** Bounds of the time that a round's training takes, ms. */
  readonly trainMs: readonly [number, number];
  /** Bounds of the time that an execution takes, ms. */
  readonly executeMs: readonly [number, number];
  readonly faults: readonly Fault[];
  /** Virtual time after which the run must have ended. */
  readonly limitMs: number;
}

export const calm: Scenario = {
  seed: 'calm',
  members: 4,
  guests: [],
  quorum: 'crash',
  rounds: 6,
  snapshotEvery: 64,
  latencyMs: [5, 30],
  slowMs: {},
  loss: 0,
  duplication: 0,
  trainMs: [300, 600],
  executeMs: [20, 60],
  faults: [],
  limitMs: 600_000,
};

export interface PeerOutcome {
  readonly peer: PeerId;
  readonly height: number;
  readonly stateRoot: string;
  readonly phase: string;
  readonly effects: number;
  readonly published: number;
}

export interface Outcome {
  readonly scenario: Scenario;
  /** What was broken, in words; empty when every property held. */
  readonly problems: readonly string[];
  readonly peers: readonly PeerOutcome[];
  readonly elapsedMs: number;
  readonly skippedViews: number;
  /** How often each kind of effect was performed, over all peers. */
  readonly performed: Readonly<Record<string, number>>;
  /** Roster at the end, at the peer that is furthest. */
  readonly members: number;
  /** Virtual time at which each height was first final at any peer. */
  readonly finalAtMs: readonly number[];
}
