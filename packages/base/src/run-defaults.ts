import { minute, second } from './units.ts';

/** What a founder gets without choosing. */
export const runDefaults = {
  quorum: 'crash',
  rounds: 10_000,
  /** Small: local steps from random weights drift apart when there are many. */
  steps: 5,
  overlapSteps: 5,
  batch: 8,
  inner: {
    optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.95, epsilon: 1e-8 },
    learningRate: 2e-3,
    weightDecay: 0.1,
    clipNorm: 1,
    schedule: { kind: 'cosine', floor: 0.1 },
    accumulate: 1,
    /** Warm-up: a tenth of the rounds, at most so many. */
    warmupShare: 0.1,
    warmupRoundsMax: 10,
  },
  /** 64 values of 4,096 on one bit: 234 times smaller than float32. */
  k: 64,
  /** A quarter of that: what a slow peer leaves out goes on in its error feedback. */
  kMin: 16,
  bits: 1,
  /** Mean over the senders of a coordinate. */
  kappa: 0,
  outerStep: 1,
  /** β of SparseLoCo. */
  feedback: 0.95,
  snapshotEvery: 64,
  graceMs: 10 * second,
  viewTimeoutMs: 20 * second,
  durationMaxMs: 1 * minute,
  /** Guests together weigh at most this share of the members' weight. */
  guestShare: 0.25,
  contributionsMax: 256,
  lateHeights: 4,
  /**
   * Of `crash` runs; in `byzantine` ones nobody is admitted or retired without a signature. 256 rounds are a minute
   * where they take a quarter of a second, and hours where they take a minute: who is there for so long is likely to
   * stay.
   */
  membership: { votersMax: 64, earnedAfter: 256, silentAfter: 64, stallMs: 10 * minute },
} as const;
