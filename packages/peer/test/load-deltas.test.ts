import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Cid, nameBlob, type PeerId } from '@murmuration/base';
import { openStore } from '@murmuration/store';
import { loadDeltas } from '../src/load-deltas.ts';

test('loadDeltas pulls a blob again whose file was corrupted on disk', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'murmuration-deltas-'));
  const store = openStore({ directory });
  try {
    const bytes = new Uint8Array(1_000).map((_, index) => index);
    const { cid } = nameBlob(bytes);
    await store.putBlob(cid, bytes);
    writeFileSync(store.blobPath(cid) as string, 'rubbish');
    const asked: Cid[] = [];
    const network = {
      fetchBlob: async (wanted: Cid): Promise<Uint8Array> => {
        asked.push(wanted);
        return bytes;
      },
    };
    const input = {
      contribution: cid,
      author: store.identity.peer as PeerId,
      blob: cid,
      blobBytes: bytes.length,
      base: cid,
      norm: 1,
      clip: 1,
      weight: 1,
    };
    const blobs = await loadDeltas([input], { store, network }, new AbortController().signal);
    assert.deepEqual(asked, [cid]);
    assert.deepEqual(blobs.get(cid), bytes);
    assert.deepEqual(await store.getBlob(cid), bytes, 'the intact bytes are stored again');
  } finally {
    store.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
