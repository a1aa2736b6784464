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

/** Pulls a blob until somebody serves it. Rejects when the signal aborts, or with what is no fault of the network. */
export function fetchUntilServed(
  network: Pick<Network, 'fetchBlob'>,
  cid: Cid,
  options: { readonly bytesMax: number; readonly from?: readonly PeerId[]; readonly signal: AbortSignal },
): Promise<Uint8Array> {
  return retryUntilServed(() => network.fetchBlob(cid, options), options.signal);
}

/** Asks the network again and again, with growing pauses, until it delivers. Rejects like `fetchUntilServed`. */
export async function retryUntilServed<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let delayMs = fetchRetryMs; ; delayMs = Math.min(2 * delayMs, fetchRetryMaxMs)) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted || !(error instanceof NetworkError)) throw error;
      await pause(delayMs, signal);
    }
  }
}
