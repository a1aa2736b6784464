import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from './database.ts';
import { createKeyFile, readIdentity } from './identity.ts';
import type { Identity, VoteKey } from './index.ts';
import { factOf, putFact } from './ledger.ts';

const pathOf = (directory: string): string => join(directory, 'vote-key');
const generationOf = (database: Database): number => (factOf(database, 'voteKey') as number | undefined) ?? 0;

/** The key of the folder's newest generation; that of generation 0 is the identity's. */
export function readVoteKey(directory: string, database: Database, identity: Identity): VoteKey {
  const generation = generationOf(database);
  const { peer, sign } = generation === 0 ? identity : readIdentity(pathOf(directory));
  return { key: peer, generation, sign };
}

/** Makes the key of the next generation; durable when it returns. */
export function createVoteKey(directory: string, database: Database): void {
  const path = pathOf(directory);
  rmSync(path, { force: true });
  createKeyFile(path);
  putFact(database, 'voteKey', generationOf(database) + 1);
}
