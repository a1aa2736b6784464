import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type Cid,
  chunkCids,
  createRandom,
  KiB,
  matchesCid,
  type NamedBlob,
  nameBlob,
} from '@murmuration/base';
import { hashBytes, openStore, type Store, type StoreInit } from '@murmuration/store';
import { storeError, temporaryFolder } from './temporary-folder.ts';

const draw = createRandom('blobs.test');
const randomBytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => draw.below(256));
const lengths = [0, 1, 5_000, 256 * KiB, 256 * KiB + 1, 700 * KiB];

function openTemporary(
  context: TestContext,
  init: Partial<StoreInit> = {},
): { store: Store; directory: string } {
  const directory = temporaryFolder(context);
  const store = openStore({ directory, ...init });
  context.after(() => store.close());
  return { store, directory };
}

const blobPath = (directory: string, cid: Cid): string => join(directory, 'blobs', cid.slice(-2), cid);

async function put(store: Store, bytes: Uint8Array): Promise<NamedBlob> {
  const named = nameBlob(bytes, hashBytes);
  await store.putBlob(named.cid, bytes);
  return named;
}

async function openWhole(store: Store, cid: Cid): Promise<Uint8Array | undefined> {
  const blob = await store.openBlob(cid);
  return blob?.read(0, blob.size);
}

test('putBlob and getBlob give back the bytes, also after a restart, whatever their length', async (context) => {
  const directory = temporaryFolder(context);
  let store = openStore({ directory });
  const blobs: [Cid, Uint8Array][] = [];
  for (const length of lengths) {
    const bytes = randomBytes(length);
    const { cid } = await put(store, bytes);
    await store.putBlob(cid, bytes);
    blobs.push([cid, bytes]);
  }
  store.close();
  store = openStore({ directory });
  for (const [cid, bytes] of blobs) {
    assert.equal(store.hasBlob(cid), true);
    assert.deepEqual(await store.getBlob(cid), bytes);
  }
  assert.equal(
    store.blobBytes(),
    lengths.reduce((sum, length) => sum + length),
  );
  const absent = nameBlob(Uint8Array.of(1, 2, 3)).cid;
  assert.equal(store.hasBlob(absent), false);
  assert.equal(await store.getBlob(absent), undefined);
  assert.equal(await store.openBlob(absent), undefined);
  store.close();
});

test('putBlob refuses bytes of another name and leaves nothing behind', async (context) => {
  const { store, directory } = openTemporary(context);
  const { cid } = nameBlob(randomBytes(10));
  const long = nameBlob(randomBytes(300 * KiB));
  await assert.rejects(store.putBlob(cid, randomBytes(10)), storeError('bad-blob', cid));
  await assert.rejects(store.putBlob(long.cid, long.manifestBytes as Uint8Array), storeError('bad-blob'));
  assert.equal(store.hasBlob(cid), false);
  assert.deepEqual(readdirSync(join(directory, 'blobs')), []);
});

test('putBlob may run many times at once, for the same blob and for others', async (context) => {
  const { store, directory } = openTemporary(context);
  const blobs = Array.from({ length: 5 }, () => randomBytes(300 * KiB));
  await Promise.all([...blobs, ...blobs, ...blobs].map((bytes) => put(store, bytes)));
  for (const bytes of blobs) assert.deepEqual(await store.getBlob(nameBlob(bytes, hashBytes).cid), bytes);
  assert.equal(store.blobBytes(), 5 * 300 * KiB);
  const files = readdirSync(join(directory, 'blobs'), { recursive: true, withFileTypes: true });
  assert.equal(files.filter((entry) => entry.isFile()).length, 5);
});

test('openBlob serves bytes that hash to the name: blob, manifest, and each chunk', async (context) => {
  const { store } = openTemporary(context);
  const bytes = randomBytes(700 * KiB);
  const named = await put(store, bytes);
  assert.deepEqual(await openWhole(store, named.cid), named.manifestBytes);
  for (const [index, cid] of chunkCids(named.manifest).entries()) {
    const chunk = await openWhole(store, cid);
    assert.deepEqual(chunk, bytes.subarray(index * 256 * KiB, (index + 1) * 256 * KiB));
    assert.equal(matchesCid(chunk as Uint8Array, cid), true);
    assert.equal(store.hasBlob(cid), true);
    assert.deepEqual(await store.getBlob(cid), chunk);
  }
  const short = await put(store, randomBytes(1_000));
  const blob = await store.openBlob(short.cid);
  assert.equal(blob?.size, 1_000);
  assert.equal((await blob?.read(990, 100))?.length, 10);
});

const damages: Record<string, (path: string) => void> = {
  'changed by one bit': (path) => {
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
    writeFileSync(path, bytes);
  },
  'cut short': (path) => truncateSync(path, statSync(path).size - 1),
  emptied: (path) => truncateSync(path, 0),
  lengthened: (path) => writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.of(0)])),
  deleted: (path) => rmSync(path),
};

for (const [damage, apply] of Object.entries(damages))
  test(`getBlob removes a file that was ${damage}, and the blob can be stored anew`, async (context) => {
    const { store, directory } = openTemporary(context);
    for (const length of [5_000, 700 * KiB]) {
      const bytes = randomBytes(length);
      const { cid } = await put(store, bytes);
      apply(blobPath(directory, cid));
      assert.equal(await store.getBlob(cid), undefined);
      assert.equal(store.hasBlob(cid), false);
      assert.equal(existsSync(blobPath(directory, cid)), false);
      assert.equal(store.blobBytes(), 0);
      await put(store, bytes);
      assert.deepEqual(await store.getBlob(cid), bytes);
      rmSync(blobPath(directory, cid));
      assert.equal(await store.getBlob(cid), undefined);
    }
  });

test('openBlob never serves a chunk that has rotted', async (context) => {
  const { store, directory } = openTemporary(context);
  const named = await put(store, randomBytes(700 * KiB));
  const [first, , last] = chunkCids(named.manifest) as [Cid, Cid, Cid];
  (damages['changed by one bit'] as (path: string) => void)(blobPath(directory, named.cid));
  assert.equal((await store.openBlob(first))?.size, 256 * KiB);
  assert.equal(await store.openBlob(last), undefined);
  assert.equal(await store.openBlob(named.cid), undefined);
});

test('openStore removes what a crash left: temporary files, files without a row, rows without a file', async (context) => {
  const directory = temporaryFolder(context);
  let store = openStore({ directory });
  const kept = await put(store, randomBytes(10));
  const lost = await put(store, randomBytes(300 * KiB));
  store.close();
  rmSync(blobPath(directory, lost.cid));
  const orphan = nameBlob(randomBytes(20)).cid;
  mkdirSync(join(directory, 'blobs', orphan.slice(-2)), { recursive: true });
  writeFileSync(blobPath(directory, orphan), 'orphan');
  writeFileSync(join(directory, 'blobs', 'half.1234.0.tmp'), 'half');
  writeFileSync(join(directory, 'blobs', 'notes.txt'), 'of a stranger');
  store = openStore({ directory });
  assert.equal(store.hasBlob(kept.cid), true);
  assert.equal(store.hasBlob(lost.cid), false);
  assert.equal(store.hasBlob(chunkCids(lost.manifest)[0] as Cid), false);
  assert.equal(store.blobBytes(), 10);
  assert.equal(existsSync(blobPath(directory, orphan)), false);
  assert.equal(existsSync(join(directory, 'blobs', 'half.1234.0.tmp')), false);
  assert.equal(existsSync(join(directory, 'blobs', 'notes.txt')), true);
  store.close();
});

test('putBlob prunes the oldest unpinned blobs beyond the limit', async (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: 1_800_000_000_000 });
  const { store } = openTemporary(context, { blobBytesMax: 3_000 });
  const cids: Cid[] = [];
  for (let index = 0; index < 5; index++) {
    const bytes = randomBytes(1_000);
    const { cid } = nameBlob(bytes);
    if (index === 1) store.pinBlob(cid);
    await store.putBlob(cid, bytes);
    cids.push(cid);
    context.mock.timers.tick(11 * 60_000);
  }
  const held = (): boolean[] => cids.map((cid) => store.hasBlob(cid));
  assert.deepEqual(held(), [false, true, false, true, true]);
  assert.equal(store.blobBytes(), 3_000);
  store.unpinBlob(cids[1] as Cid);
  await put(store, randomBytes(1_000));
  assert.deepEqual(held(), [false, false, false, true, true]);
});

test('putBlob spares recent blobs up to twice the limit, not beyond', async (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: 1_800_000_000_000 });
  const { store } = openTemporary(context, { blobBytesMax: 3_000 });
  const cids: Cid[] = [];
  for (let index = 0; index < 7; index++) {
    cids.push((await put(store, randomBytes(1_000))).cid);
    context.mock.timers.tick(1_000);
    assert.equal(store.blobBytes(), Math.min(index + 1, 6) * 1_000);
  }
  assert.equal(store.hasBlob(cids[0] as Cid), false);
  context.mock.timers.tick(11 * 60_000);
  await put(store, randomBytes(1_000));
  assert.equal(store.blobBytes(), 3_000);
});

test('putBlob of a blob that is there makes it recent again', async (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: 1_800_000_000_000 });
  const { store } = openTemporary(context, { blobBytesMax: 2_000 });
  const [a, b] = [randomBytes(1_000), randomBytes(1_000)];
  const first = await put(store, a);
  const second = await put(store, b);
  context.mock.timers.tick(11 * 60_000);
  await put(store, a);
  await put(store, randomBytes(1_000));
  assert.equal(store.hasBlob(first.cid), true);
  assert.equal(store.hasBlob(second.cid), false);
});

async function adopt(store: Store, directory: string, height: number, bytes: Uint8Array): Promise<Cid> {
  const path = join(directory, `state-${height}`);
  writeFileSync(path, bytes);
  const { cid, manifest } = nameBlob(bytes, hashBytes);
  await store.adoptSnapshot({ path, height, tensors: cid, size: bytes.length, chunks: manifest.chunks });
  assert.equal(existsSync(path), false);
  return cid;
}

test('adoptSnapshot moves the file, serves manifest and chunks, and keeps the last two', async (context) => {
  const directory = temporaryFolder(context);
  let store = openStore({ directory });
  const states = [64, 128, 192].map(() => randomBytes(600 * KiB));
  const cids: Cid[] = [];
  for (const [index, bytes] of states.entries())
    cids.push(await adopt(store, directory, 64 * (index + 1), bytes));
  store.close();

  store = openStore({ directory, blobBytesMax: 1 });
  await put(store, randomBytes(10));
  const [oldest, middle, newest] = cids as [Cid, Cid, Cid];
  assert.equal(store.blobPath(oldest), undefined);
  assert.equal(store.hasBlob(oldest), false);
  for (const [cid, bytes] of [
    [middle, states[1]],
    [newest, states[2]],
  ] as [Cid, Uint8Array][]) {
    const named = nameBlob(bytes, hashBytes);
    const path = store.blobPath(cid) as string;
    assert.deepEqual(new Uint8Array(readFileSync(path)), bytes);
    assert.deepEqual(await openWhole(store, cid), named.manifestBytes);
    const second = chunkCids(named.manifest)[1] as Cid;
    assert.deepEqual(await openWhole(store, second), bytes.subarray(256 * KiB, 512 * KiB));
    assert.deepEqual(await store.getBlob(cid), bytes);
  }
  assert.equal(readdirSync(join(directory, 'snapshots')).length, 2);
  store.close();
});

test('adoptSnapshot takes over a state that is a blob already, or a snapshot of an earlier height', async (context) => {
  const { store, directory } = openTemporary(context);
  for (const length of [1_000, 600 * KiB]) {
    const bytes = randomBytes(length);
    await put(store, bytes);
    const cid = await adopt(store, directory, 1, bytes);
    assert.equal(existsSync(blobPath(directory, cid)), false);
    await adopt(store, directory, 2, bytes);
    await put(store, bytes);
    assert.deepEqual(await store.getBlob(cid), bytes);
    assert.equal(statSync(store.blobPath(cid) as string).size, length);
    assert.equal(store.blobBytes(), 0);
  }
  assert.equal(readdirSync(join(directory, 'snapshots')).length, 2);
});

test('adoptSnapshot refuses a file that is missing, of another size, or not named so', async (context) => {
  const { store, directory } = openTemporary(context);
  const bytes = randomBytes(300 * KiB);
  const { cid, manifest } = nameBlob(bytes, hashBytes);
  const path = join(directory, 'state');
  const snapshot = { path, height: 1, tensors: cid, size: bytes.length, chunks: manifest.chunks };
  await assert.rejects(store.adoptSnapshot(snapshot), storeError('bad-blob', cid));
  writeFileSync(path, bytes.subarray(1));
  await assert.rejects(store.adoptSnapshot(snapshot), storeError('bad-blob', cid));
  writeFileSync(path, bytes);
  const other = nameBlob(Uint8Array.of(1)).cid;
  await assert.rejects(store.adoptSnapshot({ ...snapshot, tensors: other }), storeError('bad-blob', other));
  assert.equal(existsSync(path), true);
  await store.adoptSnapshot(snapshot);
  utimesSync(store.blobPath(cid) as string, 1, 1);
});
