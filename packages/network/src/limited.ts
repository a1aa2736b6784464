/**
 * Runs `work` with a signal that aborts with the caller's or after `ms`. When the work is done nothing stays behind:
 * `AbortSignal.timeout` and `AbortSignal.any` would keep a timer and listeners for as long as the time lasts.
 */
export async function limited<T>(
  ms: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const either = new AbortController();
  const late = (): void => either.abort(new DOMException(`not done within ${ms} ms`, 'TimeoutError'));
  const stop = (): void => either.abort(signal.reason);
  const timer = setTimeout(late, ms).unref();
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  try {
    return await work(either.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}
