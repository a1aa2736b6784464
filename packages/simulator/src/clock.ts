/** A peer's own clock: it has another zero than anybody else's, runs too fast or slow, and is sometimes set. */
import type { Traits } from './scenario.ts';
import type { World } from './world.ts';

export interface Clock {
  /** The peer's time now, ms. */
  readonly now: number;
  /** Virtual time until the clock shows `at`, if nobody sets it meanwhile. */
  until(at: number): number;
  /** Virtual times at which the clock is set. */
  readonly jumpsMs: readonly number[];
}

/** Peers start their clocks so far apart. */
const zeroMs = 1_000_003;

export function createClock(world: World, index: number, traits: Traits): Clock {
  const rate = 1 + (traits.driftPpm ?? 0) / 1_000_000;
  const jumps = traits.jumps ?? [];
  const local = (): number => {
    let set = 0;
    for (const { atMs, byMs } of jumps) if (atMs <= world.now) set += byMs;
    return index * zeroMs + world.now * rate + set;
  };
  return {
    get now() {
      return local();
    },
    until: (at) => Math.max(0, (at - local()) / rate),
    jumpsMs: jumps.map(({ atMs }) => atMs),
  };
}
