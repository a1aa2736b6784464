/**
 * Where a ledger that is to be audited comes from: the folder of a peer (which may be running), or other peers of its
 * run.
 */
import { type Cid, decodeRunConfig, type RunConfig } from '@murmuration/base';
import { baseOf, type LedgerEntry } from '@murmuration/protocol';
import { hashBytes, openStore, type Store } from '@murmuration/store';
import { syncEntriesMax } from './defaults.ts';
import { PeerError } from './errors.ts';
import { baseSetting } from './fetch-checkpoint.ts';

/** A ledger, and the blobs that are kept with it. */
export interface LedgerSource {
  readonly run: RunConfig;
  readonly runId: Cid;
  /** What it begins with, where it begins at a checkpoint. */
  readonly base: Uint8Array | undefined;
  /** Height of the newest block when it was opened, if that is known before it is read. */
  readonly height: number | undefined;
  /**
   * From the first block (after the checkpoint) on, as far as the ledger goes. Where one is missing the next one
   * follows.
   */
  entries(): AsyncIterable<LedgerEntry>;
  /** A blob's bytes, checked by its name; `undefined` where nobody keeps it. */
  blob(cid: Cid, bytesMax: number): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}

async function* storedEntries(
  store: Pick<Store, 'entries' | 'firstHeight' | 'lastHeight'>,
  base: number,
): AsyncGenerator<LedgerEntry> {
  for (let height = Math.max(base + 1, store.firstHeight() ?? 1); ; ) {
    const page = store.entries(height, syncEntriesMax);
    yield* page;
    height += Math.max(1, page.length);
    if (height > (store.lastHeight() ?? 0)) return;
  }
}

/** Opens a peer's folder for reading, also while its peer runs. Throws `PeerError` `no-run`, or the store's errors. */
export async function openStoredLedger(directory: string): Promise<LedgerSource> {
  const store = openStore({ directory, readOnly: true });
  try {
    const { runId } = store;
    const settings = runId && (await store.getBlob(runId));
    if (!runId || !settings)
      throw new PeerError(`${directory}: expected a folder whose peer has entered a run, found none`, {
        code: 'no-run',
        directory,
      });
    const run = decodeRunConfig(settings);
    const base = store.getSetting(baseSetting);
    const below = base ? baseOf({ run, runId }, base, hashBytes).height : 0;
    return {
      run,
      runId,
      base,
      height: store.lastHeight(),
      entries: () => storedEntries(store, below),
      blob: (cid) => store.getBlob(cid),
      close: async () => store.close(),
    };
  } catch (error) {
    store.close();
    throw error;
  }
}
