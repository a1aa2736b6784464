import type { RunConfig } from '@murmuration/base';

/**
 * The rate of a round's inner steps: a line up to the peak over `warmupRounds`, then half a cosine down to
 * `floor` × peak at the run's last round. It feeds local work only, so its last bit may differ between machines.
 */
export function learningRateAt(run: Pick<RunConfig, 'inner' | 'rounds'>, round: number): number {
  const { learningRate, floor, warmupRounds } = run.inner;
  if (round < warmupRounds) return (learningRate * (round + 1)) / (warmupRounds + 1);
  const length = Math.max(1, run.rounds - warmupRounds);
  const progress = Math.min(1, (round - warmupRounds) / length);
  return learningRate * (floor + (1 - floor) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}
