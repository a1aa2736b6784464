/**
 * Who misbehaved, and what each peer may still take from us. A few broken messages are forgiven, then the peer is
 * refused for a while; a byte budget that refills with time slows down whoever asks too much.
 */
import type { NetworkLimits } from './defaults.ts';
import { offencesMax, offendersMax, refusalMs } from './defaults.ts';

interface Offences {
  offences: number;
  lastMs: number;
  refusedUntilMs: number;
}

interface Budget {
  bytes: number;
  atMs: number;
}

/** The standing of all peers; one per node, shared by its protocols. */
export class Conduct {
  readonly #records = new Map<string, Offences>();
  readonly #budgets = new Map<string, Budget>();
  readonly #limits: NetworkLimits;
  readonly #now: () => number;
  readonly #onRefuse: (peer: string) => void;

  constructor(limits: NetworkLimits, onRefuse: (peer: string) => void, now: () => number) {
    this.#limits = limits;
    this.#onRefuse = onRefuse;
    this.#now = now;
  }

  /** Notes a message that no honest peer sends. Offences older than the refusal time are forgotten. */
  offend(peer: string): void {
    const now = this.#now();
    const known = this.#records.get(peer);
    const record =
      known && now - known.lastMs < refusalMs ? known : { offences: 0, lastMs: now, refusedUntilMs: 0 };
    record.offences++;
    record.lastMs = now;
    this.#records.delete(peer);
    this.#records.set(peer, record);
    evictOldest(this.#records);
    if (record.offences < offencesMax || record.refusedUntilMs > now) return;
    record.refusedUntilMs = now + refusalMs;
    this.#onRefuse(peer);
  }

  isRefused(peer: string): boolean {
    return (this.#records.get(peer)?.refusedUntilMs ?? 0) > this.#now();
  }

  /** Takes bytes from a peer's budget; returns how long to wait before sending them, in ms. */
  spend(peer: string, bytes: number): number {
    const perSecond = this.#limits.servedBytesPerSecond;
    const now = this.#now();
    const budget = this.#budgets.get(peer) ?? { bytes: perSecond, atMs: now };
    budget.bytes = Math.min(perSecond, budget.bytes + ((now - budget.atMs) / 1_000) * perSecond) - bytes;
    budget.atMs = now;
    this.#budgets.delete(peer);
    this.#budgets.set(peer, budget);
    evictOldest(this.#budgets);
    return budget.bytes >= 0 ? 0 : (-budget.bytes / perSecond) * 1_000;
  }
}

function evictOldest(map: Map<string, unknown>): void {
  if (map.size <= offendersMax) return;
  const oldest = map.keys().next();
  if (!oldest.done) map.delete(oldest.value);
}
