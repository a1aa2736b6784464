import type { Cid } from '@murmuration/base';
import type { Network } from '@murmuration/network';
import type { AggregationInput } from '@murmuration/protocol';
import type { Store } from '@murmuration/store';
import { fetchUntilServed } from './fetch-until-served.ts';

/** The bytes of a block's deltas; one that is missing or corrupted on disk is pulled again. */
export async function loadDeltas(
  inputs: readonly AggregationInput[],
  { store, network }: { store: Pick<Store, 'getBlob' | 'putBlob'>; network: Pick<Network, 'fetchBlob'> },
  signal: AbortSignal,
): Promise<ReadonlyMap<Cid, Uint8Array>> {
  const blobs = new Map<Cid, Uint8Array>();
  const load = async ({ blob, blobBytes, author }: AggregationInput): Promise<void> => {
    const stored = await store.getBlob(blob);
    const bytes =
      stored ?? (await fetchUntilServed(network, blob, { bytesMax: blobBytes, from: [author], signal }));
    if (!stored) await store.putBlob(blob, bytes);
    blobs.set(blob, bytes);
  };
  await Promise.all(inputs.map(load));
  return blobs;
}
