/** From what the store and the engine have after a restart to a machine that contradicts nothing it has signed. */
import { DigestError } from '@murmuration/base';
import { restoreEvidence } from './accuse.ts';
import { holdOwn, wantDelta } from './blobs.ts';
import { ancestorAt, type BlockRecord, buildRecord } from './block-record.ts';
import { ProtocolError } from './errors.ts';
import { restoreOpening } from './gather.ts';
import type { BlockId, DurableRecord, LedgerEntry, ReplicaEvent } from './index.ts';
import { decodeAnnouncement, decodeEntry } from './ledger-entry.ts';
import { listenAnew } from './listen.ts';
import { type Machine, tipOf } from './machine.ts';
import { noteRekeys, restoreMemory } from './memory.ts';
import { misplacedOpening, openedRecord, parentOf, parseOpening } from './opening.ts';
import { isIncluded } from './own.ts';
import { restoreRenewals } from './pending-changes.ts';
import { addToPool } from './pool.ts';
import { storedExpiry } from './recovery-records.ts';
import { noteSnapshot } from './repair.ts';
import { restoreSignatures } from './restore.ts';
import { openViews, reportEnd, sweep } from './settle.ts';
import { beginLife } from './sign.ts';

type Start = Extract<ReplicaEvent, { kind: 'start' }>;

export function start(machine: Machine, event: Start): void {
  try {
    const chain = readLedger(machine, event.ledger);
    restoreBlocks(machine, event.records);
    placeEngine(machine, chain, event);
    restoreReopening(machine, event.records);
    restoreContributions(machine, event.records, chain);
    restoreSignatures(machine, event.records);
    for (const { key, bytes } of event.records)
      if (key.startsWith('opening/')) restoreOpening(machine, bytes);
    restoreEvidence(machine, event.records);
    restoreRenewals(machine, event.records);
    for (const record of chain) noteRekeys(machine, record);
    restoreMemory(machine, event.records);
    beginLife(machine, event.records);
    if (event.ledger.length + event.records.length > 0) listenAnew(machine);
    if (tipOf(machine).parent?.state.voters.includes(machine.init.self)) machine.votedAt = machine.now;
  } catch (cause) {
    if (!(cause instanceof ProtocolError) && !(cause instanceof DigestError)) throw cause;
    throw new ProtocolError(`cannot start: ${cause.message}`, { code: 'bad-start' }, { cause });
  }
  reportEnd(machine);
  if (machine.settled !== machine.genesis) sweep(machine);
}

/** The stored chain from genesis. Its certificates were checked when it was stored. */
function readLedger(machine: Machine, entries: readonly LedgerEntry[]): BlockRecord[] {
  const { rules } = machine;
  const chain = [machine.genesis];
  for (const { bytes } of entries) {
    const entry = decodeEntry(bytes, rules.runDigest, rules.hash);
    const before = chain.at(-1) as BlockRecord;
    const parent = parentOf(rules, before, entry);
    if (typeof parent === 'string')
      throw new ProtocolError(`stored block ${before.block.height + 1}: ${parent}`, {
        code: 'bad-start',
        height: before.block.height + 1,
      });
    const { record, problem } = buildRecord(
      rules,
      parent,
      entry.id,
      entry.header,
      entry.headerBytes,
      entry.announcements,
    );
    if (!record)
      throw new ProtocolError(`stored block ${parent.block.height + 1}: ${problem}`, {
        code: 'bad-start',
        height: parent.block.height + 1,
      });
    record.finality = entry.certificate;
    chain.push(record);
    machine.records.set(entry.id, record);
  }
  return chain;
}

/** Blocks that were applied but not final, with their notarizations. */
function restoreBlocks(machine: Machine, records: readonly DurableRecord[]): void {
  const { rules } = machine;
  const kept = records
    .filter(({ key }) => key.startsWith('block/'))
    .map(({ bytes }) => decodeEntry(bytes, rules.runDigest, rules.hash))
    .sort((a, b) => a.header.height - b.header.height);
  for (const entry of kept) {
    const before = machine.records.get(entry.header.parent);
    if (!before || machine.records.has(entry.id)) continue;
    const parent = parentOf(rules, before, entry);
    if (typeof parent === 'string') continue;
    const { id, header, headerBytes, announcements } = entry;
    const { record } = buildRecord(rules, parent, id, header, headerBytes, announcements);
    if (record) machine.records.set(id, record);
    if (record && entry.certificate) machine.restored.push(entry.certificate);
  }
}

/** Finds the engine's block, takes back what is not on the final chain, and queues the final blocks that it lacks. */
function placeEngine(machine: Machine, chain: readonly BlockRecord[], event: Start): void {
  const tip = chain.at(-1) as BlockRecord;
  const lowest = machine.genesis.block.height;
  const isBefore = machine.init.base !== undefined && (event.applied?.height ?? 0) < lowest;
  const stack = isBefore ? [] : [...(event.undoable ?? [])];
  if (!isBefore && event.applied && stack.at(-1)?.block !== event.applied.block) stack.push(event.applied);
  const isKnown = (block: BlockId): boolean => machine.records.has(block);
  while (stack.length > 0 && !isKnown((stack.at(-1) as { block: BlockId }).block)) {
    const { block, height } = stack.pop() as { block: BlockId; height: number };
    if (stack.length === 0 && (event.undoable?.length ?? 0) === 0)
      throw new ProtocolError(`the engine stands at the unknown block ${block} of height ${height}`, {
        code: 'bad-start',
        height,
      });
    machine.out.rest.push({ kind: 'undo', block, height });
  }
  const top = stack.at(-1);
  const below = event.undoable?.[0]?.height;
  const fallback = below === undefined ? machine.genesis : (chain[below - 1 - lowest] ?? tip);
  const stand = top
    ? (machine.records.get(top.block) as BlockRecord)
    : event.applied
      ? fallback
      : machine.genesis;
  const undoable = new Set(event.undoable?.map(({ block }) => block));
  const path: BlockRecord[] = [];
  let at = stand;
  while (undoable.has(at.block.id) || chain[at.block.height - lowest] !== at) {
    path.unshift(at);
    at = at.parent as BlockRecord;
  }
  machine.settled = at;
  machine.applied = path;
  machine.decided = chain.slice(at.block.height + 1 - lowest);
  for (const record of [at, ...path]) record.root = 'equal';
  if (isBefore) {
    const { id, height, tensors } = at.block;
    machine.installing = { block: id, height, tensors, askedAt: Number.NEGATIVE_INFINITY, own: undefined };
  }
  for (const record of chain.slice(0, at.block.height + 1 - lowest)) noteSnapshot(machine, record);
  for (const { tensors, bytes } of event.atHand ?? []) machine.atHand.set(tensors, bytes);
  openViews(machine, tip.block.epoch, tip.finality?.view ?? tip.block.view);
  if (tip.state.epoch === tip.block.epoch) return;
  machine.floor = -1;
}

/** A founders' opening that was accepted at the newest block of the ledger. */
function restoreReopening(machine: Machine, records: readonly DurableRecord[]): void {
  const bytes = records.find(({ key }) => key === 'reopened')?.bytes;
  const tip = tipOf(machine);
  if (!bytes || misplacedOpening(parseOpening(bytes), tip)) return;
  const opened = openedRecord(machine.rules, tip, parseOpening(bytes));
  const place = (list: BlockRecord[]): BlockRecord[] =>
    list.map((record) => (record === tip ? opened : record));
  machine.records.set(tip.block.id, opened);
  machine.decided = place(machine.decided);
  machine.applied = place(machine.applied);
  if (machine.settled === tip) machine.settled = opened;
  noteRekeys(machine, opened);
  openViews(machine, tip.next.epoch, -1);
}

function restoreContributions(
  machine: Machine,
  records: readonly DurableRecord[],
  chain: readonly BlockRecord[],
): void {
  const { rules } = machine;
  const expiry = storedExpiry(records);
  const all = records
    .filter(({ key }) => key.startsWith('contribution/'))
    .map(({ bytes }) => ({ ...decodeAnnouncement(bytes, rules.runDigest, rules.hash), bytes }))
    .sort((a, b) => a.contribution.sequence - b.contribution.sequence);
  const own = new Map(all.map((entry) => [entry.contribution.sequence, entry])).values();
  for (const { contribution, bytes } of own) {
    machine.own.sequence = contribution.sequence;
    machine.own.last = contribution;
    const entry = { contribution, bytes, expired: false };
    const { settled } = machine;
    const isFinal = isIncluded(chain.at(-1) as BlockRecord, entry);
    if (isFinal && isIncluded(settled, entry)) continue;
    const tooLate = settled.block.height >= contribution.baseHeight + rules.run.lateHeights;
    const base = ancestorAt(settled, contribution.baseHeight);
    const forked = base !== undefined && base.block.id !== contribution.base;
    const state = expiry(contribution.sequence);
    if (state === 'done' && !isFinal) continue;
    entry.expired = state === 'expired';
    if (tooLate || forked)
      machine.out.rest.push({ kind: 'expire', contribution: contribution.cid, blob: contribution.blob });
    else {
      machine.own.contributions.set(contribution.sequence, entry);
      holdOwn(machine, contribution);
      addToPool(machine, entry);
    }
  }
  for (const record of machine.applied)
    for (const announcement of record.announcements) {
      if (announcement.contribution.author === machine.init.self) continue;
      wantDelta(machine, announcement.contribution);
      addToPool(machine, announcement);
    }
}
