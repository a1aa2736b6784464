import type { RunConfig } from '@murmuration/base';

type Schedule = RunConfig['inner']['schedule'];

/** The share of the peak at a round after the warm-up. */
function shareAt(schedule: Schedule, round: number, warmupRounds: number, rounds: number): number {
  const progress = (start: number): number =>
    Math.max(0, Math.min(1, (round - start) / Math.max(1, rounds - start)));
  switch (schedule.kind) {
    case 'constant':
      return 1;
    case 'cosine':
      return schedule.floor + (1 - schedule.floor) * 0.5 * (1 + Math.cos(Math.PI * progress(warmupRounds)));
    case 'wsd':
      return 1 - (1 - schedule.floor) * progress(rounds - schedule.decayRounds);
    default:
      return schedule satisfies never;
  }
}

/**
 * The rate of a round's inner steps: a line up to the peak over `warmupRounds`, then what the run's schedule says:
 * the peak, half a cosine down to the floor at the run's last round, or the peak and a line down over the last
 * `decayRounds`. It feeds local work only, so its last bit may differ between machines.
 */
export function learningRateAt(run: Pick<RunConfig, 'inner' | 'rounds'>, round: number): number {
  const { learningRate, schedule, warmupRounds } = run.inner;
  if (round < warmupRounds) return (learningRate * (round + 1)) / (warmupRounds + 1);
  return learningRate * shareAt(schedule, round, warmupRounds, run.rounds);
}
