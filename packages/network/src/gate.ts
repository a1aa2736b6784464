import { NetworkError } from './errors.ts';

interface Turn {
  running: number;
  readonly waiting: Set<() => void>;
}

/** Turns per key: at most `turnsMax` run, the others wait in order. Who waits is bounded by the callers. */
export class Gate {
  readonly #turnsMax: number;
  readonly #turns = new Map<string, Turn>();

  constructor(turnsMax: number) {
    this.#turnsMax = turnsMax;
  }

  /** Resolves with the function that ends the turn. `NetworkError` `aborted` when the signal is. */
  async enter(key: string, signal: AbortSignal): Promise<() => void> {
    const turn = this.#turns.get(key) ?? { running: 0, waiting: new Set() };
    this.#turns.set(key, turn);
    if (turn.running < this.#turnsMax) turn.running++;
    else await waitFor(turn, signal);
    return () => this.#leave(key, turn);
  }

  #leave(key: string, turn: Turn): void {
    const [next] = turn.waiting;
    if (next) next();
    else if (--turn.running === 0) this.#turns.delete(key);
  }
}

function waitFor(turn: Turn, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const begin = (): void => {
      turn.waiting.delete(begin);
      signal.removeEventListener('abort', onAbort);
      resolve();
    };
    const onAbort = (): void => {
      turn.waiting.delete(begin);
      reject(new NetworkError('aborted by the caller', { code: 'aborted' }));
    };
    turn.waiting.add(begin);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
