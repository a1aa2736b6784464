/** Finality: which blocks a finalize certificate decides, storing them, opening the next epoch, installing a snapshot. */
import { failedFetches, sweepBlobs } from './blobs.ts';
import { ancestorAt, type BlockRecord } from './block-record.ts';
import type { Certificate } from './certificate.ts';
import { installTimeoutMs, replayAttempts, replayMax } from './defaults.ts';
import { undoAll } from './follow.ts';
import { encodeEntry } from './ledger-entry.ts';
import { epochOf, type Machine, report, tipOf } from './machine.ts';
import { ownIn, settleOwn } from './own.ts';
import { sweepPool } from './pool.ts';
import { retainSignatures } from './sign.ts';
import { aheadOf } from './standing.ts';
import { descends } from './views.ts';

/** Takes a checked finalize certificate in. Returns whether it decided something. */
export function decide(machine: Machine, certificate: Certificate): boolean {
  const record = certificate.block && machine.records.get(certificate.block);
  const tip = tipOf(machine);
  if (!record || (record !== tip && !descends(record, tip))) {
    const newer = certificate.view > (machine.pendingFinality?.view ?? machine.floor);
    if (newer && !(record && descends(tip, record))) machine.pendingFinality = certificate;
    return false;
  }
  if (record === tip) return false;
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
  for (let at: BlockRecord | undefined = record; at && at !== tip; at = at.parent) path.unshift(at);
  machine.decided.push(...path);
  openViews(machine, epoch, view);
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
    machine.views.clear();
    machine.lastVote.clear();
    machine.pendingFinality = undefined;
  }
  for (const at of machine.views.keys()) if (at <= machine.floor) machine.views.delete(at);
  if ((machine.pendingFinality?.view ?? -1) <= machine.floor) machine.pendingFinality = undefined;
}

/** Stores final blocks that the engine has applied. Returns whether there were any. */
export function settle(machine: Machine): boolean {
  let changed = false;
  while (machine.decided[0] && machine.applied[0] === machine.decided[0]) {
    machine.applied.shift();
    settleBlock(machine, machine.decided.shift() as BlockRecord, true);
    changed = true;
  }
  if (changed) sweep(machine);
  return changed;
}

function settleBlock(machine: Machine, record: BlockRecord, applied: boolean): void {
  const { block, state, finality } = record;
  machine.settled = record;
  const bytes = encodeEntry(machine.rules.runDigest, record, finality);
  machine.out.rest.push({ kind: 'settle', block, entry: { height: block.height, bytes }, applied });
  const { height, contributions, stateRoot } = block;
  report(machine, { kind: 'certified', height, contributions, stateRoot });
  if (state.epoch > block.epoch)
    report(machine, { kind: 'admitted', peer: state.roster.at(-1) as never, epoch: state.epoch });
  settleOwn(machine);
  if (applied) reportEnd(machine);
}

export function reportEnd(machine: Machine): void {
  const { height, stateRoot } = machine.settled.block;
  if (height < machine.rules.run.rounds || machine.ended) return;
  machine.ended = true;
  report(machine, { kind: 'ended', height, stateRoot });
}

/** Forgets blocks, contributions and blobs that no block to come can refer to. */
export function sweep(machine: Machine): void {
  const { settled, rules } = machine;
  const lowest = settled.block.height - rules.run.lateHeights;
  for (const [id, record] of machine.records) {
    if (record.block.height < lowest) machine.records.delete(id);
    else if (record.block.height > settled.block.height && !descends(record, settled))
      machine.records.delete(id);
  }
  const oldest = ancestorAt(settled, lowest);
  if (oldest) oldest.parent = undefined;
  for (const guest of machine.invitations.keys()) {
    const { expires } = machine.invitations.get(guest) as { expires: number };
    if (expires <= settled.block.height || settled.state.roster.includes(guest))
      machine.invitations.delete(guest);
  }
  sweepPool(machine);
  sweepBlobs(machine);
  retainSignatures(machine);
  machine.out.forget.splice(0, 1, { kind: 'forget', below: settled.block.height + 1 });
}

/** When too many final blocks lie before us: stores them without applying, up to the newest snapshot height. */
export function skipToSnapshot(machine: Machine): boolean {
  const { snapshotEvery } = machine.rules.run;
  const height = Math.floor(tipOf(machine).block.height / snapshotEvery) * snapshotEvery;
  const stuck = machine.decided[0]?.block.contributions.some(
    (contribution) => failedFetches(machine, contribution) >= replayAttempts,
  );
  const behind = machine.installing || stuck ? 0 : replayMax;
  if (machine.diverged || height <= machine.settled.block.height + behind) return false;
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
    askedAt: Number.NEGATIVE_INFINITY,
    own: own && { blob: own.blob, clip: own.clip },
  };
  return true;
}

/** Asks for the snapshot once no more ledger entries are on their way. */
export function askInstall(machine: Machine): void {
  const { installing } = machine;
  if (!installing || machine.syncing || machine.now < installing.askedAt + installTimeoutMs) return;
  const { block, height, own } = installing;
  const { tensors } = machine.settled.block;
  const from = aheadOf(machine, height);
  if (from.length === 0) return;
  installing.askedAt = machine.now;
  machine.out.rest.push({ kind: 'install', block, height, tensors, from, own });
}

/** The engine stands at a snapshot's block. */
export function onInstalled(machine: Machine, block: string): void {
  if (machine.installing?.block !== block) return;
  machine.installing = undefined;
  reportEnd(machine);
}
