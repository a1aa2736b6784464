import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { blobChunkBytes, type Cid, nameBlob } from '@murmuration/base';
import { type ChunkSink, type DownloadProgress, NetworkError } from '@murmuration/network';
import type { ReplicaEvent } from '@murmuration/protocol';
import { openStore, type Store } from '@murmuration/store';
import { BlobFetcher, type Fetch } from '../src/blob-fetcher.ts';
import { CatchUp } from '../src/catch-up.ts';
import type { PeerEvent } from '../src/index.ts';

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
  const fetch: Fetch = {
    kind: 'fetch',
    blob: cid,
    bytes: bytes.length,
    from: [],
    purpose: 'contributions',
    priority: 'first',
  };
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
      downloadBlob: async () => undefined,
      fetchEntries: (_, __, options) => (asked++ === 0 ? aborted(options?.signal) : Promise.resolve([entry])),
    },
    engine: { install: async () => undefined },
    signal: new AbortController().signal,
    post: (event) => events.push(event),
    onEvent: () => undefined,
  });
  const first = catchUp.sync({ kind: 'sync', fromHeight: 1, from: [peer, peer] });
  const second = catchUp.sync({ kind: 'sync', fromHeight: 1, from: [peer] });
  await Promise.all([first, second]);
  assert.deepEqual(events, [{ kind: 'synced', from: peer, entries: [entry] }]);
});

const wish = (tensors: Cid) => ({
  kind: 'install' as const,
  block: tensors,
  height: 64,
  tensors,
  from: [],
  own: undefined,
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
      downloadBlob: async (wanted, sink) => {
        asked.push(wanted);
        sink.write(0, bytes);
      },
      fetchEntries: async () => [],
    },
    engine: { install: async ({ path }) => void installed.push(path) },
    signal: new AbortController().signal,
    post: () => undefined,
    onEvent: () => undefined,
  });
  assert.equal(await catchUp.install(wish(cid), bytes.length, new AbortController().signal), true);
  assert.deepEqual(asked, [cid]);
  assert.deepEqual(await store.getBlob(cid), bytes);
  assert.equal(installed.length, 1);
});

test('CatchUp goes on with a state after a broken link and after a restart, and tells how far it is', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'murmuration-resume-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const state = new Uint8Array(5 * blobChunkBytes + 9).map((_, index) => (index * 7) ^ (index >> 18));
  const named = nameBlob(state);
  const written: number[][] = [];
  const told: PeerEvent[] = [];
  /** A network whose link breaks after so many chunks of each call, and ends the process after so many calls. */
  const networkOf = (chunksPerCall: number, callsMax: number, kill: AbortController) => ({
    fetchEntries: async () => [],
    async downloadBlob(
      _: Cid,
      sink: ChunkSink,
      options: { onProgress?(progress: DownloadProgress): void },
    ): Promise<void> {
      const held = sink.begin(named.manifestBytes as Uint8Array);
      const missing = named.manifest.chunks.map((__, position) => position).filter((at) => !held.has(at));
      const now = missing.slice(0, chunksPerCall);
      written.push(now);
      for (const position of now)
        sink.write(position, state.subarray(position * blobChunkBytes, (position + 1) * blobChunkBytes));
      options.onProgress?.({ size: state.length, bytesHere: state.length, bytesFrom: new Map() });
      if (written.length >= callsMax) kill.abort();
      if (missing.length > now.length)
        throw new NetworkError('the link broke', { code: kill.signal.aborted ? 'aborted' : 'unavailable' });
    },
  });
  const lives = [2, 9].map((callsMax) => ({ callsMax, kill: new AbortController() }));
  let done = false;
  for (const { callsMax, kill } of lives) {
    const store = openStore({ directory });
    const catchUp = new CatchUp({
      store,
      network: networkOf(2, callsMax, kill),
      engine: { install: async () => undefined },
      signal: kill.signal,
      post: () => undefined,
      onEvent: (event) => told.push(event),
    });
    done = await catchUp.install(wish(named.cid), state.length, kill.signal);
    if (done) assert.deepEqual(await store.getBlob(named.cid), state);
    store.close();
  }
  assert.ok(done);
  assert.deepEqual(written, [
    [0, 1],
    [2, 3],
    [4, 5],
  ]);
  const progress = told.find((event) => event.kind === 'downloading');
  assert.ok(progress?.kind === 'downloading' && progress.size === state.length && progress.round === 64);
});
