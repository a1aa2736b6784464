import { type Cid, decodeRunConfig, type RunConfig } from '@murmuration/base';
import { createEngine, type Engine } from '@murmuration/engine';
import { genesisBlockId } from '@murmuration/protocol';
import { openStore, type Store } from '@murmuration/store';
import { defaults } from './defaults.ts';
import { PeerError } from './errors.ts';
import { weightPaths } from './weight-paths.ts';

/** A peer's folder opened without a network: to evaluate, generate, export. */
export interface OfflineRun {
  readonly run: RunConfig;
  readonly store: Store;
  readonly engine: Engine;
  /** Id of the block at height 0. */
  readonly genesis: Cid;
  /** The round that the engine's parameters stand at. */
  readonly round: number;
  close(): Promise<void>;
}

/**
 * Opens the folder of a peer that is not running, with its engine at the last checkpoint.
 * Throws `PeerError` `no-run`, or the store's and the engine's errors.
 */
export async function openOffline(options: {
  readonly directory: string;
  readonly data?: readonly string[];
  readonly threads?: number;
}): Promise<OfflineRun> {
  openStore({ directory: options.directory, readOnly: true }).close();
  const store = openStore({ directory: options.directory });
  try {
    const runId = store.runId;
    const settings = runId && (await store.getBlob(runId));
    const run = settings && decodeRunConfig(settings);
    const graph = run && (await store.getBlob(run.model.graph));
    if (!runId || !run || !graph)
      throw new PeerError(
        `${options.directory}: expected a folder whose peer has entered a run, found none`,
        {
          code: 'no-run',
          directory: options.directory,
        },
      );
    const engine = await createEngine({
      run,
      runId,
      self: store.identity.peer,
      graph,
      weights: weightPaths(run, store),
      directory: `${options.directory}/engine`,
      data: options.data ?? [],
      threads: options.threads ?? 1,
      niceness: defaults.niceness,
    });
    const genesis = genesisBlockId(runId);
    const { head } = await engine.open(genesis).catch(async (error: unknown) => {
      await engine.close().catch(() => undefined);
      throw error;
    });
    return {
      run,
      store,
      engine,
      genesis,
      round: head.height,
      close: async () => {
        await engine.close();
        store.close();
      },
    };
  } catch (error) {
    store.close();
    throw error;
  }
}
