/** The machine's door: one event in, effects out, and after each event every step that has become possible. */
import { assert, DigestError, runDigest } from '@murmuration/base';
import { notarizeEmpty, noticeQuorum, proposeEmpty } from './adopt.ts';
import { finalize, notarize, propose, proposeAt, resolveProposals, skip } from './agree.ts';
import { fetchOf, holdOwn, isBlob, isInvalid, onBlob, retryFetches } from './blobs.ts';
import { ancestorAt, type Rules } from './block-record.ts';
import { assertBounds } from './bounds.ts';
import { greetDelayMs, remindDelayMs, startupMs } from './defaults.ts';
import { takeDeferred } from './deferred.ts';
import { ProtocolError } from './errors.ts';
import { follow, nextExecuteRetry, onExecuted } from './follow.ts';

import type { Effect, Replica, ReplicaComponents, ReplicaEvent, ReplicaInit, ReplicaView } from './index.ts';
import { checkInvitation, parseInvitation } from './invitation.ts';
import { readBase } from './ledger-base.ts';
import { listen, noteParting, noteSynced } from './listen.ts';
import {
  createMachine,
  epochOf,
  headOf,
  isMember,
  type Machine,
  membersOf,
  setTimer,
  tipOf,
  votersOf,
} from './machine.ts';
import { forgedOpening, parseOpening } from './opening.ts';
import { expireOwn, pendingOwn } from './own.ts';
import { renewalsOf } from './pending-changes.ts';
import { addToPool, askForDeltas } from './pool.ts';
import {
  holdingsChanged,
  holdingsWait,
  isVoter,
  messagesOf,
  nextRebroadcast,
  publishHoldings,
  publishReadiness,
  remind,
} from './publish.ts';
import { isOver, latchReady, nextReadyCheck, noteArrival } from './readiness.ts';
import { receiveMessage, receiveStatement } from './receive.ts';
import { createRecovering } from './recovery.ts';
import { reopen } from './reopen.ts';
import { goBack, onUnapplied } from './repair.ts';
import { keepList } from './restore.ts';
import { askInstall, decidePending, onInstalled, settle, skipToSnapshot } from './settle.ts';
import { ownRequests, signContribution } from './sign.ts';
import { isOriented, witnessedFinal } from './standing.ts';
import { start } from './start.ts';
import { decodeStatement, encodeInvitationStatement } from './statement.ts';
import { catchesUp, considerSync, onSynced } from './sync.ts';
import { advanceView } from './views.ts';

/** A replica of the run at genesis; its first event is `start`. */
export const createReplica = (init: ReplicaInit, components: ReplicaComponents): Replica =>
  replicaOf(createRegular(init, components));

/** The machine of the regular chain, at genesis. */
export function createRegular(init: ReplicaInit, components: ReplicaComponents): Machine {
  const rules: Rules = {
    run: init.run,
    runId: init.runId,
    runDigest: runDigest(init.runId),
    hash: (bytes) => components.hash(bytes),
    verify: (signer, bytes, signature) => components.verify(signer, bytes, signature),
  };
  const base = init.base && readBase(rules, init.base);
  const machine = createMachine(init, components, rules, base);
  for (let at = base?.parent; at; at = at.parent) machine.records.set(at.block.id, at);
  return machine;
}

/** The replica around a machine of the regular chain. */
export const replicaOf = (machine: Machine): Replica =>
  createRecovering(machine, { handle, turn, view: viewOf });

function handle(machine: Machine, event: ReplicaEvent, now: number): Effect[] {
  machine.now = Math.max(machine.now, now);
  const epoch = epochOf(machine);
  const verdict = take(machine, event);
  settleDown(machine, epoch);
  return [...verdict, ...drain(machine)];
}

/** The steps that something else than an event made possible. */
function turn(machine: Machine, now: number): Effect[] {
  machine.now = Math.max(machine.now, now);
  if (machine.started) settleDown(machine, epochOf(machine));
  return drain(machine);
}

/** Takes one event in. Only `message` has a verdict. */
function take(machine: Machine, event: ReplicaEvent): Effect[] {
  switch (event.kind) {
    case 'start':
      machine.startedAt = machine.now;
      start(machine, event);
      machine.started = true;
      return [];
    case 'message':
      return [{ kind: 'verdict', ...receiveMessage(machine, event.bytes) }];
    case 'timer':
      takeTimer(machine, event.name);
      return [];
    case 'contributed':
      takeContributed(machine, event);
      return [];
    case 'blob':
      takeBlob(machine, event);
      return [];
    case 'executed':
      onExecuted(machine, event.request, event.tensors);
      return [];
    case 'synced':
      takeSynced(machine, event);
      return [];
    case 'installed':
      onInstalled(machine, event.block, event.ledger);
      return [];
    case 'unapplied':
      onUnapplied(machine);
      return [];
    case 'connected':
      machine.connected.add(event.peer);
      machine.returning.set(event.peer, machine.now);
      if (!machine.timers.has('greet')) setTimer(machine, 'greet', machine.now + greetDelayMs);
      if (!machine.timers.has('remind')) setTimer(machine, 'remind', machine.now + remindDelayMs);
      return [];
    case 'disconnected':
      machine.connected.delete(event.peer);
      machine.returning.delete(event.peer);
      noteParting(machine, event.peer);
      return [];
    case 'invited':
      takeInvited(machine, event.invitation);
      return [];
    case 'rewound':
      return [];
    case 'opening':
      takeOpening(machine, event.opening);
      return [];
    case 'leave':
      machine.own.leaving = true;
      machine.own.invitation = undefined;
      machine.out.statements.push(...ownRequests(machine));
      return [];
  }
}

/** A timer that fires early is set again; three have work of their own, the rest is found by looking. */
function takeTimer(machine: Machine, name: string): void {
  const at = machine.timers.get(name);
  machine.timers.delete(name);
  if (at === undefined) return;
  if (at > machine.now) setTimer(machine, name, at);
  else if (name === 'holdings') publishHoldings(machine);
  else if (name === 'greet') machine.timers.set('rebroadcast', machine.now);
  else if (name === 'remind') remind(machine);
}

function takeSynced(machine: Machine, { from, entries }: Extract<ReplicaEvent, { kind: 'synced' }>): void {
  const epoch = epochOf(machine);
  const wasAtGenesis = tipOf(machine) === machine.genesis;
  onSynced(machine, from, entries);
  noteSynced(machine, epoch, wasAtGenesis);
}

function takeContributed(machine: Machine, { draft }: Extract<ReplicaEvent, { kind: 'contributed' }>): void {
  const { last } = machine.own;
  if (machine.installing?.own?.blob === draft.blob) return;
  if (last?.blob === draft.blob) {
    const own = machine.own.contributions.get(last.sequence);
    if (!own || own.expired)
      machine.out.rest.push({ kind: 'expire', contribution: last.cid, blob: last.blob });
    return;
  }
  const bytes = signContribution(machine, draft);
  const statement = decodeStatement(bytes, machine.rules.hash);
  assert(statement.kind === 'contribution', 'a signed contribution');
  const { contribution } = statement;
  machine.own.last = contribution;
  machine.own.contributions.set(contribution.sequence, { contribution, bytes, expired: false });
  holdOwn(machine, contribution);
  addToPool(machine, { contribution, bytes });
  noteArrival(machine, contribution);
  const own = machine.own.contributions.get(contribution.sequence);
  if (own && ancestorAt(headOf(machine), contribution.baseHeight)?.block.id !== contribution.base)
    expireOwn(machine, own);
}

function takeBlob(machine: Machine, { blob, outcome, bytes }: Extract<ReplicaEvent, { kind: 'blob' }>): void {
  const fetch = fetchOf(machine, blob);
  let judged = outcome;
  if (fetch?.purpose === 'contributions' && outcome === 'held')
    judged = bytes && isBlob(machine, blob, bytes) && readsAsList(machine, blob, bytes) ? 'held' : 'invalid';
  onBlob(machine, blob, judged);
  if (judged === 'held')
    for (const { contribution } of machine.pool.values())
      if (contribution.blob === blob) noteArrival(machine, contribution);
  if (judged === 'invalid')
    for (const [cid, { contribution }] of machine.pool)
      if (isInvalid(machine, contribution)) machine.pool.delete(cid);
}

function readsAsList(machine: Machine, blob: Parameters<typeof keepList>[1], bytes: Uint8Array): boolean {
  try {
    keepList(machine, blob, bytes);
    return true;
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof DigestError) return false;
    throw error;
  }
}

/**
 * The own invitation is announced until it is used. Throws `ProtocolError` `bad-invitation` when it admits nobody here.
 */
function takeInvited(machine: Machine, bytes: Uint8Array): void {
  const invitation = parseInvitation(bytes);
  const { run, runId, verify } = machine.rules;
  const problem =
    checkInvitation(invitation, run, runId, verify) ??
    (invitation.guest === machine.init.self ? undefined : 'invitation of another peer');
  if (problem) throw new ProtocolError(`invitation: ${problem}`, { code: 'bad-invitation' });
  machine.own.gone = false;
  machine.own.invitation = encodeInvitationStatement(invitation);
  if (!isMember(machine)) machine.out.statements.push(machine.own.invitation);
}

/**
 * An opening by founders goes the way of any that others send. Throws `ProtocolError` `bad-opening` when it opens
 * nothing here.
 */
function takeOpening(machine: Machine, bytes: Uint8Array): void {
  const opening = parseOpening(bytes);
  const problem =
    opening.authority === 'founders'
      ? forgedOpening(opening, machine.rules)
      : 'opening that founders did not sign';
  if (problem) throw new ProtocolError(`opening: ${problem}`, { code: 'bad-opening' });
  machine.given = opening;
}

/** Steps that may become possible by any event, each returning whether it changed something. */
const steps: readonly ((machine: Machine) => boolean)[] = [
  listen,
  advanceView,
  resolveProposals,
  decidePending,
  settle,
  skipToSnapshot,
  goBack,
  reopen,
  follow,
  latchReady,
  notarize,
  finalize,
  propose,
  skip,
];
/** Those of a regular machine without an engine. */
const dormantSteps: readonly ((machine: Machine) => boolean)[] = [
  listen,
  advanceView,
  resolveProposals,
  decidePending,
  reopen,
  noticeQuorum,
  notarizeEmpty,
  finalize,
  proposeEmpty,
  skip,
];
/** More than any event can cause: every step of 256 views. */
const turnsMax = 4_096;

function settleDown(machine: Machine, epochBefore: number): void {
  let turns = 0;
  let epoch = epochBefore;
  for (;;) {
    const wasReady = machine.readyAt;
    let changed = false;
    for (const step of machine.dormant ? dormantSteps : steps) {
      for (; epochOf(machine) !== epoch; changed = true) {
        epoch = epochOf(machine);
        replayDeferred(machine);
      }
      changed = step(machine) || changed;
    }
    if (machine.readyAt !== undefined && wasReady !== machine.readyAt) publishReadiness(machine);
    if (!changed) break;
    assert(++turns < turnsMax, 'G3: the replica comes to rest');
  }
  askInstall(machine);
  schedule(machine);
  assert((machine.timers.get('rebroadcast') ?? 0) > machine.now, 'G3: who waits will speak again');
  assert(catchesUp(machine), 'G7: who is behind catches up');
  assertBounds(machine);
}

/** What came of this epoch before it was open is known before anything is signed in it. */
function replayDeferred(machine: Machine): void {
  for (const bytes of takeDeferred(machine))
    receiveStatement(machine, decodeStatement(bytes, machine.rules.hash));
}

const earliest = (...times: (number | undefined)[]): number | undefined => {
  const known = times.filter((time) => time !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
};

function schedule(machine: Machine): void {
  const voting = machine.readyAt !== undefined && !isOver(machine) && !machine.diverged;
  const later = (time: number | undefined): number | undefined =>
    time !== undefined && time > machine.now ? time : undefined;
  setTimer(machine, 'round', nextReadyCheck(machine));
  setTimer(machine, 'view', voting ? later(machine.viewDeadline) : undefined);
  setTimer(machine, 'propose', voting ? later(proposeAt(machine)) : undefined);
  const draw = askForDeltas(machine);
  setTimer(machine, 'fetch', earliest(retryFetches(machine), draw, later(nextExecuteRetry(machine))));
  setTimer(machine, 'sync', considerSync(machine));
  if (!machine.timers.has('holdings') && machine.readyAt !== undefined && holdingsChanged(machine))
    setTimer(machine, 'holdings', machine.now + holdingsWait(machine));
  machine.heard ||= machine.peers.size > 0 || machine.now >= machine.startedAt + startupMs;
  setTimer(machine, 'startup', machine.heard ? undefined : machine.startedAt + startupMs);
  setTimer(machine, 'rebroadcast', nextRebroadcast(machine));
  setTimer(machine, 'listen', later(machine.signsFrom));
  if (isVoter(machine)) machine.votedAt = machine.now;
}

function drain(machine: Machine): Effect[] {
  const { persist, serve, statements, repeated, rest, forget } = machine.out;
  return [
    ...persist.splice(0),
    ...serve.splice(0),
    ...messagesOf(statements.splice(0)),
    ...messagesOf(repeated.splice(0)),
    ...rest.splice(0),
    ...forget.splice(0),
  ];
}

function phaseOf(machine: Machine): ReplicaView['phase'] {
  if (!machine.started) return 'starting';
  if (machine.conflicted) return 'conflict';
  if (machine.diverged) return 'diverged';
  if (machine.ended) return 'ended';
  const behind = witnessedFinal(machine) > tipOf(machine).block.height + 1;
  return behind || machine.installing || machine.repairing || machine.decided.length > 0
    ? 'syncing'
    : 'running';
}

/** A member that was alone at its start goes on by itself; a guest waits until it hears where the voters stand. */
const isIntroduced = (machine: Machine): boolean =>
  isMember(machine) ? machine.heard || membersOf(machine).length === 1 : isOriented(machine);

function viewOf(machine: Machine): ReplicaView {
  const head = headOf(machine).block;
  const final = machine.settled.block;
  const pending = pendingOwn(machine)?.contribution;
  const phase = phaseOf(machine);
  const observes = machine.init.role === 'observer';
  return {
    role: observes ? 'observer' : isMember(machine) ? 'member' : 'guest',
    epoch: epochOf(machine),
    view: machine.view,
    opens: machine.settled.next,
    rekeys: renewalsOf(machine),
    members: membersOf(machine),
    voters: votersOf(machine),
    head: { block: head.id, height: head.height },
    final: { block: final.id, height: final.height, stateRoot: final.stateRoot },
    mayContribute:
      phase === 'running' &&
      !observes &&
      !pending &&
      !machine.own.gone &&
      head.height < machine.rules.run.rounds &&
      isIntroduced(machine),
    pending,
    phase,
    tokens: machine.settled.state.tokens,
    recovery: undefined,
  };
}
