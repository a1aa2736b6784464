/** What came of a simulated run. */
import type { PeerId } from '@murmuration/base';
import type { Scenario } from './scenario.ts';
import type { Happening } from './trace.ts';
import type { KindTraffic, PeerTraffic, TrafficMark } from './traffic.ts';

export interface PeerOutcome extends Readonly<PeerTraffic> {
  readonly peer: PeerId;
  readonly index: number;
  readonly isHonest: boolean;
  readonly height: number;
  readonly stateRoot: string;
  readonly phase: string;
  readonly effects: number;
  readonly published: number;
}

export interface Outcome {
  readonly scenario: Scenario;
  /** What was broken, in words, each beginning with its guarantee; empty when every property held. */
  readonly problems: readonly string[];
  /** Indices of the peers that an honest ledger convicts; how many of them are honest. */
  readonly convicted: readonly number[];
  /** Of them, those that the ledger of every honest peer convicts which is at the run's end. */
  readonly convictedByAll: readonly number[];
  readonly falseConvictions: number;
  /** Liars that contradicted themselves before the eyes of an honest peer. */
  readonly convictionsDue: number;
  readonly peers: readonly PeerOutcome[];
  readonly elapsedMs: number;
  readonly skippedViews: number;
  /** The most that any honest peer had: effects of one event, fetches, durable records, signature checks in 10 s. */
  readonly most: Readonly<Record<'effects' | 'fetches' | 'records' | 'checks', number>>;
  /** How often each kind of effect was performed, and of report made (`report <kind>`), over all peers. */
  readonly performed: Readonly<Record<string, number>>;
  /** Roster at the end, at the peer that is furthest. */
  readonly members: number;
  /** Virtual time at which each height was first final at any peer. */
  readonly finalAtMs: readonly number[];
  /** Per height: from the last contribution held by a quorum to the block settled by a quorum, ms. */
  readonly commitMs: readonly number[];
  /** Tokens that honest peers trained, and those of them in certified rounds. */
  readonly tokensTrained: number;
  readonly tokensCertified: number;
  /** Honest contributions to a final block that came too late: their work stayed in the local parameters. */
  readonly expired: number;
  /** Pieces of work that honest peers announced, and those lost or there twice where PROTOCOL.md §10 allows it. */
  readonly pieces: number;
  readonly disputed: number;
  /** Mean squared distance of θ to the mean of the founders' targets, before the first round and at the end. */
  readonly distance: readonly [before: number, after: number];
  /** Statements that all peers together sent, by kind; each copy that gossip makes counts. */
  readonly sent: Readonly<Record<string, Readonly<KindTraffic>>>;
  /** The same at the moment when each height became final anywhere, with all messages and bytes. */
  readonly sentUntil: readonly TrafficMark[];
  /** What happened, when it was asked for. */
  readonly happenings: readonly Happening[];
}

/** The value below which a share of the values lies; 0 for none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
