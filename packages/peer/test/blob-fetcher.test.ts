import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { type Cid, cidOf, encodeCbor } from '@murmuration/base';
import { NetworkError } from '@murmuration/network';
import type { FetchPriority, ReplicaEvent } from '@murmuration/protocol';
import { BlobFetcher } from '../src/blob-fetcher.ts';
import { fetchesMax, fetchGiveUpMs, fetchPlaces } from '../src/defaults.ts';

const blobOf = (index: number): Cid => cidOf(encodeCbor(index));

/** A fetcher whose blobs come when the test says so. */
function createFetcher() {
  const underWay = new Map<Cid, (bytes: Uint8Array) => void>();
  const events: ReplicaEvent[] = [];
  const fetcher = new BlobFetcher({
    store: { getBlob: async () => undefined, putBlob: async () => undefined },
    network: {
      fetchBlob: (blob, { signal }) =>
        new Promise((resolve, reject) => {
          underWay.set(blob, resolve);
          signal?.addEventListener('abort', () => {
            underWay.delete(blob);
            reject(new NetworkError('aborted', { code: 'aborted' }));
          });
        }),
    },
    engine: { validate: async () => ({ valid: true }) },
    onBlob: (event) => events.push(event),
    onFailure: (error) => assert.fail(String(error)),
  });
  const want = (index: number, priority: FetchPriority): void =>
    fetcher.want({ kind: 'fetch', blob: blobOf(index), bytes: 1, from: [], purpose: 'delta', priority });
  const rest = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  const serve = (index: number): void => {
    underWay.get(blobOf(index))?.(new Uint8Array(1));
    underWay.delete(blobOf(index));
  };
  return { fetcher, underWay, events, want, rest, serve };
}

test('BlobFetcher keeps half of its places for what goes first, however many strangers there are (G6)', async () => {
  const { fetcher, underWay, want, rest } = createFetcher();
  for (let index = 0; index < 500; index++) want(index, 'stranger');
  for (let index = 500; index < 600; index++) want(index, 'guest');
  await rest();
  assert.equal(underWay.size, fetchPlaces.stranger + fetchPlaces.guest);
  for (let index = 600; index < 640; index++) want(index, 'first');
  await rest();
  assert.equal(underWay.size, fetchesMax);
  assert.ok(underWay.has(blobOf(600)) && underWay.has(blobOf(615)));
  fetcher.stop();
});

test('BlobFetcher starts one stranger at a time beside something urgent', async () => {
  const { fetcher, underWay, want, rest, serve } = createFetcher();
  want(0, 'first');
  for (let index = 1; index < 10; index++) want(index, 'stranger');
  await rest();
  assert.equal(underWay.size, 2);
  serve(0);
  await rest();
  assert.equal(underWay.size, fetchPlaces.stranger);
  fetcher.stop();
});

test('BlobFetcher gives a stranger up soon, unless a block comes to need its blob', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const { fetcher, underWay, events, want, rest } = createFetcher();
  want(1, 'stranger');
  want(2, 'stranger');
  await rest();
  want(2, 'first');
  mock.timers.tick(fetchGiveUpMs.stranger);
  await rest();
  assert.deepEqual(events, [{ kind: 'blob', blob: blobOf(1), outcome: 'unavailable' }]);
  assert.deepEqual([...underWay.keys()], [blobOf(2)]);
  mock.timers.tick(fetchGiveUpMs.first);
  await rest();
  assert.equal(events.length, 2);
  fetcher.stop();
});

test('BlobFetcher lets a waiting wish overtake when its priority rises', async () => {
  const { fetcher, underWay, want, rest } = createFetcher();
  for (let index = 0; index < 10; index++) want(index, 'stranger');
  await rest();
  assert.ok(!underWay.has(blobOf(9)));
  want(9, 'first');
  await rest();
  assert.ok(underWay.has(blobOf(9)));
  fetcher.stop();
});

test('BlobFetcher drops the oldest of the least urgent wishes when too many wait (G6)', async () => {
  const { fetcher, events, want, rest } = createFetcher();
  for (let index = 0; index < 32; index++) want(index, 'first');
  for (let index = 32; index < 42; index++) want(index, 'stranger');
  for (let index = 42; index < 42 + 1_020; index++) want(index, 'first');
  await rest();
  assert.deepEqual(
    events.map((event) => event.kind === 'blob' && event.blob),
    [32, 33, 34, 35, 36, 37].map(blobOf),
  );
  fetcher.stop();
});
