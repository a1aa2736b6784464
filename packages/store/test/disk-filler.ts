/**
 * Runs on a file system of a few megabytes: fills it up with records, then tries everything else, and checks that each
 * failure is `disk-full` and that nothing stored before is lost.
 */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nameBlob } from '@murmuration/base';
import { hashBytes, openStore } from '@murmuration/store';
import { storeError } from './temporary-folder.ts';

const folder = process.argv[2] as string;
const directory = join(folder, 'run');
const ballast = join(folder, 'ballast');
writeFileSync(ballast, new Uint8Array(2 ** 20));
let store = openStore({ directory });
const blob = new Uint8Array(100_000).fill(1);
const kept = nameBlob(blob, hashBytes);
await store.putBlob(kept.cid, blob);

let records = 0;
const putNext = (): void => {
  store.putRecord({ key: `record/${records}`, height: records, bytes: new Uint8Array(2_000).fill(records) });
  records++;
};
const fill = (): void => {
  for (;;) putNext();
};
assert.throws(fill, storeError('disk-full', 'nothing that was stored before is lost'));
assert.ok(records > 100, `${records} records fitted`);

const other = new Uint8Array(300_000).fill(2);
await assert.rejects(store.putBlob(nameBlob(other, hashBytes).cid, other), storeError('disk-full'));
assert.throws(() => store.putEntry({ height: 1, bytes: new Uint8Array(100_000) }), storeError('disk-full'));
assert.equal(store.records().length, records);
assert.deepEqual(await store.getBlob(kept.cid), blob);
const temporary = readdirSync(directory, { recursive: true }).filter((name) => String(name).endsWith('.tmp'));
assert.deepEqual(temporary, []);
store.close();

assert.throws(() => openStore({ directory: join(folder, 'second') }), storeError('disk-full'));

rmSync(ballast);
store = openStore({ directory });
assert.equal(store.records().length, records);
assert.deepEqual(await store.getBlob(kept.cid), blob);
putNext();
store.putEntry({ height: 1, bytes: new Uint8Array(1_000) });
store.close();
process.stdout.write(`${records} records kept`);
