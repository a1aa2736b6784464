/**
 * How many values of each chunk a delta says: as many as the run allows and our uplink carries. A round's delta goes up
 * the line a few times, and has been when half of the inner steps of the next round are done: what takes longer makes
 * others wait. A peer that sends fewer values loses no work: what it does not say stays in its residual.
 */
import type { RunConfig } from '@murmuration/base';
import { deltaBytesMax } from '@murmuration/delta';
import type { Uplink } from '@murmuration/network';
import { densityRise, shortRoundMs, uplinkShare } from './defaults.ts';

/** What a peer knows of its rounds. */
export interface RoundPace {
  /** Absent: nothing changes. */
  readonly bytesPerSecond: number | undefined;
  /** Times that a delta goes up our line. */
  readonly copies: number;
  /** The inner steps of one round; absent: nothing changes. */
  readonly trainingMs: number | undefined;
}

/**
 * The k of the next delta: the largest one within the run's bounds that goes up the line in time, the smallest one
 * when none does. It falls at once; it rises by half or more, or to the run's largest, so that it does not follow
 * every gust of the measurement.
 */
export function chooseK(
  run: Pick<RunConfig, 'delta' | 'initial'>,
  current: number,
  { bytesPerSecond, copies, trainingMs }: RoundPace,
): number {
  if (bytesPerSecond === undefined || trainingMs === undefined) return current;
  const { k: kMax, kMin, bits } = run.delta;
  const seconds = (uplinkShare * Math.max(trainingMs, shortRoundMs)) / 1_000;
  const bytesMax = (bytesPerSecond * seconds) / copies;
  let [fits, tooMany] = [kMin, kMax + 1];
  while (tooMany - fits > 1) {
    const k = Math.floor((fits + tooMany) / 2);
    if (deltaBytesMax(run.initial.parameters, { k, bits }) <= bytesMax) fits = k;
    else tooMany = k;
  }
  const rises = fits === kMax || fits >= densityRise * current;
  return fits < current || rises ? fits : current;
}

/** Follows a peer's rounds and its uplink. */
export class Density {
  readonly #run: Pick<RunConfig, 'delta' | 'initial'>;
  #k: number;
  #deltaBytes = 0;
  #servedBytes = 0;

  constructor(run: Pick<RunConfig, 'delta' | 'initial'>) {
    this.#run = run;
    this.#k = run.delta.k;
  }

  /** The k of the delta that is due. `peers` are connected: each pulls at most once what we have made. */
  next({ bytesPerSecond, servedBytes }: Uplink, peers: number, trainingMs: number | undefined): number {
    const pulled = this.#deltaBytes > 0 ? (servedBytes - this.#servedBytes) / this.#deltaBytes : peers;
    const copies = Math.max(1, Math.min(peers, pulled));
    this.#servedBytes = servedBytes;
    this.#k = chooseK(this.#run, this.#k, { bytesPerSecond, copies, trainingMs });
    return this.#k;
  }

  /** A delta was made. */
  note(deltaBytes: number): void {
    this.#deltaBytes = deltaBytes;
  }
}
