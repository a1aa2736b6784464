import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { createRandom, nameBlob } from '@murmuration/base';
import { openStore, processUsing, StoreError } from '@murmuration/store';
import { storeError, temporaryFolder } from './temporary-folder.ts';

const draw = createRandom('open.test');
const randomBytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => draw.below(256));

/** Another process that opens the folder, writes one record, and holds on. */
async function holder(context: TestContext, directory: string) {
  const script = `import { openStore } from '@murmuration/store';
    const store = openStore({ directory: ${JSON.stringify(directory)} });
    store.putRecord({ key: 'held', height: 1, bytes: Uint8Array.of(7) });
    process.stdout.write('open');
    setInterval(() => undefined, 1_000);`;
  const child = spawn(process.execPath, [...process.execArgv, '--input-type=module', '--eval', script], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => child.kill('SIGKILL'));
  const [said] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  assert.equal(String(said), 'open');
  return child;
}

test('openStore refuses a folder that another process uses, names it, and gets it when that one is killed', async (context) => {
  const directory = temporaryFolder(context);
  const child = await holder(context, directory);
  assert.throws(() => openStore({ directory }), storeError('locked', directory, child.pid as number));
  assert.equal(processUsing(directory), child.pid);

  const reader = openStore({ directory, readOnly: true });
  assert.deepEqual(
    reader.records().map(({ key }) => key),
    ['held'],
  );
  reader.close();

  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(processUsing(directory), undefined);
  const afterwards = openStore({ directory, readOnly: true });
  assert.equal(afterwards.records().length, 1);
  afterwards.close();
  const store = openStore({ directory });
  assert.equal(store.records().length, 1);
  store.close();
});

test('openStore refuses a second opening in the same process until the first is closed', (context) => {
  const directory = temporaryFolder(context);
  assert.equal(processUsing(directory), undefined);
  const first = openStore({ directory });
  assert.throws(() => openStore({ directory }), storeError('locked', process.pid));
  assert.throws(() => openStore({ directory }), storeError('locked', process.pid));
  first.close();
  first.close();
  openStore({ directory }).close();
});

test('openStore readOnly sees what the writer does, changes nothing, and creates nothing', async (context) => {
  const directory = temporaryFolder(context);
  assert.throws(() => openStore({ directory, readOnly: true }), storeError('missing', directory));
  assert.deepEqual(readdirSync(directory), []);

  const writer = openStore({ directory });
  const reader = openStore({ directory, readOnly: true });
  const bytes = randomBytes(1_000);
  const { cid } = nameBlob(bytes);
  writer.putEntry({ height: 1, bytes });
  writer.putMetric({ height: 1, name: 'loss', value: 2, timeMs: 1 });
  await writer.putBlob(cid, bytes);
  assert.equal(reader.lastHeight(), 1);
  assert.equal(reader.metrics('loss').length, 1);
  assert.equal(reader.identity.peer, writer.identity.peer);
  assert.deepEqual(await reader.getBlob(cid), bytes);

  const other = nameBlob(Uint8Array.of(1)).cid;
  assert.throws(() => reader.putRecord({ key: 'a', height: 1, bytes }), storeError('read-only'));
  assert.throws(
    () => reader.putMetric({ height: 1, name: 'a', value: 1, timeMs: 1 }),
    storeError('read-only'),
  );
  assert.throws(() => reader.bindRun(other), storeError('read-only'));
  await assert.rejects(reader.putBlob(other, Uint8Array.of(1)), storeError('read-only'));

  const path = join(directory, 'blobs', cid.slice(-2), cid);
  writeFileSync(path, 'rotten');
  assert.equal(await reader.getBlob(cid), undefined);
  assert.equal(existsSync(path), true);
  reader.close();
  writer.close();
});

test('Store says closed after close', async (context) => {
  const store = openStore({ directory: temporaryFolder(context) });
  store.close();
  assert.throws(() => store.records(), storeError('closed'));
  assert.throws(
    () => store.putRecord({ key: 'a', height: 1, bytes: new Uint8Array() }),
    storeError('closed'),
  );
  await assert.rejects(store.putBlob(nameBlob(Uint8Array.of(1)).cid, Uint8Array.of(1)), storeError('closed'));
});

test('openStore refuses a ledger that is garbage, in part or whole, and touches nothing', (context) => {
  const directory = temporaryFolder(context);
  const path = join(directory, 'ledger.sqlite');
  const first = openStore({ directory });
  for (let height = 1; height < 200; height++) first.putEntry({ height, bytes: randomBytes(300) });
  first.close();
  const intact = readFileSync(path);

  const garbage = [randomBytes(100), randomBytes(4_096), randomBytes(100_000), intact.subarray(0, 8_192)];
  for (let trial = 0; trial < 20; trial++) {
    const damaged = new Uint8Array(intact);
    damaged.set(randomBytes(4_096), 4_096 * (1 + draw.below(intact.length / 4_096 - 1)));
    garbage.push(damaged);
  }
  let refused = 0;
  for (const bytes of garbage) {
    writeFileSync(path, bytes);
    try {
      openStore({ directory }).close();
    } catch (error) {
      assert.ok(error instanceof StoreError, String(error));
      assert.equal(error.code, 'corrupt', error.message);
      assert.deepEqual(new Uint8Array(readFileSync(path)), new Uint8Array(bytes));
      refused++;
    }
    assert.equal(processUsing(directory), undefined);
  }
  assert.ok(refused >= garbage.length - 2, `${refused} of ${garbage.length} refused`);
  writeFileSync(path, intact);
  const again = openStore({ directory });
  assert.equal(again.lastHeight(), 199);
  again.close();
});

test('openStore refuses the ledger of a later release and the SQLite file of another program', (context) => {
  const directory = temporaryFolder(context);
  const path = join(directory, 'ledger.sqlite');
  openStore({ directory }).close();
  const change = (sql: string): void => {
    const database = new DatabaseSync(path);
    database.exec(sql);
    database.close();
  };
  change('PRAGMA user_version = 2');
  assert.throws(() => openStore({ directory }), storeError('unknown-version', 1, 2));
  change('PRAGMA application_id = 5');
  assert.throws(() => openStore({ directory }), storeError('corrupt', 'another program'));
});

test('openStore makes a folder that only its owner can enter', (context) => {
  const directory = join(temporaryFolder(context), 'deep', 'run');
  openStore({ directory }).close();
  assert.deepEqual(readdirSync(directory).sort(), [
    'blobs',
    'key',
    'ledger.sqlite',
    'lock',
    'mark',
    'snapshots',
  ]);
  const file = join(directory, 'key', 'run');
  assert.throws(() => openStore({ directory: file }), storeError('io'));
});

test('openStore says no-access where it may not write', { skip: process.getuid?.() === 0 }, (context) => {
  const directory = temporaryFolder(context);
  chmodSync(directory, 0o500);
  assert.throws(() => openStore({ directory: join(directory, 'run') }), storeError('no-access'));
  chmodSync(directory, 0o700);
});
