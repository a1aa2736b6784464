/**
 * A peer's folder as release 1 writes it. `fixtures/ledger-1.sqlite` holds its ledger for ever; the key and the blobs'
 * files follow from what stands here. Wrote the fixture:
 *
 *     node --conditions=murmuration-source packages/store/test/release-1.ts write
 */
import { createPrivateKey } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cidOf, KiB, nameBlob } from '@murmuration/base';
import { openStore } from '@murmuration/store';

const bytesOf = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
const pkcs8OfSeed = '302e020100300506032b657004220420';

export const ledgerPath: string = join(import.meta.dirname, 'fixtures', 'ledger-1.sqlite');

/** What the folder holds. */
export const contents = {
  seed: new Uint8Array(32).fill(7),
  runId: cidOf(bytesOf(1)),
  records: [
    { key: 'vote/0/3', height: 3, bytes: bytesOf(1, 2) },
    { key: 'proposal/0/4', height: 4, bytes: bytesOf() },
  ],
  entries: [1, 2, 3].map((height) => ({ height, bytes: bytesOf(height, 9) })),
  setting: { key: 'addresses', value: bytesOf(5) },
  metric: { name: 'loss', height: 2, value: 1.5, timeMs: 10 },
  blobs: [new Uint8Array(1_000).fill(1), new Uint8Array(300 * KiB).fill(2)],
} as const;

/** Writes the key file of the fixture's peer. */
export function writeKey(directory: string): void {
  const der = Buffer.concat([Buffer.from(pkcs8OfSeed, 'hex'), contents.seed]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  writeFileSync(join(directory, 'key'), key.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
}

/** Lays out the folder as it was: key, ledger, blobs. */
export function layOut(directory: string): void {
  writeKey(directory);
  copyFileSync(ledgerPath, join(directory, 'ledger.sqlite'));
  for (const bytes of contents.blobs) {
    const { cid } = nameBlob(bytes);
    const path = join(directory, 'blobs', cid.slice(-2), cid);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }
}

if (process.argv[2] === 'write') {
  const directory = mkdtempSync(join(tmpdir(), 'murmuration-release-1-'));
  writeKey(directory);
  const store = openStore({ directory, runId: contents.runId });
  for (const record of contents.records) store.putRecord(record);
  for (const entry of contents.entries) store.putEntry(entry);
  store.putSetting(contents.setting.key, contents.setting.value);
  store.putMetric(contents.metric);
  for (const bytes of contents.blobs) await store.putBlob(nameBlob(bytes).cid, bytes);
  store.pinBlob(nameBlob(contents.blobs[0]).cid);
  store.close();
  mkdirSync(dirname(ledgerPath), { recursive: true });
  copyFileSync(join(directory, 'ledger.sqlite'), ledgerPath);
  rmSync(directory, { recursive: true });
}
