/**
 * The blobs that the replica wants. Each wish is one task: look into the store, else pull from peers again and again
 * until somebody serves it, the wish is cancelled, or the time is over. A delta is then judged by the engine before
 * it is stored, so that nothing invalid is ever served on.
 */
import type { Cid } from '@murmuration/base';
import type { Engine } from '@murmuration/engine';
import type { Network } from '@murmuration/network';
import type { Effect, ReplicaEvent } from '@murmuration/protocol';
import type { Store } from '@murmuration/store';
import { fetchesMax, fetchGiveUpMs } from './defaults.ts';
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

export class BlobFetcher {
  readonly #components: BlobFetcherComponents;
  readonly #wishes = new Map<Cid, AbortController>();
  readonly #waiting: Fetch[] = [];

  constructor(components: BlobFetcherComponents) {
    this.#components = components;
  }

  want(fetch: Fetch): void {
    if (this.#wishes.has(fetch.blob) || this.#waiting.some(({ blob }) => blob === fetch.blob)) return;
    if (this.#wishes.size >= fetchesMax) {
      this.#waiting.push(fetch);
      if (this.#waiting.length > fetchesMax * fetchesMax) {
        const dropped = this.#waiting.shift() as Fetch;
        this.#components.onBlob({ kind: 'blob', blob: dropped.blob, outcome: 'unavailable' });
      }
      return;
    }
    const controller = new AbortController();
    this.#wishes.set(fetch.blob, controller);
    this.#fulfil(fetch, controller.signal)
      .then((event) => event && !controller.signal.aborted && this.#components.onBlob(event))
      .catch((error: unknown) => !controller.signal.aborted && this.#components.onFailure(error))
      .finally(() => {
        if (this.#wishes.get(fetch.blob) === controller) this.#wishes.delete(fetch.blob);
        const next = this.#waiting.shift();
        if (next) this.want(next);
      });
  }

  /** The wish is forgotten at once, so that a new one for the same blob is not taken for the one that is ending. */
  cancel(blob: Cid): void {
    this.#wishes.get(blob)?.abort();
    this.#wishes.delete(blob);
    const index = this.#waiting.findIndex((fetch) => fetch.blob === blob);
    if (index >= 0) this.#waiting.splice(index, 1);
  }

  stop(): void {
    this.#waiting.length = 0;
    for (const controller of this.#wishes.values()) controller.abort();
  }

  async #fulfil(fetch: Fetch, signal: AbortSignal): Promise<BlobEvent | undefined> {
    const { store, engine } = this.#components;
    const stored = await store.getBlob(fetch.blob);
    const bytes = stored ?? (await this.#pull(fetch, signal));
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

  async #pull(fetch: Fetch, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const late = AbortSignal.timeout(fetchGiveUpMs);
    try {
      return await fetchUntilServed(this.#components.network, fetch.blob, {
        bytesMax: fetch.bytes,
        from: fetch.from,
        signal: AbortSignal.any([late, signal]),
      });
    } catch (error) {
      if (late.aborted || signal.aborted) return undefined;
      throw error;
    }
  }
}
