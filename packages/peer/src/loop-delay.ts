import { monitorEventLoopDelay } from 'node:perf_hooks';

/** The histogram samples at this interval and counts it in; it is taken off again. */
const resolutionMs = 10;

export interface LoopDelay {
  /** 99th percentile of the event-loop delay since the last reset, ms. */
  p99Ms(): number;
  reset(): void;
  stop(): void;
}

/** Measures how late timers of this process fire: what other peers feel when they wait for an answer. */
export function measureLoopDelay(): LoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  return {
    p99Ms: () => (histogram.count === 0 ? 0 : Math.max(0, histogram.percentile(99) / 1e6 - resolutionMs)),
    reset: () => histogram.reset(),
    stop: () => histogram.disable(),
  };
}
