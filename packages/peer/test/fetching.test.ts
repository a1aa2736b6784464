import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Cid, nameBlob } from '@murmuration/base';
import { NetworkError } from '@murmuration/network';
import type { ReplicaEvent } from '@murmuration/protocol';
import { openStore, type Store } from '@murmuration/store';
import { BlobFetcher, type Fetch } from '../src/blob-fetcher.ts';
import { CatchUp } from '../src/catch-up.ts';

const bytes = new Uint8Array(1_000).map((_, index) => index);
const { cid } = nameBlob(bytes);
const aborted = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_, reject) =>
    signal?.addEventListener('abort', () => reject(new NetworkError('aborted', { code: 'aborted' }))),
  );

function temporaryStore(t: TestContext): Store {
  const directory = mkdtempSync(join(tmpdir(), 'murmuration-fetching-'));
  const store = openStore({ directory });
  t.after(() => {
    store.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return store;
}

test('BlobFetcher answers a wish that follows its cancelled predecessor at once', async (t) => {
  const store = temporaryStore(t);
  const answer = Promise.withResolvers<ReplicaEvent>();
  let asked = 0;
  const fetcher = new BlobFetcher({
    store,
    network: {
      fetchBlob: (_, { signal }) => (asked++ === 0 ? aborted(signal) : Promise.resolve(bytes)),
    },
    engine: { validate: async () => ({ valid: true }) },
    onBlob: answer.resolve,
    onFailure: answer.reject,
  });
  const fetch: Fetch = { kind: 'fetch', blob: cid, bytes: bytes.length, from: [], purpose: 'contributions' };
  fetcher.want(fetch);
  while (asked === 0) await new Promise((resolve) => setImmediate(resolve));
  fetcher.cancel(cid);
  fetcher.want(fetch);
  assert.deepEqual(await answer.promise, { kind: 'blob', blob: cid, outcome: 'held', bytes });
  assert.equal(asked, 2);
});

test('CatchUp asks whom a later sync names while an earlier one waits for an answer', async (t) => {
  const store = temporaryStore(t);
  const { peer } = store.identity;
  const events: ReplicaEvent[] = [];
  const entry = { height: 1, bytes };
  let asked = 0;
  const catchUp = new CatchUp({
    store,
    network: {
      fetchBlob: async () => bytes,
      fetchEntries: (_, __, options) => (asked++ === 0 ? aborted(options?.signal) : Promise.resolve([entry])),
    },
    engine: { install: async () => undefined },
    signal: new AbortController().signal,
    post: (event) => events.push(event),
  });
  const first = catchUp.sync({ kind: 'sync', fromHeight: 1, from: [peer, peer] });
  const second = catchUp.sync({ kind: 'sync', fromHeight: 1, from: [peer] });
  await Promise.all([first, second]);
  assert.deepEqual(events, [{ kind: 'synced', from: peer, entries: [entry] }]);
});

test('CatchUp installs a downloaded state when the stored one has rotted', async (t) => {
  const store = temporaryStore(t);
  await store.putBlob(cid, bytes);
  writeFileSync(
    store.blobPath(cid) as string,
    bytes.map((byte) => byte ^ 1),
  );
  const asked: Cid[] = [];
  const installed: string[] = [];
  const catchUp = new CatchUp({
    store,
    network: {
      fetchBlob: async (wanted) => {
        asked.push(wanted);
        return bytes;
      },
      fetchEntries: async () => [],
    },
    engine: { install: async ({ path }) => void installed.push(path) },
    signal: new AbortController().signal,
    post: () => undefined,
  });
  const wish = { kind: 'install' as const, block: cid, height: 64, tensors: cid, from: [], own: undefined };
  assert.equal(await catchUp.install(wish, bytes.length, new AbortController().signal), true);
  assert.deepEqual(asked, [cid]);
  assert.deepEqual(await store.getBlob(cid), bytes);
  assert.equal(installed.length, 1);
});
