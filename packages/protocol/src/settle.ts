/**
 * Finality: which blocks a finalize certificate decides, storing them, opening the next epoch, installing a snapshot.
 */
import { assert } from '@murmuration/base';
import { keepDecided } from './accuse.ts';
import { failedFetches, isHeld, sweepBlobs } from './blobs.ts';
import { ancestorAt, type BlockRecord, isSameBlock } from './block-record.ts';
import type { Certificate } from './certificate.ts';
import type { Change } from './change.ts';
import { noticeRival } from './conflict.ts';
import { installTimeoutMs, replayAttempts, replayMax, replayMin } from './defaults.ts';
import { undoAll } from './follow.ts';
import type { LedgerEntry } from './index.ts';
import { encodeEntry } from './ledger-entry.ts';
import { recentNames } from './ledger-state.ts';
import { isListening, listenAnew } from './listen.ts';
import { epochOf, isStopped, type Machine, report, tipOf } from './machine.ts';
import { noteRekeys } from './memory.ts';
import { carryMoreOwn, ownIn, settleOwn } from './own.ts';
import { sweepChanges } from './pending-changes.ts';
import { sweepPool } from './pool.ts';
import { forgetExecutions, noteSnapshot, resumeFrom } from './repair.ts';
import { restoreSignatures } from './restore.ts';
import { retainSignatures } from './sign.ts';
import { aheadOf } from './standing.ts';
import { encodeState } from './state-bytes.ts';
import { descends } from './views.ts';

/** Takes a checked finalize certificate in. Returns whether it decided something. */
export function decide(machine: Machine, certificate: Certificate): boolean {
  const record = certificate.block && machine.records.get(certificate.block);
  const tip = tipOf(machine);
  if (!record || (!isSameBlock(record, tip) && !descends(record, tip))) {
    if (record && !descends(tip, record)) noticeRival(machine, record.block.id);
    const newer = certificate.view > (machine.pendingFinality?.view ?? machine.floor);
    if (newer && !(record && descends(tip, record))) machine.pendingFinality = certificate;
    return false;
  }
  if (isSameBlock(record, tip)) return false;
  record.finality = certificate;
  extendDecided(machine, record, certificate.view);
  return true;
}

/** Whether the block of a finalize certificate that came early is known by now. */
export function decidePending(machine: Machine): boolean {
  const { pendingFinality } = machine;
  if (!pendingFinality?.block || !machine.records.has(pendingFinality.block)) return false;
  machine.pendingFinality = undefined;
  return decide(machine, pendingFinality);
}

/** Everything up to `record` is final; it was certified in `view`. */
export function extendDecided(machine: Machine, record: BlockRecord, view: number): void {
  const epoch = epochOf(machine);
  const tip = tipOf(machine);
  const path: BlockRecord[] = [];
  for (let at: BlockRecord | undefined = record; at && !isSameBlock(at, tip); at = at.parent)
    path.unshift(at);
  assert(path[0]?.block.parent === tip.block.id, 'G1: what is decided continues the final chain');
  machine.decided.push(...path);
  openViews(machine, epoch, view);
}

/** Stores the blocks of a recovery that was adopted, which the engine has applied long since. */
export function settleAdopted(machine: Machine, count: number): void {
  for (let index = 0; index < count; index++)
    settleBlock(machine, machine.decided.shift() as BlockRecord, false);
  sweep(machine);
}

/** Drops decided views, or all of the old epoch's when the new tip has opened the next one. */
export function openViews(machine: Machine, epochBefore: number, view: number): void {
  const epoch = epochOf(machine);
  if (epoch === epochBefore) machine.floor = Math.max(machine.floor, view);
  else {
    machine.floor = -1;
    machine.view = 0;
    machine.activeSince = 0;
    machine.viewDeadline = undefined;
    for (const [at, slot] of machine.views) keepDecided(machine, at, slot);
    machine.views.clear();
    machine.lastVote.clear();
    machine.pendingFinality = undefined;
    if (isListening(machine)) listenAnew(machine);
    if (machine.later.length > 0) restoreSignatures(machine, machine.later);
  }
  for (const [at, slot] of machine.views) {
    if (at > machine.floor) continue;
    keepDecided(machine, at, slot);
    machine.views.delete(at);
  }
  if ((machine.pendingFinality?.view ?? -1) <= machine.floor) machine.pendingFinality = undefined;
}

/** Stores final blocks that the engine has applied. Returns whether there were any. */
export function settle(machine: Machine): boolean {
  let changed = false;
  while (machine.decided[0] && isSameBlock(machine.applied[0], machine.decided[0])) {
    const { root } = machine.applied.shift() as BlockRecord;
    assert(root === 'equal', 'G2: what is final here has the root that we have computed');
    settleBlock(machine, machine.decided.shift() as BlockRecord, true);
    changed = true;
  }
  if (changed) sweep(machine);
  return changed;
}

function assertFollows({ settled }: Machine, { block }: BlockRecord): void {
  assert(block.height === settled.block.height + 1, 'G8: no final block is left out');
  assert(block.parent === settled.block.id, 'G1: a final block continues the final chain');
  const names = recentNames(settled.state);
  const isNew = block.contributions.every(({ cid, blob }) => !names.has(cid) && !names.has(blob));
  assert(isNew, 'G4: no work is certified twice');
}

function settleBlock(machine: Machine, record: BlockRecord, applied: boolean): void {
  const { block, changes, state, finality } = record;
  assertFollows(machine, record);
  machine.settled = record;
  const bytes = encodeEntry(machine.rules.runDigest, record, finality);
  const { height, contributions, stateRoot } = block;
  const isSnapshot = height % machine.rules.run.snapshotEvery === 0;
  machine.out.rest.push({
    kind: 'settle',
    block,
    entry: { height, bytes },
    applied,
    ...(isSnapshot && { state: encodeState(state) }),
  });
  noteSnapshot(machine, record);
  if (height > machine.reported) {
    machine.reported = height;
    report(machine, { kind: 'certified', height, contributions, stateRoot });
    for (const change of changes) reportChange(machine, change, state.epoch);
  }
  noteRekeys(machine, record);
  settleOwn(machine);
  if (applied) reportEnd(machine);
}

function reportChange(machine: Machine, change: Change, epoch: number): void {
  const { kind, peer } = change;
  const admits = kind === 'earned' || (kind === 'admit' && change.invitation.role === 'member');
  if (admits) report(machine, { kind: 'admitted', peer, epoch });
  if (kind === 'leave' && peer === machine.init.self) {
    machine.own.gone = machine.own.leaving;
    machine.own.leaving = false;
  }
  if (kind === 'leave' || kind === 'silent') report(machine, { kind: 'retired', peer, epoch, reason: kind });
  if (kind !== 'convict') return;
  report(machine, { kind: 'convicted', peer, epoch });
  if (tipOf(machine).state.convicted.includes(peer)) machine.evidence.delete(peer);
}

export function reportEnd(machine: Machine): void {
  const { height, stateRoot } = machine.settled.block;
  if (height < machine.rules.run.rounds || machine.ended) return;
  machine.ended = true;
  report(machine, { kind: 'ended', height, stateRoot });
}

/**
 * Forgets blocks, contributions and blobs that no block to come can refer to. Records stay while the ledger ends with
 * blocks of a recovery: until their adoption is stored, too, a restart may begin at the fork again.
 */
export function sweep(machine: Machine): void {
  const { settled, rules } = machine;
  const lowest = settled.block.height - rules.run.lateHeights;
  for (const [id, record] of machine.records) {
    if (record.block.height < lowest) machine.records.delete(id);
    else if (record.block.height > settled.block.height && !descends(record, settled))
      machine.records.delete(id);
  }
  const oldest = ancestorAt(settled, lowest);
  if (oldest && !machine.provisional) oldest.parent = undefined;
  sweepChanges(machine);
  sweepPool(machine);
  sweepBlobs(machine);
  if (settled.fork && !machine.provisional) return;
  retainSignatures(machine);
  machine.out.forget.splice(0, 1, { kind: 'forget', below: settled.block.height + 1 });
}

/** Whether to replay the final blocks up to a snapshot height is more than to download the state there. */
function isLongWay(machine: Machine, height: number): boolean {
  const before = machine.decided.filter(({ block }) => block.height <= height);
  if (before.length <= replayMin || before.length > replayMax) return before.length > replayMax;
  const deltas = before.flatMap(({ block }) => block.contributions);
  const missing = deltas.filter((delta) => delta.author !== machine.init.self && !isHeld(machine, delta));
  const stateBytes = 4 * machine.rules.run.initial.parameters;
  const tensors = before.at(-1)?.block.tensors;
  const atHand = (tensors && machine.atHand.get(tensors)) ?? 0;
  return missing.reduce((sum, { blobBytes }) => sum + blobBytes, 0) > stateBytes - atHand;
}

/** Whether what a recovery or we ourselves made of the local parameters demands that each block is applied. */
const mustReplay = (machine: Machine, height: number): boolean =>
  machine.replays ||
  carryMoreOwn(
    machine,
    machine.decided.filter(({ block }) => block.height <= height),
  );

/**
 * When too long a way of final blocks lies before us: stores them without applying, up to the newest snapshot height.
 */
export function skipToSnapshot(machine: Machine): boolean {
  const { snapshotEvery } = machine.rules.run;
  const height = Math.floor(tipOf(machine).block.height / snapshotEvery) * snapshotEvery;
  const stuck = machine.decided[0]?.block.contributions.some(
    (contribution) => failedFetches(machine, contribution) >= replayAttempts,
  );
  const needed = machine.installing !== undefined || machine.repairing || stuck;
  if (isStopped(machine) || machine.provisional || height <= machine.settled.block.height) return false;
  if (!needed && (!isLongWay(machine, height) || mustReplay(machine, height))) return false;
  undoAll(machine);
  let own = machine.installing?.own;
  while (machine.settled.block.height < height) {
    const record = machine.decided.shift() as BlockRecord;
    const cid = ownIn(machine, record)?.cid;
    own = record.block.execution.inputs.find(({ contribution }) => contribution === cid) ?? own;
    settleBlock(machine, record, false);
  }
  sweep(machine);
  machine.installing = {
    block: machine.settled.block.id,
    height,
    tensors: machine.settled.block.tensors,
    askedAt: Number.NEGATIVE_INFINITY,
    own: own && { blob: own.blob, clip: own.clip },
  };
  return true;
}

/** Asks for the snapshot once no more ledger entries are on their way. */
export function askInstall(machine: Machine): void {
  const { installing } = machine;
  if (!installing || machine.syncing?.isLikely || machine.now < installing.askedAt + installTimeoutMs) return;
  const { block, height, tensors, own } = installing;
  const from = aheadOf(machine, height);
  if (from.length === 0 && !machine.repairing) return;
  installing.askedAt = machine.now;
  machine.out.rest.push({ kind: 'install', block, height, tensors, from, own });
}

/** The engine stands at a snapshot's block; at an older one than ours it goes on by the stored `ledger`. */
export function onInstalled(machine: Machine, block: string, ledger: readonly LedgerEntry[] = []): void {
  if (machine.installing?.block !== block) return;
  if (machine.installing.height < machine.settled.block.height) resumeFrom(machine, ledger);
  machine.installing = undefined;
  if (machine.repairing) forgetExecutions(machine);
  machine.repairing = false;
  machine.diverged = false;
  reportEnd(machine);
}
