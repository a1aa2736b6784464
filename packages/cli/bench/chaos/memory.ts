/** Resident memory of peers and engines as they report it, by the run's rounds. */
import type { PeerStatus } from '@murmuration/peer';

export interface MemoryAt {
  readonly round: number;
  /** The largest of all peers since the mark before, in MB. */
  readonly peerMB: number;
  readonly engineMB: number;
}

const megabytes = (bytes: number): number => Math.round(bytes / 2 ** 20);

export class Memory {
  readonly #every: number;
  readonly #marks = new Map<number, { peer: number; engine: number }>();

  constructor(every: number) {
    this.#every = every;
  }

  note({ round, memory }: Pick<PeerStatus, 'round' | 'memory'>): void {
    const mark = Math.ceil(Math.max(1, round) / this.#every) * this.#every;
    const { peer, engine } = this.#marks.get(mark) ?? { peer: 0, engine: 0 };
    this.#marks.set(mark, {
      peer: Math.max(peer, memory.peer),
      engine: Math.max(engine, memory.engine),
    });
  }

  table(): MemoryAt[] {
    return [...this.#marks]
      .sort(([a], [b]) => a - b)
      .map(([round, { peer, engine }]) => ({
        round,
        peerMB: megabytes(peer),
        engineMB: megabytes(engine),
      }));
  }
}
