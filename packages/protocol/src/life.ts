/** How a replica goes from one life to the next (recovery.ts): into a recovery, along with it, out of it. */
import type { Cid } from '@murmuration/base';
import { awaitsAdoption } from './adopt.ts';
import {
  adoptionMaxMs,
  adoptionPatienceMs,
  invalidBlobsMax,
  listsMax,
  partingMaxMs,
  partingMs,
} from './defaults.ts';
import { undoAll } from './follow.ts';
import { isAlive, reportRecovery } from './gather.ts';
import type { ReplicaEvent } from './index.ts';
import { listenAnew } from './listen.ts';
import { createMachine, keepAtMost, type Machine, setTimer } from './machine.ts';
import type { OwnContribution } from './machine-parts.ts';
import { noteRekeys } from './memory.ts';
import { type Opening, openedRecord, openingName } from './opening.ts';
import { expireOwn } from './own.ts';
import { foreverOf, inRecovery, type Pair, translate } from './pair.ts';
import {
  expiredRecord,
  leftRecord,
  openingRecord,
  overRecord,
  ownRecord,
  passedRecord,
  prefix,
  restoreLeft,
  type StoredRecovery,
} from './recovery-records.ts';
import { settleAdopted } from './settle.ts';
import { ownVote } from './sign.ts';

type Start = Extract<ReplicaEvent, { kind: 'start' }>;

/** The engine goes over to a recovery: a new one, or one that the records tell of, in which it may stand already. */
export function begin(
  pair: Pair,
  opening: Opening,
  stored: StoredRecovery | undefined,
  applied: Start | undefined,
): void {
  pair.regular.dormant = { opening, adoptable: pair.regular.settled, isCalm: true, quorumSince: undefined };
  undoAll(pair.regular);
  pair.emit(...pair.door.turn(pair.regular, pair.now));
  const fork = pair.regular.settled;
  const machine = createMachine(
    pair.regular.init,
    pair.regular.components,
    pair.regular.rules,
    openedRecord(pair.regular.rules, fork, opening),
    pair.regular.voice,
  );
  for (const [id, record] of pair.regular.records)
    if (record.block.height < fork.block.height) machine.records.set(id, record);
  machine.heard = true;
  noteRekeys(machine, machine.genesis);
  machine.requests = pair.regular.requests;
  pair.regular.dormant = { opening, adoptable: machine.genesis, isCalm: true, quorumSince: undefined };
  pair.regular.openings.set(openingName(opening), opening);
  pair.regular.readyAt = undefined;
  pair.regular.plan = undefined;
  const { id, height, tensors } = fork.block;
  if (!applied) {
    pair.emit({ kind: 'persist', record: openingRecord(opening, foreverOf(pair.regular)) });
    pair.emit({ kind: 'fork', block: id, height, tensors });
    for (const own of pair.regular.own.contributions.values()) keepOwn(pair, own);
  }
  const records = stored?.records ?? [];
  const ledger = stored?.entries ?? [];
  const { undoable } = applied ?? {};
  inRecovery(pair, machine, {
    kind: 'start',
    records,
    ledger,
    applied: applied?.applied,
    ...(undoable && { undoable }),
  });
  moveWork(pair.regular, machine, () => false);
  for (const peer of pair.regular.connected) machine.connected.add(peer);
  if (pair.regular.signsFrom !== Number.NEGATIVE_INFINITY) listenAnew(machine);
  pair.life = { kind: 'recovering', machine, partingAt: undefined };
  pair.emit(...translate(machine, pair.door.turn(machine, pair.now)));
  pair.regular.progressAt = pair.now;
  reportRecovery(pair.regular, opening, 'opened', height);
}

/** Own contributions that regular blocks may take, also when a block of the recovery has them: they stay known. */
const keepOwn = ({ regular, emit }: Pair, own: OwnContribution): void =>
  emit({
    kind: 'persist',
    record: ownRecord(own, own.contribution.baseHeight + regular.rules.run.lateHeights),
  });

/** What was announced in the recovery is known to the regular machine, too. */
export function shareOwn(pair: Pair, machine: Machine): void {
  for (const [sequence, own] of machine.own.contributions) {
    if (pair.regular.own.contributions.has(sequence)) continue;
    pair.regular.own.contributions.set(sequence, own);
    keepOwn(pair, own);
  }
}

/** What one machine knows of contributions goes on in the other; those that cannot follow expire there. */
export function moveWork(from: Machine, to: Machine, expires: (base: Cid) => boolean): void {
  if (from.own.sequence > to.own.sequence) {
    to.own.sequence = from.own.sequence;
    to.own.last = from.own.last;
  }
  for (const [cid, entry] of from.pool) if (!to.pool.has(cid)) to.pool.set(cid, entry);
  for (const [key, status] of from.blobs) if (!to.blobs.has(key)) to.blobs.set(key, status);
  for (const [name, list] of from.lists) to.lists.set(name, list);
  keepAtMost(to.lists, listsMax);
  for (const key of from.invalidDeltas) to.invalidDeltas.add(key);
  keepAtMost(to.invalidDeltas, invalidBlobsMax);
  to.requests = Math.max(to.requests, from.requests);
  for (const [sequence, own] of from.own.contributions) {
    const known = to.own.contributions.get(sequence);
    if (known) known.expired ||= own.expired;
    if (known) continue;
    const copy = { ...own };
    to.own.contributions.set(sequence, copy);
    if (expires(own.contribution.base)) expireOwn(to, copy);
  }
}

/** The provisional machine is no more: its timers end, its work that is not final goes back. */
function stop(pair: Pair, machine: Machine): void {
  undoAll(machine);
  for (const name of [...machine.timers.keys()]) setTimer(machine, name, undefined);
  pair.emit(...translate(machine, machine.out.rest.splice(0)));
}

/** The regular machine has the engine again. */
export function forgetRecovery(pair: Pair): void {
  pair.emit({ kind: 'forget', below: foreverOf(pair.regular) + 1, prefix });
  pair.regular.dormant = undefined;
  pair.regular.progressAt = pair.now;
  pair.life = { kind: 'regular' };
}

/** The chain of a recovery from the fork to its newest final block. */
function chainOf(machine: Machine): Cid[] {
  const chain: Cid[] = [];
  for (let at: Machine['settled'] | undefined = machine.settled; at?.fork; at = at.parent)
    if (at.block.height > machine.genesis.block.height) chain.unshift(at.block.id);
  return chain;
}

/** Whether the regular chain goes on with all that is final in the recovery here. */
export function isAdopted(pair: Pair, machine: Machine): boolean {
  const chain = chainOf(machine);
  return chain.length > 0 && chain.every((id, index) => pair.regular.decided[index]?.block.id === id);
}

/** Whether the regular epoch has had its quorum for so long, and does not adopt, that it needs our engine instead. */
export function isHopeless(pair: Pair, opening: Opening): boolean {
  const since = pair.regular.dormant?.quorumSince ?? pair.now;
  return pair.now >= since + (isAlive(pair.regular, opening) ? adoptionMaxMs : 3 * adoptionPatienceMs);
}

/** Whether all in the recovery that we hear of know the same of its blocks as final, so that work is carried once. */
export function hasParted(pair: Pair, machine: Machine, since: number): boolean {
  const { height } = machine.settled.block;
  const behind = [...machine.peers.values()].some(
    ({ final, heardAt }) => final > height && pair.now - heardAt <= partingMaxMs,
  );
  const isSettled = machine.decided.length === 0 && machine.applied.length === 0 && !behind;
  return pair.now >= since + (isSettled ? partingMs : partingMaxMs);
}

/** A recovery ends: adopted, it becomes regular; otherwise the engine goes back to the fork. */
export function end(pair: Pair, machine: Machine, opening: Opening): void {
  stop(pair, machine);
  const chain = chainOf(machine);
  const { settled } = pair.regular;
  if (isAdopted(pair, machine)) {
    reportRecovery(pair.regular, opening, 'adopted', opening.height);
    moveWork(machine, pair.regular, () => false);
    settleAdopted(pair.regular, chain.length);
    pair.emit(...pair.door.turn(pair.regular, pair.now));
    forgetRecovery(pair);
    return;
  }
  reportRecovery(pair.regular, opening, 'abandoned', opening.height);
  leave(pair, machine, opening, chain);
  if (chain.length === 0) {
    moveWork(machine, pair.regular, () => false);
    forgetRecovery(pair);
    return;
  }
  pair.emit({ kind: 'persist', record: overRecord(foreverOf(pair.regular)) });
  rewind(pair, opening, settled.block);
  pair.life = { kind: 'rewinding', opening, before: machine };
}

const carries = ({ regular }: Pair, { listed }: Opening): boolean => listed[0] === regular.init.self;

/** Asks for θ of the fork. */
export function rewind(pair: Pair, opening: Opening, { tensors }: { readonly tensors: Cid }): void {
  const { fork, height } = opening;
  pair.emit({ kind: 'rewind', block: fork, height, tensors, carry: carries(pair, opening) });
}

/** What must be remembered of a recovery that is given up, as long as its blocks may still become regular. */
function leave(pair: Pair, machine: Machine, opening: Opening, chain: readonly Cid[]): void {
  const name = openingName(opening);
  const end = opening.height + chain.length;
  const waiting = [...machine.own.contributions.keys(), ...pair.regular.own.contributions.keys()];
  pair.emit({ kind: 'persist', record: leftRecord(name, opening.height + 1) });
  pair.emit({
    kind: 'persist',
    record: expiredRecord(machine.own.sequence, waiting, foreverOf(pair.regular)),
  });
  pair.regular.leftOpenings.add(name);
  if (chain.length === 0) return;
  const record = passedRecord(name, chain, end, carries(pair, opening));
  pair.emit({ kind: 'persist', record: record });
  restoreLeft([record], pair.regular.leftOpenings, pair.passed);
}

/** What a machine fetched when it ended was answered to nobody: it is asked for again. */
function askAgain({ blobs }: Machine, now: number): void {
  for (const status of blobs.values()) {
    if (status.status !== 'fetching') continue;
    status.status = 'wanted';
    status.retryAt = now;
  }
}

/** The engine stands at the fork again. */
export function onRewound(pair: Pair, block: string): void {
  if (pair.life.kind !== 'rewinding' || pair.life.opening.fork !== block) return;
  const { before } = pair.life;
  for (const own of pair.regular.own.contributions.values()) expireOwn(pair.regular, own);
  if (before) {
    askAgain(before, pair.now);
    moveWork(before, pair.regular, () => true);
  }
  forgetRecovery(pair);
}

/** What the regular machine knows of the recovery, and how far the recovery may go on beside it. */
export function compare(pair: Pair, machine: Machine): void {
  const { dormant } = pair.regular;
  if (!dormant) return;
  if (dormant.adoptable !== machine.settled) {
    for (let at = machine.settled; at !== dormant.adoptable && at.parent; at = at.parent)
      pair.regular.records.set(at.block.id, at);
    dormant.adoptable = machine.settled;
    pair.regular.progressAt = pair.now;
  }
  dormant.isCalm =
    machine.decided.length === 0 &&
    [...machine.views.keys()].every((view) => !ownVote(machine, view, 'finalize'));
  const { stallMs } = pair.regular.rules.run.membership;
  const isNear = dormant.quorumSince !== undefined && pair.now < dormant.quorumSince + stallMs;
  const parts = pair.life.kind === 'recovering' && pair.life.partingAt !== undefined;
  const isMuted = pair.regular.leftOpenings.has(openingName(dormant.opening));
  machine.halted =
    isMuted || (awaitsAdoption(pair.regular) && isNear) ? 'all' : isNear || parts ? 'new' : 'no';
}
