import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createBlobs } from './blobs.ts';
import { type Database, openDatabase } from './database.ts';
import { blobBytesMax, snapshotsKept } from './defaults.ts';
import { openDownload, openDownloads } from './download.ts';
import { StoreError, storeErrorOf } from './errors.ts';
import { createKeyFile, readIdentity } from './identity.ts';
import type { Identity, Store, StoreInit } from './index.ts';
import { createLedger, factOf, putFact } from './ledger.ts';
import { lockFolder } from './lock.ts';
import { isCopy, markFolder, markLost } from './mark.ts';
import { createVoteKey, readVoteKey } from './vote-key.ts';

/**
 * Opens a peer's folder; makes it, with a new key, if it is not there (unless `readOnly`). Throws `StoreError`:
 * `locked`, `other-run`, `other-peer`, `missing`, `bad-key`, `key-permissions`, `corrupt`, `unknown-version`,
 * `no-access`, `disk-full`.
 */
export function openStore(init: StoreInit): Store {
  const { directory, readOnly = false } = init;
  if (!readOnly) makeFolder(directory);
  const lock = readOnly ? undefined : lockFolder(directory);
  let database: Database | undefined;
  try {
    database = openDatabase(join(directory, 'ledger.sqlite'), readOnly);
    return storeOf(init, database, () => lock?.release());
  } catch (error) {
    database?.close();
    lock?.release();
    throw error;
  }
}

function storeOf(init: StoreInit, database: Database, release: () => void): Store {
  const { directory, readOnly = false } = init;
  const hasLostLedger = isKeyAlone(directory, database);
  if (hasLostLedger && !readOnly) markLost(database);
  const identity = identityOf(directory, database, readOnly);
  const ledger = createLedger(database, directory);
  const mayBind = !readOnly || ledger.runId !== undefined;
  if (init.runId !== undefined && mayBind) ledger.bindRun(init.runId);
  const blobs = createBlobs(
    {
      directory,
      readOnly,
      blobBytesMax: init.blobBytesMax ?? blobBytesMax,
      snapshotsKept: init.snapshotsKept ?? snapshotsKept,
      now: () => Date.now(),
    },
    database,
  );
  let voteKey = readVoteKey(directory, database, identity);
  let isRestored = hasLostLedger || isCopy(directory, database);
  if (!readOnly && !isRestored) markFolder(directory, database);
  let isOpen = true;
  return {
    ...ledger,
    ...blobs,
    downloads: () => openDownloads(directory),
    openDownload: (cid) => openDownload(directory, cid, blobs.adoptSnapshot),
    directory,
    identity,
    get runId() {
      return ledger.runId;
    },
    get voteKey() {
      return voteKey;
    },
    get isRestored() {
      return isRestored;
    },
    renewVoteKey() {
      if (readOnly)
        throw new StoreError(`${directory}: expected a folder to write to, it was opened read-only`, {
          code: 'read-only',
          directory,
        });
      createVoteKey(directory, database);
      markFolder(directory, database);
      isRestored = false;
      voteKey = readVoteKey(directory, database, identity);
      return voteKey;
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      database.close();
      release();
    },
  };
}

/** Whether a key lies in a folder whose ledger is new: what it has signed was in another one. */
const isKeyAlone = (directory: string, database: Database): boolean =>
  factOf(database, 'peer') === undefined &&
  statSync(join(directory, 'key'), { throwIfNoEntry: false }) !== undefined;

/** Reads the key, or makes one for a new folder. A ledger holds the votes of one key only: another key is refused. */
function identityOf(directory: string, database: Database, readOnly: boolean): Identity {
  const path = join(directory, 'key');
  const owner = factOf(database, 'peer');
  const isNew = owner === undefined && !statSync(path, { throwIfNoEntry: false });
  if (isNew && !readOnly) createKeyFile(path);
  const identity = readIdentity(path);
  if (owner === undefined && !readOnly) putFact(database, 'peer', identity.peer);
  if (owner !== undefined && owner !== identity.peer)
    throw new StoreError(`${path}: expected the key of ${owner}, found that of ${identity.peer}`, {
      code: 'other-peer',
      directory,
      expected: owner,
      found: identity.peer,
    });
  return identity;
}

function makeFolder(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw storeErrorOf(error, directory);
  }
}
