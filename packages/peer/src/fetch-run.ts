import { type Cid, decodeRunConfig, matchesCid, type RunConfig } from '@murmuration/base';
import type { Network } from '@murmuration/network';
import type { Store } from '@murmuration/store';
import { graphBytesMax, runConfigBytesMax, weightsBytesMax } from './defaults.ts';
import { PeerError } from './errors.ts';
import { fetchUntilServed } from './fetch-until-served.ts';

/** What a newcomer fetches before its engine can start. */
export type RunPart = 'run settings' | 'model graph' | 'first weights' | 'frozen weights' | 'checkpoint';

interface FetchComponents {
  readonly store: Pick<Store, 'getBlob' | 'putBlob' | 'pinBlob'>;
  readonly network: Pick<Network, 'fetchBlob'>;
  onWait(what: RunPart): void;
}

/** The weights that come from a file, each a blob of flat float32 values. */
const weightBlobs = ({
  initial,
  model,
}: RunConfig): readonly {
  readonly part: RunPart;
  readonly tensors: Cid;
  readonly bytes: number;
}[] => [
  ...(initial.seed === undefined
    ? [{ part: 'first weights', tensors: initial.tensors, bytes: 4 * initial.parameters } as const]
    : []),
  ...(model.frozen
    ? [{ part: 'frozen weights', tensors: model.frozen.tensors, bytes: 4 * model.frozen.values } as const]
    : []),
];

async function haveBlob(
  cid: Cid,
  bytesMax: number,
  what: RunPart,
  { store, network, onWait }: FetchComponents,
  signal: AbortSignal,
): Promise<Uint8Array> {
  store.pinBlob(cid);
  const stored = await store.getBlob(cid);
  if (stored) return stored;
  onWait(what);
  const bytes = await fetchUntilServed(network, cid, { bytesMax, signal });
  await store.putBlob(cid, bytes);
  return bytes;
}

function checkSize(what: RunPart, bytes: number, bytesMax: number): void {
  if (bytes > bytesMax)
    throw new PeerError(`${what}: expected at most ${bytesMax} bytes, the run has ${bytes}`, {
      code: 'bad-run',
      bytes,
    });
}

/**
 * The run's settings and its graph, from the store or from whoever has them; waits until somebody does. Afterwards its
 * weights are in the store too. Throws `PeerError` `bad-run` for a run of which a part is too large or not what it
 * says.
 */
export async function fetchRun(
  runId: Cid,
  components: FetchComponents,
  signal: AbortSignal,
): Promise<{ run: RunConfig; graph: Uint8Array }> {
  const settings = await haveBlob(runId, runConfigBytesMax, 'run settings', components, signal);
  if (!matchesCid(settings, runId))
    throw new PeerError(`run settings: expected bytes that hash to ${runId}`, { code: 'bad-run', runId });
  const run = decodeRunConfig(settings);
  checkSize('model graph', run.model.bytes, graphBytesMax);
  const weights = weightBlobs(run);
  for (const { part, bytes } of weights) checkSize(part, bytes, weightsBytesMax);
  const graph = await haveBlob(run.model.graph, run.model.bytes, 'model graph', components, signal);
  for (const { part, tensors, bytes } of weights) {
    const found = await haveBlob(tensors, bytes, part, components, signal);
    if (found.length !== bytes)
      throw new PeerError(`${part}: expected ${bytes} bytes, got ${found.length}`, { code: 'bad-run' });
  }
  return { run, graph };
}
