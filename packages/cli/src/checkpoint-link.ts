import { type Cid, decodeRunConfig } from '@murmuration/base';
import { type Checkpoint, readLedgerEntry } from '@murmuration/protocol';
import type { Store } from '@murmuration/store';
import { CliError } from './errors.ts';
import { formatRunLink } from './run-link.ts';

/** Peers in a printed link: a newcomer needs one that answers. */
const linkPeersMax = 8;

/** The newest round of which a folder has all that a newcomer begins with; `undefined` before the first snapshot. */
async function newestCheckpoint(
  store: Pick<Store, 'getBlob' | 'entries' | 'lastHeight' | 'state'>,
  runId: Cid,
): Promise<Checkpoint | undefined> {
  const settings = await store.getBlob(runId);
  if (!settings) return undefined;
  const { snapshotEvery } = decodeRunConfig(settings);
  const last = store.lastHeight() ?? 0;
  for (let height = last - (last % snapshotEvery); height > 0; height -= snapshotEvery) {
    const [entry] = store.entries(height, 1);
    if (!entry) return undefined;
    if (store.state(height)) return { height, block: readLedgerEntry(entry.bytes, runId).id };
  }
  return undefined;
}

/** A link that begins at the newest checkpoint. Throws `CliError` `no-checkpoint` before the first snapshot. */
export async function checkpointLink(
  store: Parameters<typeof newestCheckpoint>[0],
  runId: Cid,
  addresses: readonly string[],
): Promise<string> {
  const checkpoint = await newestCheckpoint(store, runId);
  if (!checkpoint)
    throw new CliError(
      'expected a round with a snapshot, this folder has none yet: the link of the run does',
      {
        code: 'no-checkpoint',
      },
    );
  return formatRunLink({ runId, peers: addresses.slice(0, linkPeersMax), checkpoint });
}
