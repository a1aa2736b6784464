import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Cid, cidOf, encodeRunConfig, runIdOf } from '@murmuration/base';
import { openStore } from '@murmuration/store';
import { createRun, freshNonce, openOffline, storeRun, textModel } from '../src/index.ts';
import { createTinyRun } from './tiny-run.ts';

const childrenOf = (pid: number): string[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((child) => child !== '');

test('openOffline leaves no engine behind when that cannot open the run', { timeout: 240_000 }, async () => {
  const tiny = await createTinyRun();
  const directory = `${tiny.directory}/forged`;
  const store = openStore({ directory });
  const created = createRun({
    name: 'forged',
    nonce: freshNonce(),
    founders: [store.identity.peer],
    model: textModel({ vocabulary: 260, context: 32, width: 32, layers: 1, heads: 2 }),
  });
  const { initial } = created.run;
  const run = { ...created.run, initial: { ...initial, tensors: cidOf(new Uint8Array()) } };
  const runId = runIdOf(run);
  const blobs = new Map<Cid, Uint8Array>([...created.blobs, [runId, encodeRunConfig(run)]]);
  await storeRun(store, { run, runId, blobs });
  store.close();
  const before = childrenOf(process.pid);
  await assert.rejects(openOffline({ directory }), { name: 'EngineError', code: 'bad-initial-state' });
  assert.deepEqual(childrenOf(process.pid), before);
  openStore({ directory }).close();
  tiny.remove();
});
