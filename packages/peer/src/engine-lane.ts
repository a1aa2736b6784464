/**
 * The engine changes θ in the order in which the replica decided, whatever each change has to wait for: tasks run
 * one after the other. Training is not in the lane; the engine itself serves the lane's calls between two steps.
 */
import type { Cid } from '@murmuration/base';
import { type Network, NetworkError } from '@murmuration/network';
import type { AggregationInput } from '@murmuration/protocol';
import type { Store } from '@murmuration/store';
import { fetchRetryMaxMs, fetchRetryMs } from './defaults.ts';
import { pause } from './fetch-run.ts';

export class EngineLane {
  #tail: Promise<void> = Promise.resolve();
  readonly #onFailure: (error: unknown) => void;

  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /** Runs `task` after all earlier ones; a failure ends the lane's owner, since later tasks build on this one. */
  enqueue(task: () => Promise<void>): void {
    this.#tail = this.#tail.then(task).catch((error: unknown) => this.#onFailure(error));
  }

  /** Resolves when every task so far is done. */
  idle(): Promise<void> {
    return this.#tail;
  }
}

/** The bytes of a block's deltas; one that is missing or corrupted on disk is pulled again. */
export async function loadDeltas(
  inputs: readonly AggregationInput[],
  { store, network }: { store: Pick<Store, 'getBlob' | 'putBlob'>; network: Pick<Network, 'fetchBlob'> },
  signal: AbortSignal,
): Promise<ReadonlyMap<Cid, Uint8Array>> {
  const blobs = new Map<Cid, Uint8Array>();
  const load = async ({ blob, blobBytes, author }: AggregationInput): Promise<void> => {
    const stored = await store.getBlob(blob);
    if (stored) {
      blobs.set(blob, stored);
      return;
    }
    for (let delayMs = fetchRetryMs; ; delayMs = Math.min(2 * delayMs, fetchRetryMaxMs)) {
      try {
        const bytes = await network.fetchBlob(blob, { bytesMax: blobBytes, from: [author], signal });
        await store.putBlob(blob, bytes);
        blobs.set(blob, bytes);
        return;
      } catch (error) {
        if (signal.aborted || !(error instanceof NetworkError)) throw error;
        await pause(delayMs, signal);
      }
    }
  };
  await Promise.all(inputs.map(load));
  return blobs;
}
