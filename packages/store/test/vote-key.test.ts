import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { openStore, verifySignature } from '@murmuration/store';
import { storeError, temporaryFolder } from './temporary-folder.ts';

const message = Uint8Array.of(1, 2, 3);

/** Opens a folder, looks, and closes it. */
function look(directory: string): { readonly isRestored: boolean; readonly generation: number } {
  const store = openStore({ directory });
  const { isRestored, voteKey } = store;
  store.close();
  return { isRestored, generation: voteKey.generation };
}

/** A folder that was used a few times. */
function used(parent: string): string {
  const directory = join(parent, 'peer');
  for (let times = 0; times < 3; times++) assert.equal(look(directory).isRestored, false);
  return directory;
}

test('voteKey is the identity until it is renewed, and then another one for good (G8)', (context) => {
  const directory = used(temporaryFolder(context));
  const store = openStore({ directory });
  assert.equal(store.voteKey.key, store.identity.peer);
  assert.equal(store.voteKey.generation, 0);
  const renewed = store.renewVoteKey();
  assert.equal(store.voteKey, renewed);
  assert.notEqual(renewed.key, store.identity.peer);
  assert.equal(renewed.generation, 1);
  assert.equal(verifySignature(renewed.key, message, renewed.sign(message)), true);
  assert.equal(statSync(join(directory, 'vote-key')).mode & 0o077, 0);
  store.close();
  const again = openStore({ directory });
  assert.equal(again.isRestored, false);
  assert.equal(again.voteKey.key, renewed.key);
  assert.deepEqual(again.voteKey.sign(message), renewed.sign(message));
  assert.notEqual(again.renewVoteKey().key, renewed.key);
  assert.equal(again.voteKey.generation, 2);
  again.close();
});

test('isRestored is false for a folder that was moved, or left behind by a crash', (context) => {
  const parent = temporaryFolder(context);
  const directory = used(parent);
  const moved = join(parent, 'moved');
  renameSync(directory, moved);
  assert.equal(look(moved).isRestored, false);
});

test('isRestored is true for a copy until its key is renewed, and never for the original (G5)', (context) => {
  const parent = temporaryFolder(context);
  const directory = used(parent);
  const copy = join(parent, 'copy');
  cpSync(directory, copy, { recursive: true, preserveTimestamps: true });
  assert.equal(look(directory).isRestored, false);
  assert.equal(look(copy).isRestored, true);
  assert.equal(look(copy).isRestored, true, 'looking at it does not make it the original');
  const store = openStore({ directory: copy });
  store.renewVoteKey();
  assert.equal(store.isRestored, false);
  store.close();
  assert.deepEqual(look(copy), { isRestored: false, generation: 1 });
  assert.deepEqual(look(directory), { isRestored: false, generation: 0 });
});

test('isRestored is true after a backup was put in the place of a folder', (context) => {
  const parent = temporaryFolder(context);
  const directory = used(parent);
  const backup = join(parent, 'backup');
  cpSync(directory, backup, { recursive: true, preserveTimestamps: true });
  look(directory);
  rmSync(directory, { recursive: true });
  cpSync(backup, directory, { recursive: true, preserveTimestamps: true });
  assert.equal(look(directory).isRestored, true);
});

test('isRestored is true until the key is renewed where the ledger was lost and the key was not (G5)', (context) => {
  const directory = used(temporaryFolder(context));
  for (const name of readdirSync(directory))
    if (name.startsWith('ledger') || name === 'mark') rmSync(join(directory, name));
  assert.deepEqual(look(directory), { isRestored: true, generation: 0 });
  assert.equal(look(directory).isRestored, true, 'looking at it does not bring the ledger back');
  const store = openStore({ directory });
  store.renewVoteKey();
  store.close();
  assert.deepEqual(look(directory), { isRestored: false, generation: 1 });
});

test('isRestored is true after only the ledger was put back, into the same file', (context) => {
  const parent = temporaryFolder(context);
  const directory = used(parent);
  const backup = join(parent, 'ledger.sqlite');
  copyFileSync(join(directory, 'ledger.sqlite'), backup);
  look(directory);
  copyFileSync(backup, join(directory, 'ledger.sqlite'));
  assert.equal(look(directory).isRestored, true);
});

test('isRestored is true after a backup of the running peer was written over the files in place', (context) => {
  const parent = temporaryFolder(context);
  const directory = used(parent);
  const store = openStore({ directory });
  const backup = join(parent, 'backup');
  mkdirSync(backup);
  for (const name of ['ledger.sqlite', 'mark']) copyFileSync(join(directory, name), join(backup, name));
  store.putRecord({ key: 'vote/0/1/skip', height: 1, bytes: message });
  store.close();
  for (const name of ['ledger.sqlite', 'mark']) copyFileSync(join(backup, name), join(directory, name));
  assert.equal(look(directory).isRestored, true);
});

test('isRestored is true when in doubt: after chmod of the mark', (context) => {
  const directory = used(temporaryFolder(context));
  chmodSync(join(directory, 'mark'), 0o640);
  assert.equal(look(directory).isRestored, true);
});

test('renewVoteKey is refused by a folder that is opened read-only', (context) => {
  const directory = used(temporaryFolder(context));
  const store = openStore({ directory, readOnly: true });
  context.after(() => store.close());
  assert.throws(() => store.renewVoteKey(), storeError('read-only', directory));
  assert.equal(store.isRestored, false);
});

test('isRestored is false after a crash between the new mark and the note of it', (context) => {
  const directory = used(temporaryFolder(context));
  const database = new DatabaseSync(join(directory, 'ledger.sqlite'));
  database.exec(`INSERT OR REPLACE INTO facts (name, value) VALUES ('marking', '${'ab'.repeat(16)}')`);
  database.close();
  assert.equal(look(directory).isRestored, false, 'before the mark was written');
  const again = new DatabaseSync(join(directory, 'ledger.sqlite'));
  again.exec(`INSERT OR REPLACE INTO facts (name, value) VALUES ('marking', '${'cd'.repeat(16)}')`);
  again.close();
  writeFileSync(join(directory, 'mark'), `${'cd'.repeat(16)}\n`);
  assert.equal(look(directory).isRestored, false, 'after it was written');
});
