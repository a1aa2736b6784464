/**
 * Where a newcomer begins that pins a checkpoint: the ledger state after that block and the few entries around it, from
 * any peer, verified against the block's name. What was verified is kept, so that later lives need nobody for it.
 */
import { type Cid, DigestError, digestOfCid, type PeerId, type RunConfig } from '@murmuration/base';
import { type Network, NetworkError } from '@murmuration/network';
import {
  baseOf,
  type Checkpoint,
  firstEntryOf,
  openCheckpoint,
  ProtocolError,
  readLedgerEntry,
} from '@murmuration/protocol';
import { hashBytes, type Store, verifySignature } from '@murmuration/store';
import { fromString as bytesOf } from 'uint8arrays/from-string';
import { toString as textOf } from 'uint8arrays/to-string';
import { checkpointEntries, checkpointPatienceMs, checkpointRetryMs } from './defaults.ts';
import { PeerError } from './errors.ts';
import { pause } from './fetch-until-served.ts';

/** What a ledger that begins at a checkpoint begins with. */
export const baseSetting = 'ledger-base';
const pinSetting = 'checkpoint';

interface Components {
  readonly store: Store;
  readonly network: Pick<Network, 'connected' | 'fetchEntries' | 'fetchState'>;
  onWait(): void;
}

/** Remembers the checkpoint of a link until what it stands for was fetched. */
export function pinCheckpoint(store: Pick<Store, 'putSetting'>, checkpoint: Checkpoint): void {
  store.putSetting(pinSetting, bytesOf(JSON.stringify(checkpoint)));
}

function pinned(store: Pick<Store, 'getSetting'>): Checkpoint | undefined {
  const bytes = store.getSetting(pinSetting);
  return bytes && (JSON.parse(textOf(bytes)) as Checkpoint);
}

const wrong = (checkpoint: Checkpoint, reason: string): PeerError =>
  new PeerError(
    `expected block ${checkpoint.block} at round ${checkpoint.height}, as the link says: ${reason}`,
    { code: 'bad-checkpoint', ...checkpoint },
  );

/** A folder that has the round already must have the same block there. */
function compareWithStore(runId: Cid, checkpoint: Checkpoint, store: Store): void {
  const [entry] = store.entries(checkpoint.height, 1);
  if (!entry) return;
  const { id } = readLedgerEntry(entry.bytes, runId);
  if (id !== checkpoint.block) throw wrong(checkpoint, `this folder has ${id}`);
}

/**
 * What the replica begins with (`ReplicaInit.base`); `undefined` where the ledger begins at genesis. Waits until a peer
 * has it. Throws `PeerError` `bad-checkpoint` when those who answer have another block there.
 */
export async function fetchBase(
  init: { readonly run: RunConfig; readonly runId: Cid },
  components: Components,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const { store } = components;
  const checkpoint = pinned(store);
  if (checkpoint) compareWithStore(init.runId, checkpoint, store);
  const kept = store.getSetting(baseSetting);
  if (kept || !checkpoint || store.lastHeight() !== undefined) return kept;
  components.onWait();
  const base = await askAll({ ...init, checkpoint }, components, signal);
  const { height, state, entries } = baseOf(init, base, hashBytes);
  store.resetLedger(height - entries.length + 1);
  store.atomically(() => {
    for (const entry of entries) store.putEntry(entry);
    store.putState(height, state);
    store.putSetting(baseSetting, base);
  });
  return base;
}

type Answer = { readonly base: Uint8Array } | { readonly contradiction: string } | undefined;

async function ask(
  peer: PeerId,
  init: { readonly run: RunConfig; readonly runId: Cid; readonly checkpoint: Checkpoint },
  { network }: Components,
  signal: AbortSignal,
): Promise<Answer> {
  const { run, checkpoint } = init;
  const first = firstEntryOf(run, checkpoint);
  const countMax = checkpoint.height - first + checkpointEntries;
  try {
    const entries = await network.fetchEntries(peer, first, { countMax, signal });
    if (entries.length <= checkpoint.height - first) return undefined;
    const state = await network.fetchState(peer, checkpoint.height, { signal });
    return {
      base: openCheckpoint(
        { ...init, entries, state: state ?? new Uint8Array() },
        { hash: hashBytes, verify: verifySignature },
      ),
    };
  } catch (error) {
    if (signal.aborted) throw error;
    if (error instanceof NetworkError) return undefined;
    if (!(error instanceof ProtocolError)) throw error;
    return error.facts.found === undefined ? undefined : { contradiction: error.message };
  }
}

async function askAll(
  init: { readonly run: RunConfig; readonly runId: Cid; readonly checkpoint: Checkpoint },
  components: Components,
  signal: AbortSignal,
): Promise<Uint8Array> {
  checkName(init.checkpoint);
  if (init.checkpoint.height > init.run.rounds)
    throw wrong(init.checkpoint, `the run has ${init.run.rounds} rounds`);
  const contradicted = new Map<PeerId, string>();
  let sinceMs: number | undefined;
  for (;;) {
    for (const peer of components.network.connected()) {
      const answer = await ask(peer, init, components, signal);
      if (answer && 'base' in answer) return answer.base;
      if (answer) contradicted.set(peer, answer.contradiction);
    }
    if (contradicted.size > 0) sinceMs ??= performance.now();
    if (sinceMs !== undefined && performance.now() - sinceMs > checkpointPatienceMs) {
      const [[peer, reason] = ['', '']] = contradicted;
      throw wrong(init.checkpoint, `${contradicted.size} of the peers contradict it; ${peer}: ${reason}`);
    }
    await pause(checkpointRetryMs, signal);
  }
}

function checkName(checkpoint: Checkpoint): void {
  try {
    digestOfCid(checkpoint.block);
  } catch (error) {
    if (error instanceof DigestError) throw wrong(checkpoint, error.message);
    throw error;
  }
}
