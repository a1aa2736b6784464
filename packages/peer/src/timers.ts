/** The replica's timers, on a clock that never steps back. */

/** Milliseconds on that clock. */
export const now = (): number => Math.floor(performance.timeOrigin + performance.now());

export class Timers {
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #onDue: (name: string) => void;

  constructor(onDue: (name: string) => void) {
    this.#onDue = onDue;
  }

  /** Sets, moves or clears the timer of a name. */
  set(name: string, at: number | undefined): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
    if (at === undefined) return;
    const fire = (): void => {
      this.#timers.delete(name);
      this.#onDue(name);
    };
    this.#timers.set(name, setTimeout(fire, Math.max(0, at - now())));
  }

  clear(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
