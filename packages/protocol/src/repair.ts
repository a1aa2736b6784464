/**
 * How a peer whose θ is not what the certificates say comes back. It votes and contributes no more, and takes the state
 * of a final block: the next one at a snapshot height if that is known already, else one of the last two, which it may
 * even have itself. From an older one it goes on by the stored ledger, as after a restart.
 */
import { type BlockRecord, buildRecord } from './block-record.ts';
import { ProtocolError } from './errors.ts';
import { undoAll } from './follow.ts';
import type { LedgerEntry } from './index.ts';
import { decodeEntry } from './ledger-entry.ts';
import type { Machine } from './machine.ts';
import { parentOf } from './opening.ts';

/** A record with copies of the ancestors that its children are checked against; others may cut theirs off. */
function detach(record: BlockRecord, depth: number): BlockRecord {
  const parent = depth > 0 && record.parent ? detach(record.parent, depth - 1) : undefined;
  return { ...record, parent };
}

/** Remembers the last two settled blocks of snapshot heights. */
export function noteSnapshot(machine: Machine, record: BlockRecord): void {
  const { snapshotEvery, lateHeights } = machine.rules.run;
  const { height } = record.block;
  if (height % snapshotEvery !== 0 || height === 0) return;
  if (machine.snapshots.some(({ block }) => block.height >= height)) return;
  machine.snapshots.push(detach(record, lateHeights));
  if (machine.snapshots.length > 2) machine.snapshots.shift();
}

/** Goes back to a settled snapshot when the engine needs a state and no newer one is final. Returns whether it does. */
export function goBack(machine: Machine): boolean {
  if (!machine.repairing || machine.installing) return false;
  const snapshot = machine.snapshots.at(-1);
  if (!snapshot) return false;
  undoAll(machine);
  machine.installing = {
    block: snapshot.block.id,
    height: snapshot.block.height,
    tensors: snapshot.block.tensors,
    askedAt: Number.NEGATIVE_INFINITY,
    own: undefined,
  };
  return true;
}

/** The engine could not make a block its own, because a delta of it is lost. */
export function onUnapplied(machine: Machine): void {
  machine.repairing = true;
}

/** What was computed from a θ that is gone counts no more. */
export function forgetExecutions(machine: Machine): void {
  machine.executions.clear();
  machine.plan = undefined;
  for (const record of machine.records.values())
    if (record.block.contributions.length > 0 && record.block.height > machine.settled.block.height)
      record.root = 'unknown';
}

/** Stands at an older snapshot again; `entries` are the stored ones after it. Throws `ProtocolError` `bad-start`. */
export function resumeFrom(machine: Machine, entries: readonly LedgerEntry[]): void {
  const snapshot = machine.snapshots.find(({ block }) => block.id === machine.installing?.block);
  if (!snapshot) return;
  const last = machine.settled.block.height;
  const base = detach(snapshot, machine.rules.run.lateHeights);
  for (let at: BlockRecord | undefined = base; at; at = at.parent) machine.records.set(at.block.id, at);
  const chain = [base];
  for (const { bytes } of entries) {
    const next = recordAfter(machine, chain.at(-1) as BlockRecord, bytes);
    if (next.block.height > last) break;
    machine.records.set(next.block.id, next);
    chain.push(next);
  }
  if (chain.at(-1)?.block.height !== last)
    throw new ProtocolError(
      `expected the stored ledger up to ${last}, got it up to ${chain.at(-1)?.block.height}`,
      {
        code: 'bad-start',
        height: last,
      },
    );
  machine.settled = base;
  machine.decided.unshift(...chain.slice(1));
  for (const record of machine.records.values())
    if (record.parent) record.parent = machine.records.get(record.parent.block.id) ?? record.parent;
}

function recordAfter(machine: Machine, before: BlockRecord, bytes: Uint8Array): BlockRecord {
  const { rules } = machine;
  const entry = decodeEntry(bytes, rules.runDigest, rules.hash);
  const known = machine.records.get(entry.id);
  if (known) {
    known.parent = before;
    return known;
  }
  const parent = parentOf(rules, before, entry);
  if (typeof parent === 'string')
    throw new ProtocolError(`stored block ${before.block.height + 1}: ${parent}`, { code: 'bad-start' });
  const { id, header, headerBytes, announcements } = entry;
  const { record, problem } = buildRecord(rules, parent, id, header, headerBytes, announcements);
  if (!record)
    throw new ProtocolError(`stored block ${before.block.height + 1}: ${problem}`, { code: 'bad-start' });
  record.finality = entry.certificate;
  return record;
}
