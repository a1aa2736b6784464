import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { limited } from '../src/limited.ts';

/** Rejects with the reason for which it was aborted, as a dial does. */
const endless = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason));
  });

test('limited ends work after its time, or with the caller, and leaves no listener behind', async () => {
  const caller = new AbortController();
  const { signal } = caller;
  assert.equal(await limited(60_000, signal, async () => 7), 7);
  // Its timer keeps no process alive; something else must, until it fires.
  const alive = setTimeout(() => undefined, 10_000);
  await assert.rejects(limited(20, signal, endless), { name: 'TimeoutError' });
  clearTimeout(alive);
  assert.equal(getEventListeners(signal, 'abort').length, 0);
  const stopped = limited(60_000, signal, endless);
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  caller.abort(new Error('the peer stops'));
  await assert.rejects(stopped, /the peer stops/);
  await assert.rejects(limited(60_000, signal, endless), /the peer stops/);
});
