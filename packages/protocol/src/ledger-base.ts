/**
 * Where a ledger begins that does not begin at genesis. A checkpoint is the name of a final block that somebody trusts:
 * it commits to the header, the header to θ and to the ledger state after it, the state to the voters. What is missing
 * is the block that opened the epoch. A quorum of those very voters signed it, with the block or with one that follows
 * in the same epoch, so the first certificate from the checkpoint on tells it.
 */
import { type Cid, DigestError, decodeCbor, encodeCbor, type RunConfig, runDigest } from '@murmuration/base';
import { equals } from 'uint8arrays/equals';
import { type BlockRecord, buildRecord, genesisRecord, type Rules } from './block-record.ts';
import { checkFinality } from './certificate.ts';
import { entryBytesMax, stateBytesMax } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import { bytesField, bytesListField, cidField, readFields, reading } from './fields.ts';
import type { BlockId, LedgerEntry, ReplicaComponents } from './index.ts';
import { type DecodedEntry, decodeEntry } from './ledger-entry.ts';
import { type LedgerState, stateRootOf } from './ledger-state.ts';
import { decodeState } from './state-bytes.ts';
import { executionOf } from './weights.ts';

/** A final block that a newcomer trusts. */
export interface Checkpoint {
  readonly height: number;
  readonly block: BlockId;
}

/** What peers say about a checkpoint. */
export interface CheckpointInit {
  readonly run: RunConfig;
  readonly runId: Cid;
  readonly checkpoint: Checkpoint;
  /** Entries from `firstEntryOf` on, contiguous, up to one with a certificate at or above the checkpoint. */
  readonly entries: readonly LedgerEntry[];
  /** The ledger state after the checkpoint's block. */
  readonly state: Uint8Array;
}

/** At most 16 entries lead to a checkpoint. */
const baseBytesMax = stateBytesMax + 17 * entryBytesMax;

const bad = (message: string, facts: Record<string, unknown> = {}): ProtocolError =>
  new ProtocolError(`checkpoint: ${message}`, { code: 'bad-checkpoint', ...facts });

/** The height of the oldest entry that matters: contributions to come may start from as many blocks before. */
export const firstEntryOf = ({ lateHeights }: RunConfig, { height }: Checkpoint): number =>
  Math.max(1, height - lateHeights + 1);

/** A record of which only the block counts: its state is that of the checkpoint. */
function recordOf(rules: Rules, entry: DecodedEntry, state: LedgerState, opened: BlockId): BlockRecord {
  const { header, headerBytes, announcements, id } = entry;
  const { height, parent, tensors, root } = header;
  return {
    block: {
      id,
      height,
      epoch: header.epoch,
      view: header.view,
      parent,
      proposer: header.proposer,
      contributions: announcements.map(({ contribution }) => contribution),
      tensors,
      stateRoot: root,
      execution: executionOf({ run: rules.run, members: [], norms: [] }, parent, height, []),
    },
    headerBytes,
    announcements,
    changes: [],
    state,
    next: { epoch: state.epoch, opened },
    terminal: header.changes.length > 0 || height === rules.run.rounds,
    parent: undefined,
    root: 'equal',
    finality: entry.certificate,
    opening: undefined,
    fork: undefined,
  };
}

/** The checkpoint's record with its ancestors, from entries that end with it. Nothing is verified. */
function chainOf(
  rules: Rules,
  entries: readonly DecodedEntry[],
  state: LedgerState,
  opened: BlockId,
): BlockRecord {
  let parent = entries[0]?.header.height === 1 ? genesisRecord(rules) : undefined;
  for (const entry of entries) {
    const record = recordOf(rules, entry, state, opened);
    record.parent = parent;
    parent = record;
  }
  if (entries.length === 0 || !parent) throw bad('expected its entry');
  return parent;
}

/** Who opened the epoch after the checkpoint: the block itself, or what the first certificate from it on says. */
function openedBy(
  rules: Rules,
  entries: readonly DecodedEntry[],
  index: number,
  state: LedgerState,
): BlockId {
  const at = entries[index] as DecodedEntry;
  if (at.header.changes.length > 0 || at.header.epoch !== state.epoch) return at.id;
  const signed = entries.slice(index).find(({ certificate }) => certificate);
  if (!signed?.certificate) throw bad('expected a certificate of its block or of one that follows');
  const { opened } = signed.certificate;
  let record = chainOf(rules, entries.slice(0, index + 1), state, opened);
  for (const entry of entries.slice(index + 1, entries.indexOf(signed) + 1)) {
    const built = buildRecord(rules, record, entry.id, entry.header, entry.headerBytes, entry.announcements);
    if (!built.record) throw bad(`block ${entry.header.height} after it: ${built.problem}`);
    record = built.record;
  }
  const epoch = { epoch: state.epoch, opened };
  const problem = checkFinality(signed.certificate, rules, record.block, epoch, state);
  if (problem) throw bad(problem);
  return opened;
}

/**
 * Verifies what a peer says about a checkpoint; gives bytes to keep, which a replica begins with (`ReplicaInit.base`).
 * Throws `ProtocolError` `bad-checkpoint`.
 */
export function openCheckpoint(
  { run, runId, checkpoint, entries, state: stateBytes }: CheckpointInit,
  components: Pick<ReplicaComponents, 'hash' | 'verify'>,
): Uint8Array {
  const rules: Rules = { run, runId, runDigest: runDigest(runId), ...components };
  const { height, block } = checkpoint;
  try {
    const decoded = entries.map(({ bytes }) => decodeEntry(bytes, rules.runDigest, rules.hash));
    const first = firstEntryOf(run, checkpoint);
    const index = height - first;
    const at = decoded[index];
    if (at && at.id !== block)
      throw bad(`expected block ${block} at height ${height}, the peer has ${at.id}`, { found: at.id });
    if (!at || at.header.height !== height || !equals(at.header.run, rules.runDigest))
      throw bad(`expected entries from height ${first} to ${height}`);
    decoded.slice(0, index).forEach(({ id, header }, place) => {
      const next = decoded[place + 1] as DecodedEntry;
      if (next.header.parent !== id || header.height !== first + place)
        throw bad(`block ${first + place} is not the one before the next`);
    });
    const state = decodeState(stateBytes);
    if (!equals(stateRootOf(at.header.tensors, state, rules.hash), at.header.root))
      throw bad(`the ledger state is not that of block ${block}`);
    const opened = openedBy(rules, decoded, index, state);
    const kept = entries.slice(0, index + 1).map(({ bytes }) => bytes);
    return encodeCbor({ entries: kept, opened, state: stateBytes });
  } catch (cause) {
    if (cause instanceof ProtocolError && cause.code === 'bad-checkpoint') throw cause;
    if (!(cause instanceof ProtocolError) && !(cause instanceof DigestError)) throw cause;
    throw new ProtocolError(`checkpoint: ${cause.message}`, { code: 'bad-checkpoint' }, { cause });
  }
}

/** The record that a ledger begins with, from bytes that `openCheckpoint` gave. Throws `ProtocolError` `bad-start`. */
export const readBase = (rules: Rules, bytes: Uint8Array): BlockRecord =>
  reading('cannot begin', 'bad-start', () => {
    const fields = readFields(decodeCbor(bytes, baseBytesMax), 'base', ['entries', 'opened', 'state']);
    const entries = bytesListField(fields, 'entries', 16).map((entry) =>
      decodeEntry(entry, rules.runDigest, rules.hash),
    );
    const state = decodeState(bytesField(fields, 'state', 1, stateBytesMax));
    return chainOf(rules, entries, state, cidField(fields, 'opened'));
  });

/**
 * What such bytes say: the block's height, the entries that lead to it, the ledger state after it. Throws `bad-start`.
 */
export function baseOf(
  init: Pick<CheckpointInit, 'run' | 'runId'>,
  bytes: Uint8Array,
  hash: Rules['hash'],
): { readonly height: number; readonly entries: readonly LedgerEntry[]; readonly state: Uint8Array } {
  const rules: Rules = { ...init, runDigest: runDigest(init.runId), hash, verify: () => false };
  const { height } = readBase(rules, bytes).block;
  const { entries, state } = decodeCbor(bytes, baseBytesMax) as { entries: Uint8Array[]; state: Uint8Array };
  return {
    height,
    state,
    entries: entries.map((entry, index) => ({ height: height - entries.length + 1 + index, bytes: entry })),
  };
}
