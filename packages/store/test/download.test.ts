import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { blobChunkBytes, type Cid, nameBlob } from '@murmuration/base';
import { openStore } from '@murmuration/store';
import { temporaryFolder } from './temporary-folder.ts';

const bytesOf = (seed: number): Uint8Array =>
  new Uint8Array(4 * blobChunkBytes + 100).map((_, index) => (index * seed) ^ (index >> 9) ^ (index >> 18));
const chunkOf = (bytes: Uint8Array, position: number): Uint8Array =>
  bytes.subarray(position * blobChunkBytes, (position + 1) * blobChunkBytes);
const named = (bytes: Uint8Array) => {
  const { cid, manifestBytes } = nameBlob(bytes);
  assert.ok(manifestBytes);
  return { cid, manifest: manifestBytes };
};

test('Store.openDownload keeps chunks over a restart, but for those that are damaged', async (t) => {
  const directory = join(temporaryFolder(t), 'peer');
  const bytes = bytesOf(31);
  const { cid, manifest } = named(bytes);
  const first = openStore({ directory });
  const download = await first.openDownload(cid);
  assert.equal(download.manifest, undefined);
  assert.deepEqual([...download.begin(manifest)], []);
  for (const position of [3, 0, 4]) download.write(position, chunkOf(bytes, position));
  assert.equal(download.bytesHere, 2 * blobChunkBytes + 100);
  await assert.rejects(download.finish(64), { code: 'bad-blob', message: /2 are missing/ });
  download.close();
  first.close();

  const file = join(directory, 'downloads', cid);
  const damaged = new Uint8Array(5 * blobChunkBytes);
  for (const position of [0, 3, 4]) damaged.set(chunkOf(bytes, position), position * blobChunkBytes);
  damaged[5] = (damaged[5] ?? 0) ^ 1;
  writeFileSync(file, damaged.subarray(0, bytes.length));
  const store = openStore({ directory });
  const again = await store.openDownload(cid);
  assert.deepEqual(again.manifest, new Uint8Array(manifest));
  assert.deepEqual([...again.begin(manifest)].sort(), [3, 4]);
  for (const position of [0, 1, 2]) again.write(position, chunkOf(bytes, position));
  await again.finish(64);
  assert.deepEqual(await store.getBlob(cid), bytes);
  assert.ok(store.blobPath(cid)?.includes('snapshots'));
  assert.deepEqual(readdirSync(join(directory, 'downloads')), []);
  store.close();
});

test('Store.openDownload takes a state of one chunk, and keeps two that are not finished', async (t) => {
  const directory = join(temporaryFolder(t), 'peer');
  const store = openStore({ directory });
  const small = Uint8Array.of(1, 2, 3, 4);
  const { cid } = nameBlob(small);
  const download = await store.openDownload(cid);
  download.write(0, small);
  await download.finish(8);
  assert.deepEqual(await store.getBlob(cid), small);
  const begun: Cid[] = [];
  for (const seed of [3, 5, 7]) {
    const { cid: long, manifest } = named(bytesOf(seed));
    const begin = await store.openDownload(long);
    begin.begin(manifest);
    begin.write(0, chunkOf(bytesOf(seed), 0));
    begin.close();
    begun.push(long);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.deepEqual(
    begun.map((long) => existsSync(join(directory, 'downloads', long))),
    [false, true, true],
  );
  store.close();
});
