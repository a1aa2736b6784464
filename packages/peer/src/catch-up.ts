/** What a peer that is behind pulls from others: ledger entries, and the state of a snapshot height. */
import { assert } from '@murmuration/base';
import type { Engine } from '@murmuration/engine';
import type { Network } from '@murmuration/network';
import type { Effect, ReplicaEvent } from '@murmuration/protocol';
import type { Store } from '@murmuration/store';
import { syncEntriesMax } from './defaults.ts';
import { fetchUntilServed } from './fetch-until-served.ts';

type Sync = Extract<Effect, { kind: 'sync' }>;
type Install = Extract<Effect, { kind: 'install' }>;

interface CatchUpComponents {
  readonly network: Pick<Network, 'fetchEntries' | 'fetchBlob'>;
  readonly store: Pick<Store, 'getBlob' | 'putBlob' | 'blobPath'>;
  readonly engine: Pick<Engine, 'install'>;
  readonly signal: AbortSignal;
  post(event: ReplicaEvent): void;
}

export class CatchUp {
  readonly #components: CatchUpComponents;
  #syncing: AbortController | undefined;

  constructor(components: CatchUpComponents) {
    this.#components = components;
  }

  /** Asks the peers in turn until one has entries. A later sync, which knows more, ends the one before it. */
  async sync({ fromHeight, from }: Sync): Promise<void> {
    this.#syncing?.abort();
    const syncing = new AbortController();
    this.#syncing = syncing;
    const { network, post } = this.#components;
    const signal = AbortSignal.any([syncing.signal, this.#components.signal]);
    for (const peer of from) {
      const entries = await network
        .fetchEntries(peer, fromHeight, { countMax: syncEntriesMax, signal })
        .catch(() => []);
      if (signal.aborted) return;
      if (entries.length === 0) continue;
      post({ kind: 'synced', from: peer, entries });
      return;
    }
  }

  /** Downloads the state (unless an intact copy is stored), trying until somebody serves it, and makes it the engine's; `false` when aborted before. */
  async install(
    { block, height, tensors, from, own }: Install,
    stateBytes: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { network, store, engine, post } = this.#components;
    if (!(await store.getBlob(tensors))) {
      try {
        await store.putBlob(
          tensors,
          await fetchUntilServed(network, tensors, { bytesMax: stateBytes, from, signal }),
        );
      } catch (error) {
        if (signal.aborted) return false;
        throw error;
      }
    }
    const path = store.blobPath(tensors);
    assert(path, 'a stored state has a file');
    await engine.install({ path, block, height, tensors, own });
    post({ kind: 'installed', block, height });
    return true;
  }
}
