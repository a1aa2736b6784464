import type { TimeUse } from './index.ts';

/** What an engine's time goes into; what is left of it, it waits. */
export type Activity = 'training' | 'evaluation' | 'calls';

/** Counts what the time since the first piece of training went into. */
export class TimeCount {
  readonly #now: () => number;
  readonly #spentMs: Record<Activity, number> = { training: 0, evaluation: 0, calls: 0 };
  #firstMs: number | undefined;
  #current: { readonly activity: Activity; readonly sinceMs: number } | undefined;

  /** `now`: milliseconds that never go back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** From here on this activity has the time, until `end` or another one begins. */
  begin(activity: Activity): void {
    this.end();
    const sinceMs = this.#now();
    if (activity === 'training') this.#firstMs ??= sinceMs;
    if (this.#firstMs !== undefined) this.#current = { activity, sinceMs };
  }

  end(): void {
    if (this.#current) this.#spentMs[this.#current.activity] += this.#now() - this.#current.sinceMs;
    this.#current = undefined;
  }

  /** Up to now, what is under way included. */
  read(): TimeUse {
    const nowMs = this.#now();
    const seconds = (activity: Activity): number => {
      const running = this.#current?.activity === activity ? nowMs - this.#current.sinceMs : 0;
      return (this.#spentMs[activity] + running) / 1_000;
    };
    return {
      wallSeconds: (nowMs - (this.#firstMs ?? nowMs)) / 1_000,
      trainingSeconds: seconds('training'),
      evaluationSeconds: seconds('evaluation'),
      callsSeconds: seconds('calls'),
    };
  }
}
