import { type Cid, decodeRunConfig, matchesCid, type RunConfig } from '@murmuration/base';
import { type Network, NetworkError } from '@murmuration/network';
import type { Store } from '@murmuration/store';
import { fetchRetryMaxMs, fetchRetryMs, graphBytesMax, runConfigBytesMax } from './defaults.ts';
import { PeerError } from './errors.ts';

interface FetchComponents {
  readonly store: Pick<Store, 'getBlob' | 'putBlob'>;
  readonly network: Pick<Network, 'fetchBlob'>;
  onWait(what: 'run settings' | 'model graph'): void;
}

/** Sleeps, or rejects as soon as the signal aborts. */
export function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(new PeerError('the peer was stopped', { code: 'stopped' }));
    };
    if (signal.aborted) return stop();
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, durationMs);
    signal.addEventListener('abort', stop, { once: true });
  });
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
  for (let delayMs = fetchRetryMs; ; delayMs = Math.min(2 * delayMs, fetchRetryMaxMs)) {
    try {
      const bytes = await network.fetchBlob(cid, { bytesMax, signal });
      await store.putBlob(cid, bytes);
      return bytes;
    } catch (error) {
      if (signal.aborted || !(error instanceof NetworkError) || error.code === 'too-long') throw error;
      await pause(delayMs, signal);
    }
  }
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
