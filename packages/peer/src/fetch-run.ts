import { type Cid, decodeRunConfig, matchesCid, type RunConfig } from '@murmuration/base';
import type { Network } from '@murmuration/network';
import type { Store } from '@murmuration/store';
import { graphBytesMax, runConfigBytesMax } from './defaults.ts';
import { PeerError } from './errors.ts';
import { fetchUntilServed } from './fetch-until-served.ts';

interface FetchComponents {
  readonly store: Pick<Store, 'getBlob' | 'putBlob'>;
  readonly network: Pick<Network, 'fetchBlob'>;
  onWait(what: 'run settings' | 'model graph'): void;
}

async function haveBlob(
  cid: Cid,
  bytesMax: number,
  what: 'run settings' | 'model graph',
  { store, network, onWait }: FetchComponents,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const stored = await store.getBlob(cid);
  if (stored) return stored;
  onWait(what);
  const bytes = await fetchUntilServed(network, cid, { bytesMax, signal });
  await store.putBlob(cid, bytes);
  return bytes;
}

/** The run's settings and its graph, from the store or from whoever has them; waits until somebody does. */
export async function fetchRun(
  runId: Cid,
  components: FetchComponents,
  signal: AbortSignal,
): Promise<{ run: RunConfig; graph: Uint8Array }> {
  const settings = await haveBlob(runId, runConfigBytesMax, 'run settings', components, signal);
  if (!matchesCid(settings, runId))
    throw new PeerError(`run settings: expected bytes that hash to ${runId}`, { code: 'bad-run', runId });
  const run = decodeRunConfig(settings);
  if (run.model.bytes > graphBytesMax)
    throw new PeerError(
      `model graph: expected at most ${graphBytesMax} bytes, the run has ${run.model.bytes}`,
      {
        code: 'bad-run',
        bytes: run.model.bytes,
      },
    );
  const graph = await haveBlob(run.model.graph, run.model.bytes, 'model graph', components, signal);
  return { run, graph };
}
