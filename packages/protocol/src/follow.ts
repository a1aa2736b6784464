/** Brings the engine to the newest notarized block: deltas, execution, comparison of roots, undo, apply. */
import { holdsDeltas, isInvalid } from './blobs.ts';
import { type BlockRecord, isSameBlock } from './block-record.ts';
import { executeRetryMs, executionsMax, replayAhead } from './defaults.ts';
import type { BlockId, Execution } from './index.ts';
import { justifiedBase } from './justify.ts';
import { encodeEntry } from './ledger-entry.ts';
import { stateRootOf } from './ledger-state.ts';
import { headOf, keepAtMost, type Machine, report } from './machine.ts';
import type { ExecutionStatus } from './machine-parts.ts';
import { expireOwn, ownIn } from './own.ts';
import { keepBlock } from './sign.ts';
import { baseOfView, newestNotarized } from './views.ts';

/** By all that its result follows from: what a delta weighs depends on who is a member, and an opening changes that. */
const executionKey = ({ parent, inputs }: Execution): string =>
  [parent, ...inputs.flatMap(({ contribution, clip, weight }) => [contribution, clip, weight])].join('/');

/** Whether the engine can execute on this block: it stands at it, or has applied it since the newest final one. */
export const isReachable = (machine: Machine, block: BlockId): boolean =>
  !machine.installing &&
  (machine.settled.block.id === block || machine.applied.some((record) => record.block.id === block));

/** The result of an execution, asked for once; `undefined` while it is not there. The deltas are held. */
export function resultOf(machine: Machine, execution: Execution): ExecutionStatus | undefined {
  const key = executionKey(execution);
  const known = machine.executions.get(key);
  if (known && (known.status !== 'failed' || known.retryAt > machine.now))
    return known.status === 'done' ? known : undefined;
  if (!isReachable(machine, execution.parent)) return undefined;
  const request = ++machine.requests;
  machine.executions.delete(key);
  machine.executions.set(key, { request, status: 'running', tensors: undefined, retryAt: 0 });
  keepAtMost(machine.executions, executionsMax);
  machine.out.rest.push({ kind: 'execute', request, execution });
  return undefined;
}

/** The engine's answer. A failed execution (the engine restarted) is asked for again after a while. */
export function onExecuted(machine: Machine, request: number, tensors: ExecutionStatus['tensors']): void {
  for (const status of machine.executions.values()) {
    if (status.request !== request) continue;
    status.status = tensors === undefined ? 'failed' : 'done';
    status.tensors = tensors;
    status.retryAt = machine.now + executeRetryMs;
  }
}

export const nextExecuteRetry = (machine: Machine): number | undefined =>
  [...machine.executions.values()]
    .filter(({ status }) => status === 'failed')
    .reduce<number | undefined>((next, { retryAt }) => Math.min(next ?? retryAt, retryAt), undefined);

/** Compares our own execution of a block with what its header says; asks for whatever that needs. */
export function examine(machine: Machine, record: BlockRecord): BlockRecord['root'] {
  if (record.root !== 'unknown' || !holdsDeltas(machine, record)) return record.root;
  const result = resultOf(machine, record.block.execution);
  if (result?.tensors) record.root = result.tensors === record.block.tensors ? 'equal' : 'different';
  return record.root;
}

function diverge(machine: Machine, record: BlockRecord): void {
  const tensors = resultOf(machine, record.block.execution)?.tensors;
  const { height } = record.block;
  const again = machine.divergedAt === height;
  machine.diverged = true;
  machine.divergedAt = height;
  machine.repairing = !again;
  report(machine, {
    kind: 'diverged',
    height,
    again,
    expected: record.block.stateRoot,
    computed: tensors ? stateRootOf(tensors, record.state, machine.rules.hash) : new Uint8Array(),
  });
}

/** The block to stand at: what the current view's proposal builds on, else the newest notarized one. */
function targetOf(machine: Machine): BlockRecord {
  const slot = machine.views.get(machine.view)?.proposal;
  const base = slot?.record && justifiedBase(machine, slot.proposal, slot.record);
  return base ?? baseOfView(machine)?.record ?? newestNotarized(machine);
}

const isApplied = (machine: Machine, record: BlockRecord): boolean =>
  machine.applied.some((applied) => isSameBlock(applied, record));

/** The blocks from the engine's chain (exclusive) to the target, oldest first; `undefined` if they do not connect. */
function pathTo(machine: Machine, target: BlockRecord): BlockRecord[] | undefined {
  const path: BlockRecord[] = [];
  let at: BlockRecord | undefined = target;
  while (at && !isSameBlock(at, machine.settled) && !isApplied(machine, at)) {
    path.unshift(at);
    at = at.parent;
  }
  return at && path;
}

function undoTo(machine: Machine, keep: BlockRecord): void {
  while (machine.applied.length > 0 && !isSameBlock(headOf(machine), keep)) {
    const record = machine.applied.pop() as BlockRecord;
    for (const own of machine.own.contributions.values())
      if (own.contribution.base === record.block.id) expireOwn(machine, own);
    machine.out.rest.push({ kind: 'undo', block: record.block.id, height: record.block.height });
  }
}

/** Takes every block back that is not final. */
export const undoAll = (machine: Machine): void => undoTo(machine, machine.settled);

/** One step of the engine towards the target. Returns whether something changed. */
export function follow(machine: Machine): boolean {
  if (machine.diverged || machine.repairing || machine.conflicted || machine.installing) return false;
  const path = pathTo(machine, targetOf(machine));
  const next = path?.[0];
  if (!next) return false;
  for (const ahead of path.slice(1, replayAhead)) holdsDeltas(machine, ahead);
  const root = examine(machine, next);
  const invalid = next.block.contributions.some((contribution) => isInvalid(machine, contribution));
  if (root === 'different' || invalid) {
    diverge(machine, next);
    return true;
  }
  if (root === 'unknown') return false;
  undoTo(machine, next.parent as BlockRecord);
  if (!machine.decided.includes(next))
    keepBlock(machine, next, encodeEntry(machine.rules.runDigest, next, notarizationOf(machine, next)));
  const own = ownIn(machine, next);
  machine.applied.push(next);
  machine.out.rest.push({ kind: 'apply', block: next.block, own: own?.cid });
  return true;
}

const notarizationOf = (machine: Machine, record: BlockRecord) =>
  [...machine.views.values()].find(({ notarized }) => notarized?.block === record.block.id)?.notarized;
