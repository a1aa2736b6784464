import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Cid, createRandom } from '@murmuration/base';
import { openStore } from '@murmuration/store';
import { temporaryFolder } from './temporary-folder.ts';

const rounds = 30;

/** Kills a writer a moment after it has said so many lines, and returns all lines that it managed to say. */
async function writeAndKill(directory: string, lines: number, momentMs: number): Promise<string[][]> {
  const child = spawn(
    process.execPath,
    [...process.execArgv, join(import.meta.dirname, 'crash-writer.ts'), directory],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const closed = once(child, 'close');
  let said = '';
  const enough = new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.split('\n').length > lines) resolve();
    });
  });
  await Promise.race([enough, closed]);
  await delay(momentMs);
  child.kill('SIGKILL');
  const [, signal] = await closed;
  assert.equal(signal, 'SIGKILL', 'the writer must not end by itself');
  return said
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' '));
}

test(`G8: what was stored before kill -9 is there afterwards, ${rounds} times`, {
  timeout: 240_000,
}, async (context) => {
  const directory = temporaryFolder(context);
  const random = createRandom('crash.test');
  const records = new Set<string>();
  const entries = new Map<number, string>();
  const blobs = new Set<Cid>();
  let snapshot: Cid | undefined;
  for (let round = 0; round < rounds; round++) {
    for (const [kind, what] of await writeAndKill(directory, 2 + random.below(12), random.below(20))) {
      assert.ok(what);
      if (kind === 'record') records.add(what);
      if (kind === 'blob') blobs.add(what as Cid);
      if (kind === 'entry') entries.set(Number(what.split('=')[0]), what.split('=')[1] as string);
      if (kind === 'snapshot') snapshot = what as Cid;
    }
    const store = openStore({ directory });
    const found = new Set(store.records().map(({ key }) => key));
    for (const key of records) assert.ok(found.has(key), `round ${round}: record ${key}`);
    const stored = store.entries(1, Number.POSITIVE_INFINITY);
    assert.equal(stored.length, store.lastHeight() ?? 0);
    for (const [height, said] of entries)
      assert.equal(
        new TextDecoder().decode(stored[height - 1]?.bytes),
        said,
        `round ${round}: entry ${height}`,
      );
    for (const cid of [...blobs].slice(-40))
      assert.ok(await store.getBlob(cid), `round ${round}: blob ${cid}`);
    if (snapshot) assert.ok(store.hasBlob(snapshot), `round ${round}: snapshot`);
    store.close();
  }
  assert.ok(records.size >= rounds && entries.size > 0, `only ${records.size} records were written`);
  context.diagnostic(
    `${records.size} records, ${entries.size} entries, ${blobs.size} blobs survived ${rounds} kills`,
  );
});
