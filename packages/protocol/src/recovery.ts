/**
 * A replica is one machine, and during a recovery two. The regular machine stands at the fork, the newest final block
 * of the epoch that stalled; it is *dormant* (adopt.ts): it has no engine. The provisional machine begins at the fork
 * as if it were settled there, with the listed peers as voters, and has the engine: it trains, votes, certifies by the
 * same code. Messages and connections reach both; what only one can have asked for reaches that one.
 *
 *   regular ──(opening complete)──▶ recovering ──(adoption final)──▶ regular, without a step of the engine
 *                                       │
 *                     (another block above the fork final, or a better recovery)
 *                                       └──▶ rewinding ──▶ regular
 *
 * `waiting` is a restart whose engine has not come to the fork yet. Effects of the provisional machine are translated:
 * its records and timers have names of their own, what it settles is provisional.
 */

import { assert } from '@murmuration/base';
import { equals } from 'uint8arrays/equals';
import { partingCheckMs } from './defaults.ts';
import { chooseRecovery, gather, isAlive, isAtFork, nextGathering } from './gather.ts';
import type { DurableRecord, LedgerEntry, Replica, ReplicaEvent, ReplicaView } from './index.ts';
import { sweepOpenings } from './known-openings.ts';
import {
  begin,
  compare,
  end,
  forgetRecovery,
  hasParted,
  isAdopted,
  isHopeless,
  onRewound,
  rewind,
  shareOwn,
} from './life.ts';
import { headOf, type Machine, setTimer, tipOf } from './machine.ts';
import { type Opening, openingName } from './opening.ts';
import {
  bothVerdicts,
  createPair,
  inRecovery,
  type Life,
  type MachineDoor,
  type Pair,
  translate,
} from './pair.ts';
import {
  passedKey,
  prefix,
  regularRecords,
  restoreLeft,
  type StoredRecovery,
  storedRecovery,
} from './recovery-records.ts';

type Start = Extract<ReplicaEvent, { kind: 'start' }>;
type Recovering = Extract<Life, { kind: 'recovering' }>;

/** The replica around a regular machine at genesis. */
export function createRecovering(regular: Machine, door: MachineDoor): Replica {
  const pair = createPair(regular, door);
  return {
    handle(event, at) {
      pair.now = Math.max(pair.now, at);
      assert(regular.started === (event.kind !== 'start'), 'the first event, and only the first, is start');
      deliver(pair, event);
      turn(pair);
      return pair.effects.splice(0);
    },
    get view() {
      const { life } = pair;
      return viewOf(door, regular, life.kind === 'recovering' ? life.machine : regular, life.kind);
    },
  };
}

const timerOf = (event: ReplicaEvent): string | undefined =>
  event.kind === 'timer' && event.name.startsWith(prefix) ? event.name.slice(prefix.length) : undefined;

/** Gives an event to whom it concerns. */
function deliver(pair: Pair, event: ReplicaEvent): void {
  const machine = pair.life.kind === 'recovering' ? pair.life.machine : undefined;
  switch (event.kind) {
    case 'start':
      start(pair, event);
      return;
    case 'rewound':
      onRewound(pair, event.block);
      return;
    case 'message': {
      const ours = pair.door.handle(pair.regular, event, pair.now);
      const theirs = machine ? translate(machine, pair.door.handle(machine, event, pair.now)) : [];
      pair.emit(...bothVerdicts([...ours, ...theirs]));
      return;
    }
    case 'timer': {
      const name = timerOf(event);
      if (name === undefined) pair.emit(...pair.door.handle(pair.regular, event, pair.now));
      else if (machine) inRecovery(pair, machine, { kind: 'timer', name });
      return;
    }
    case 'synced':
      if (event.opening === undefined) pair.emit(...pair.door.handle(pair.regular, event, pair.now));
      else if (machine?.genesis.next.opened === event.opening) inRecovery(pair, machine, event);
      return;
    case 'contributed': {
      if (!machine) {
        pair.emit(...pair.door.handle(pair.regular, event, pair.now));
        return;
      }
      inRecovery(pair, machine, event);
      shareOwn(pair, machine);
      return;
    }
    default:
      pair.emit(...pair.door.handle(pair.regular, event, pair.now));
      if (machine && event.kind !== 'invited' && event.kind !== 'leave' && event.kind !== 'opening')
        inRecovery(pair, machine, event);
  }
}

/** Goes over to another life, if it is time. Returns whether it did. */
function moveOn(pair: Pair): boolean {
  const { life, regular } = pair;
  switch (life.kind) {
    case 'rewinding':
      return false;
    case 'waiting': {
      const { opening } = life.stored;
      const isPast = regular.settled.block.height > opening.height || regular.decided.length === 0;
      if (isAtFork(regular, opening)) begin(pair, opening, life.stored, undefined);
      else if (isPast) forgetRecovery(pair);
      else return false;
      return true;
    }
    case 'recovering':
      return considerEnd(pair, life, regular.dormant?.opening as Opening);
    case 'regular': {
      const chosen = followed(pair) ?? chooseRecovery(regular);
      if (chosen) begin(pair, chosen, undefined, undefined);
      return chosen !== undefined;
    }
  }
}

/** The recovery for which another one was given up, if it still goes on from here. */
function followed(pair: Pair): Opening | undefined {
  const { follows, regular } = pair;
  pair.follows = undefined;
  return follows && isAtFork(regular, follows) && isAlive(regular, follows) ? follows : undefined;
}

/** Ends a recovery that is adopted, or whose time is over when those in it know the same. Returns whether it did. */
function considerEnd(pair: Pair, life: Recovering, opening: Opening): boolean {
  const { regular } = pair;
  compare(pair, life.machine);
  const isOut = !isAtFork(regular, opening);
  const chosen = chooseRecovery(regular);
  pair.follows = isOut || chosen === opening ? undefined : chosen;
  const isOver = isOut || chosen !== opening || isHopeless(pair, opening);
  if (!isOver) {
    life.partingAt = undefined;
    return false;
  }
  life.partingAt ??= pair.now;
  if (!isAdopted(pair, life.machine) && !hasParted(pair, life.machine, life.partingAt)) return false;
  end(pair, life.machine, opening);
  return true;
}

/** Everything that one event made possible for the two together. */
function turn(pair: Pair): void {
  if (tipOf(pair.regular).block.id !== pair.tip) pair.regular.progressAt = pair.now;
  pair.tip = tipOf(pair.regular).block.id;
  for (const [id, { height }] of pair.passed)
    if (height <= pair.regular.settled.block.height) pair.passed.delete(id);
  pair.regular.replays = [...pair.passed.values()].some(({ carried }) => carried);
  for (;;) {
    sweepOpenings(pair.regular);
    if (
      !moveOn(pair) &&
      !(pair.life.kind !== 'rewinding' && pair.life.kind !== 'waiting' && gather(pair.regular))
    )
      break;
  }
  const parts = pair.life.kind === 'recovering' && pair.life.partingAt !== undefined;
  if (pair.regular.started)
    setTimer(pair.regular, 'stall', parts ? pair.now + partingCheckMs : nextGathering(pair.regular));
  pair.emit(...pair.door.turn(pair.regular, pair.now));
  if (pair.life.kind === 'recovering') {
    compare(pair, pair.life.machine);
    pair.emit(...translate(pair.life.machine, pair.door.turn(pair.life.machine, pair.now)));
  }
}

function start(pair: Pair, event: Start): void {
  const stored = storedRecovery(event.records);
  const isOver = stored?.isOver === true && !isBehind(event, stored);
  const goesOn = stored && !isOver ? passedKey(openingName(stored.opening)) : undefined;
  const past = event.records.filter(({ key }) => key !== goesOn);
  restoreLeft(past, pair.regular.leftOpenings, pair.passed);
  const records = regularRecords(event.records);
  const lastHeight = event.ledger.at(-1)?.height ?? 0;
  if (!stored) {
    pair.emit(...pair.door.handle(pair.regular, { ...event, records }, pair.now));
    return;
  }
  const { opening, entries } = stored;
  const { fork, height } = opening;
  const isInside = event.applied !== undefined && isProvisional(event.applied, stored, records);
  if (lastHeight > height && !isHalfAdopted(event.ledger, entries)) {
    pair.emit(...pair.door.handle(pair.regular, { ...event, records }, pair.now));
    forgetRecovery(pair);
    return;
  }
  if (!isInside) {
    const ledger = event.ledger.filter((entry) => entry.height <= height);
    pair.emit(...pair.door.handle(pair.regular, { ...event, records, ledger }, pair.now));
    if (isOver) forgetRecovery(pair);
    else pair.life = { kind: 'waiting', stored };
    return;
  }
  const applied = height === 0 ? undefined : { block: fork, height };
  pair.regular.dormant = { opening, adoptable: pair.regular.settled, isCalm: true, quorumSince: undefined };
  const ledger = event.ledger.filter((entry) => entry.height <= height);
  pair.emit(
    ...pair.door.handle(pair.regular, { kind: 'start', records, ledger, applied, undoable: [] }, pair.now),
  );
  if (isOver) {
    for (const { block, height } of [...(event.undoable ?? [])].reverse())
      pair.emit({ kind: 'undo', block, height });
    rewind(pair, opening, pair.regular.settled.block);
    pair.life = { kind: 'rewinding', opening, before: undefined };
  } else begin(pair, opening, stored, event);
}

/** Whether the engine stands inside a recovery, below its newest final block: it goes there before it leaves. */
const isBehind = ({ applied, records }: Start, stored: StoredRecovery): boolean =>
  applied !== undefined &&
  applied.height < (stored.entries.at(-1)?.height ?? 0) &&
  isProvisional(applied, stored, regularRecords(records));

/** Whether a ledger ends with blocks of a recovery, and not yet with the one that adopts them. */
function isHalfAdopted(ledger: readonly LedgerEntry[], entries: readonly LedgerEntry[]): boolean {
  const last = ledger.at(-1);
  const same = entries.find(({ height }) => height === last?.height);
  return last !== undefined && same !== undefined && equals(last.bytes, same.bytes);
}

/** Whether the engine stands in the recovery rather than on the regular chain. */
function isProvisional(
  applied: { readonly block: string; readonly height: number },
  { opening, records }: StoredRecovery,
  regular: readonly DurableRecord[],
): boolean {
  if (applied.height <= opening.height) return false;
  const isKept = (among: readonly DurableRecord[]): boolean =>
    among.some(({ key }) => key === `block/${applied.block}`);
  return isKept(records) || !isKept(regular);
}

function viewOf(door: MachineDoor, regular: Machine, active: Machine, life: Life['kind']): ReplicaView {
  const view = door.view(regular);
  if (active === regular)
    return life === 'regular'
      ? view
      : { ...view, mayContribute: false, phase: view.phase === 'running' ? 'syncing' : view.phase };
  const provisional = door.view(active);
  const { opening } = regular.dormant ?? {};
  const { id, height } = active.settled.block;
  return {
    ...provisional,
    role: view.role,
    opens: view.opens,
    rekeys: view.rekeys,
    final: view.final,
    tokens: view.tokens,
    head: { block: headOf(active).block.id, height: headOf(active).block.height },
    mayContribute: provisional.mayContribute && headOf(active).block.height + 1 < active.rules.run.rounds,
    phase:
      view.phase === 'diverged' ? 'diverged' : provisional.phase === 'ended' ? 'running' : provisional.phase,
    recovery: opening && {
      opening: openingName(opening),
      height: opening.height,
      listed: opening.listed,
      final: { block: id, height },
    },
  };
}
