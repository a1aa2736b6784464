/**
 * The blobs that the replica wants. Each wish is one task: look into the store, else pull from peers again and again
 * until somebody serves it, the wish is cancelled, or the time is over. A delta is then judged by the engine before
 * it is stored, so that nothing invalid is ever served on.
 *
 * Wishes have priorities. What members announced and blocks need goes first and finds places that nobody else may take;
 * strangers, who cost nothing to invent, get few places for a short time, and one only while something more urgent is
 * under way. So a flood of blobs that are served slowly, or not at all, delays other strangers and no round.
 */
import type { Cid } from '@murmuration/base';
import type { Engine } from '@murmuration/engine';
import type { Network } from '@murmuration/network';
import type { Effect, FetchPriority, ReplicaEvent } from '@murmuration/protocol';
import type { Store } from '@murmuration/store';
import { busyStrangersMax, fetchesMax, fetchesWaitingMax, fetchGiveUpMs, fetchPlaces } from './defaults.ts';
import { fetchUntilServed } from './fetch-until-served.ts';

export type Fetch = Extract<Effect, { kind: 'fetch' }>;
type BlobEvent = Extract<ReplicaEvent, { kind: 'blob' }>;

interface BlobFetcherComponents {
  readonly store: Pick<Store, 'getBlob' | 'putBlob'>;
  readonly network: Pick<Network, 'fetchBlob'>;
  readonly engine: Pick<Engine, 'validate'>;
  onBlob(event: BlobEvent): void;
  /** The store or the engine failed: not the peer's fault. */
  onFailure(error: unknown): void;
}

/** One fetch under way. */
interface Wish {
  priority: FetchPriority;
  readonly cancelled: AbortController;
  readonly late: AbortController;
  timer: NodeJS.Timeout | undefined;
}

const priorities: readonly FetchPriority[] = ['first', 'guest', 'stranger'];
const isBefore = (a: FetchPriority, b: FetchPriority): boolean =>
  priorities.indexOf(a) < priorities.indexOf(b);

export class BlobFetcher {
  readonly #components: BlobFetcherComponents;
  readonly #wishes = new Map<Cid, Wish>();
  readonly #waiting: Readonly<Record<FetchPriority, Map<Cid, Fetch>>> = {
    first: new Map(),
    guest: new Map(),
    stranger: new Map(),
  };

  constructor(components: BlobFetcherComponents) {
    this.#components = components;
  }

  /** Begins a fetch as soon as there is a place; a wish that is there already may gain priority. */
  want(fetch: Fetch): void {
    const { blob, priority } = fetch;
    const wish = this.#wishes.get(blob);
    if (wish) {
      if (isBefore(priority, wish.priority)) this.#grant(wish, priority);
      return;
    }
    const queue = priorities.find((each) => this.#waiting[each].has(blob));
    if (queue && !isBefore(priority, queue)) return;
    if (queue) this.#waiting[queue].delete(blob);
    this.#waiting[priority].set(blob, fetch);
    this.#begin();
    this.#dropSurplus();
  }

  /** The wish is forgotten at once, so that a new one for the same blob is not taken for the one that is ending. */
  cancel(blob: Cid): void {
    this.#end(blob, this.#wishes.get(blob));
    for (const priority of priorities) this.#waiting[priority].delete(blob);
    this.#begin();
  }

  stop(): void {
    for (const priority of priorities) this.#waiting[priority].clear();
    for (const [blob, wish] of this.#wishes) this.#end(blob, wish);
  }

  #end(blob: Cid, wish: Wish | undefined): void {
    wish?.cancelled.abort();
    clearTimeout(wish?.timer);
    if (this.#wishes.get(blob) === wish) this.#wishes.delete(blob);
  }

  /** Starts whatever has a place now, the most urgent first. */
  #begin(): void {
    for (const priority of priorities)
      for (const [blob, fetch] of this.#waiting[priority]) {
        if (!this.#hasPlace(priority)) break;
        this.#waiting[priority].delete(blob);
        this.#start(fetch);
      }
  }

  #hasPlace(priority: FetchPriority): boolean {
    const running = [...this.#wishes.values()];
    const countOf = (of: FetchPriority): number => running.filter((wish) => wish.priority === of).length;
    const isBusy = countOf('first') > 0;
    const places = priority === 'stranger' && isBusy ? busyStrangersMax : fetchPlaces[priority];
    return running.length < fetchesMax && countOf(priority) < places;
  }

  #start(fetch: Fetch): void {
    const { blob } = fetch;
    const wish: Wish = {
      priority: fetch.priority,
      cancelled: new AbortController(),
      late: new AbortController(),
      timer: undefined,
    };
    this.#wishes.set(blob, wish);
    this.#grant(wish, fetch.priority);
    const isWanted = (): boolean => !wish.cancelled.signal.aborted;
    this.#fulfil(fetch, wish)
      .then((event) => event && isWanted() && this.#components.onBlob(event))
      .catch((error: unknown) => isWanted() && this.#components.onFailure(error))
      .finally(() => {
        this.#end(blob, wish);
        this.#begin();
      });
  }

  /** The time of this priority, from now. */
  #grant(wish: Wish, priority: FetchPriority): void {
    wish.priority = priority;
    clearTimeout(wish.timer);
    wish.timer = setTimeout(() => wish.late.abort(), fetchGiveUpMs[priority]);
  }

  /** Of too many that wait, the least urgent one that has waited longest goes; the replica may ask again. */
  #dropSurplus(): void {
    const waiting = priorities.reduce((sum, priority) => sum + this.#waiting[priority].size, 0);
    if (waiting <= fetchesWaitingMax) return;
    const least = priorities.findLast((priority) => this.#waiting[priority].size > 0) ?? 'stranger';
    const [blob] = this.#waiting[least].keys();
    if (blob === undefined) return;
    this.#waiting[least].delete(blob);
    this.#components.onBlob({ kind: 'blob', blob, outcome: 'unavailable' });
  }

  async #fulfil(fetch: Fetch, wish: Wish): Promise<BlobEvent | undefined> {
    const { store, engine } = this.#components;
    const stored = await store.getBlob(fetch.blob);
    const bytes = stored ?? (await this.#pull(fetch, wish));
    if (!bytes) return { kind: 'blob', blob: fetch.blob, outcome: 'unavailable' };
    if (bytes.length !== fetch.bytes) return { kind: 'blob', blob: fetch.blob, outcome: 'invalid' };
    if (fetch.purpose === 'delta' && fetch.input) {
      const judged = await engine.validate(bytes, fetch.input);
      if (!judged.valid) return { kind: 'blob', blob: fetch.blob, outcome: 'invalid' };
    }
    if (!stored) await store.putBlob(fetch.blob, bytes);
    return {
      kind: 'blob',
      blob: fetch.blob,
      outcome: 'held',
      ...(fetch.purpose === 'contributions' ? { bytes } : {}),
    };
  }

  async #pull(fetch: Fetch, { late, cancelled }: Wish): Promise<Uint8Array | undefined> {
    const signal = AbortSignal.any([late.signal, cancelled.signal]);
    try {
      return await fetchUntilServed(this.#components.network, fetch.blob, {
        bytesMax: fetch.bytes,
        from: fetch.from,
        signal,
      });
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
  }
}
