import type { Cid, PeerId } from '@murmuration/base';
import { type Network, NetworkError } from '@murmuration/network';
import { fetchRetryMaxMs, fetchRetryMs } from './defaults.ts';
import { PeerError } from './errors.ts';

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

/**
 * Pulls a blob, again and again with growing pauses, until somebody serves it. Rejects when the signal aborts, or with
 * what is no fault of the network.
 */
export async function fetchUntilServed(
  network: Pick<Network, 'fetchBlob'>,
  cid: Cid,
  options: { readonly bytesMax: number; readonly from?: readonly PeerId[]; readonly signal: AbortSignal },
): Promise<Uint8Array> {
  for (let delayMs = fetchRetryMs; ; delayMs = Math.min(2 * delayMs, fetchRetryMaxMs)) {
    try {
      return await network.fetchBlob(cid, options);
    } catch (error) {
      if (options.signal.aborted || !(error instanceof NetworkError)) throw error;
      await pause(delayMs, options.signal);
    }
  }
}
