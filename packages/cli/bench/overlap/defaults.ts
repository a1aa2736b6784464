import { minute } from '@murmuration/base';

/** Certified rounds of one case: some minutes where a round takes one to two seconds. */
export const rounds = 100;
/** The link of each peer: what each frame suffers on its way, and what the line carries. */
export const link = { delayMs: 100, bitsPerSecond: 20_000_000 } as const;
/**
 * A bound that peers do not meet: ten to fifteen steps fit into the time of a certification over such a link, and a delta
 * that misses its round, or a round that a late peer holds up, takes a few times as long.
 */
export const overlapSteps = 100;
/** Without one more certified round for this long the benchmark gives up. */
export const stallTimeoutMs: number = 2 * minute;
