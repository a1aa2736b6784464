import { minute, second } from '@murmuration/base';

/** A model of some ten thousand parameters: the question is about agreement, and eight engines share two cores. */
export const model = { vocabulary: 260, context: 32, width: 32, layers: 1, heads: 2 } as const;

export const training = {
  steps: 2,
  overlapSteps: 2,
  batch: 2,
  snapshotEvery: 8,
  /** A few times what a busy machine needs for a round. */
  graceMs: 2 * second,
  viewTimeoutMs: 4 * second,
} as const;

export const peers = 8;
export const rounds = 100;
export const secondsBetweenKills = 20;
/** The share of the peers that is killed at once. */
export const killedShare = 1 / 3;
/** Half of the killed start again at once, the others after at most this long. */
export const absenceMaxMs: number = 6 * second;
/** No kill in the last rounds: whoever has reached the end serves the others only so long. */
export const calmRounds = 4;
/** Without one more certified round for this long the run is given up. */
export const stallSeconds = 300;

/** The network between namespaces: what each frame suffers on its way, and what a third of the links carries. */
export const link = { delayMs: 100, loss: 0.05, slowBitsPerSecond: 1_000_000 } as const;
export const namespaces = {
  /** A round over such links takes some seconds. */
  graceMs: 5 * second,
  viewTimeoutMs: 10 * second,
  roundsBefore: 8,
  partitionMs: 2 * minute,
  roundsAfter: 8,
} as const;
