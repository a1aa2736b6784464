import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameBlob } from '@murmuration/base';
import { openStore } from '@murmuration/store';
import { contents, layOut } from './release-1.ts';
import { temporaryFolder } from './temporary-folder.ts';

test('openStore reads and goes on with a folder of release 1', async (context) => {
  const directory = temporaryFolder(context);
  layOut(directory);
  const store = openStore({ directory });
  context.after(() => store.close());
  assert.deepEqual(store.identity.seed, contents.seed);
  assert.equal(store.runId, contents.runId);
  assert.deepEqual(store.records(), contents.records);
  assert.deepEqual(store.entries(1, 10), contents.entries);
  assert.deepEqual(store.getSetting(contents.setting.key), contents.setting.value);
  const { height, value, timeMs } = contents.metric;
  assert.deepEqual(store.metrics(contents.metric.name), [{ height, value, timeMs }]);
  for (const bytes of contents.blobs) assert.deepEqual(await store.getBlob(nameBlob(bytes).cid), bytes);
  store.putEntry({ height: 4, bytes: Uint8Array.of(4) });
  assert.equal(store.lastHeight(), 4);
});
