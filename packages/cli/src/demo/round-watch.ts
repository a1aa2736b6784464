/** The newest certified round of a run, as its peers report it, and who waits for which. */
export class RoundWatch {
  #round = 0;
  #changedMs = performance.now();
  #waiters: { round: number; resolve: () => void }[] = [];

  get round(): number {
    return this.#round;
  }

  /** Milliseconds since the last new round, or since `begin`. */
  get quietMs(): number {
    return performance.now() - this.#changedMs;
  }

  /** The run starts now. */
  begin(): void {
    this.#changedMs = performance.now();
  }

  /** A peer reports a round; older ones change nothing. */
  note(round: number): void {
    if (round <= this.#round) return;
    this.#round = round;
    this.#changedMs = performance.now();
    const due = this.#waiters.filter((waiter) => waiter.round <= round);
    this.#waiters = this.#waiters.filter((waiter) => waiter.round > round);
    for (const { resolve } of due) resolve();
  }

  reach(round: number): Promise<void> {
    if (this.#round >= round) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ round, resolve }));
  }
}
