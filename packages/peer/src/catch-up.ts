/** What a peer that is behind pulls from others: ledger entries, and the state of a snapshot height. */
import { assert } from '@murmuration/base';
import type { Engine } from '@murmuration/engine';
import type { DownloadProgress, Network } from '@murmuration/network';
import type { Effect, LedgerEntry, ReplicaEvent } from '@murmuration/protocol';
import type { Store } from '@murmuration/store';
import { progressEveryMs, syncEntriesMax } from './defaults.ts';
import { retryUntilServed } from './fetch-until-served.ts';
import type { PeerEvent } from './index.ts';

type Sync = Extract<Effect, { kind: 'sync' }>;
type Install = Extract<Effect, { kind: 'install' }>;

interface CatchUpComponents {
  readonly network: Pick<Network, 'fetchEntries' | 'downloadBlob'>;
  readonly store: Pick<Store, 'getBlob' | 'blobPath' | 'openDownload' | 'entries'>;
  readonly engine: Pick<Engine, 'install'>;
  readonly signal: AbortSignal;
  post(event: ReplicaEvent): void;
  onEvent(event: PeerEvent): void;
}

export class CatchUp {
  readonly #components: CatchUpComponents;
  /** Of the ledger, and of a recovery. */
  readonly #syncing = new Map<'ledger' | 'recovery', AbortController>();

  constructor(components: CatchUpComponents) {
    this.#components = components;
  }

  /** Asks the peers in turn until one has entries. A later sync, which knows more, ends the one before it. */
  async sync({ fromHeight, from, opening }: Sync): Promise<void> {
    const what = opening ? 'recovery' : 'ledger';
    this.#syncing.get(what)?.abort();
    const syncing = new AbortController();
    this.#syncing.set(what, syncing);
    const { network, post } = this.#components;
    const signal = AbortSignal.any([syncing.signal, this.#components.signal]);
    for (const peer of from) {
      const entries = await network
        .fetchEntries(peer, fromHeight, { countMax: syncEntriesMax, signal, opening })
        .catch(() => []);
      if (signal.aborted) return;
      if (entries.length === 0) continue;
      post({ kind: 'synced', from: peer, entries, ...(opening && { opening }) });
      return;
    }
  }

  /**
   * Downloads the state (unless an intact copy is stored), trying until somebody serves it, and makes it the engine's;
   * `false` when aborted before.
   */
  async install(effect: Install, stateBytes: number, signal: AbortSignal): Promise<boolean> {
    const { store, engine, post } = this.#components;
    const { block, height, tensors, own } = effect;
    if (!(await store.getBlob(tensors)) && !(await this.#download(effect, stateBytes, signal))) return false;
    const path = store.blobPath(tensors);
    assert(path, 'a stored state has a file');
    await engine.install({ path, block, height, tensors, own });
    post({ kind: 'installed', block, height, ledger: storedEntries(store, height + 1) });
    return true;
  }

  /** Chunks go to the disk as they come, so that neither a broken link nor a restart loses them. */
  async #download(
    { height, tensors, from }: Install,
    bytesMax: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { network, store, onEvent } = this.#components;
    const download = await store.openDownload(tensors);
    let toldMs = Number.NEGATIVE_INFINITY;
    const onProgress = ({ size, bytesHere, bytesFrom }: DownloadProgress): void => {
      if (performance.now() - toldMs < progressEveryMs && bytesHere < size) return;
      toldMs = performance.now();
      onEvent({ kind: 'downloading', round: height, bytes: bytesHere, size, sources: bytesFrom.size });
    };
    try {
      await retryUntilServed(
        () => network.downloadBlob(tensors, download, { bytesMax, from, signal, onProgress }),
        signal,
      );
      await download.finish(height);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      throw error;
    } finally {
      download.close();
    }
  }
}

/** All stored entries from a height on. */
export function storedEntries(store: Pick<Store, 'entries'>, fromHeight: number): readonly LedgerEntry[] {
  const all: LedgerEntry[] = [];
  for (let height = fromHeight; ; ) {
    const entries = store.entries(height, syncEntriesMax);
    if (entries.length === 0) return all;
    all.push(...entries);
    height += entries.length;
  }
}
