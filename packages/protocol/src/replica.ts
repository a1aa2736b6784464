/** The machine's door: one event in, effects out, and after each event every step that has become possible. */
import type { PeerId } from '@murmuration/base';
import { assert, DigestError, runDigest } from '@murmuration/base';
import { finalize, notarize, propose, proposeAt, resolveProposals, skip } from './agree.ts';
import { fetchOf, holdOwn, isBlob, isInvalid, onBlob, retryFetches } from './blobs.ts';
import { ancestorAt, type Rules } from './block-record.ts';
import { greetDelayMs, holdingsDelayMs, startupMs } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import { follow, nextExecuteRetry, onExecuted } from './follow.ts';
import type { Effect, Replica, ReplicaComponents, ReplicaEvent, ReplicaInit, ReplicaView } from './index.ts';
import { checkInvitation, parseInvitation } from './invitation.ts';
import {
  createMachine,
  epochOf,
  headOf,
  isMember,
  type Machine,
  rosterOf,
  setTimer,
  tipOf,
} from './machine.ts';
import { expireOwn, pendingOwn } from './own.ts';
import { addToPool } from './pool.ts';
import { holdingsChanged, messagesOf, nextRebroadcast, publishPresence } from './publish.ts';
import { isOver, latchReady, nextReadyCheck } from './readiness.ts';
import { receiveMessage, receiveStatement } from './receive.ts';
import { askInstall, decidePending, onInstalled, settle, skipToSnapshot } from './settle.ts';
import { signContribution } from './sign.ts';
import { keepList, start } from './start.ts';
import { decodeStatement, encodeInvitationStatement } from './statement.ts';
import { claimedFinal, considerSync, onSynced } from './sync.ts';
import { advanceView } from './views.ts';

/** A replica of the run at genesis; its first event is `start`. */
export function createReplica(init: ReplicaInit, components: ReplicaComponents): Replica {
  const rules: Rules = {
    run: init.run,
    runId: init.runId,
    runDigest: runDigest(init.runId),
    hash: (bytes) => components.hash(bytes),
    verify: (signer, bytes, signature) => components.verify(signer, bytes, signature),
  };
  const machine = createMachine(init, components, rules);
  return {
    handle: (event, now) => handle(machine, event, now),
    get view() {
      return viewOf(machine);
    },
  };
}

function handle(machine: Machine, event: ReplicaEvent, now: number): Effect[] {
  assert(machine.started === (event.kind !== 'start'), 'the first event, and only the first, is start');
  machine.now = Math.max(machine.now, now);
  const epoch = epochOf(machine);
  const verdict = take(machine, event);
  settleDown(machine, epoch);
  return [...verdict, ...drain(machine)];
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
      onSynced(machine, event.from, event.entries);
      return [];
    case 'installed':
      onInstalled(machine, event.block);
      return [];
    case 'connected':
      machine.connected.add(event.peer);
      if (!machine.timers.has('greet')) setTimer(machine, 'greet', machine.now + greetDelayMs);
      return [];
    case 'disconnected':
      machine.connected.delete(event.peer);
      return [];
    case 'invited':
      takeInvited(machine, event.invitation);
      return [];
  }
}

/** A timer that fires early is set again; `holdings` and `greet` have work of their own, the rest is found by looking. */
function takeTimer(machine: Machine, name: string): void {
  const at = machine.timers.get(name);
  machine.timers.delete(name);
  if (at === undefined) return;
  if (at > machine.now) setTimer(machine, name, at);
  else if (name === 'holdings') publishPresence(machine);
  else if (name === 'greet') machine.timers.set('rebroadcast', machine.now);
}

function takeContributed(machine: Machine, { draft }: Extract<ReplicaEvent, { kind: 'contributed' }>): void {
  const { last } = machine.own;
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

/** The own invitation is announced until it is used. Throws `ProtocolError` `bad-invitation` when it admits nobody here. */
function takeInvited(machine: Machine, bytes: Uint8Array): void {
  const invitation = parseInvitation(bytes);
  const { run, runId, verify } = machine.rules;
  const problem =
    checkInvitation(invitation, run, runId, verify) ??
    (invitation.guest === machine.init.self ? undefined : 'invitation of another peer');
  if (problem) throw new ProtocolError(`invitation: ${problem}`, { code: 'bad-invitation' });
  machine.own.invitation = encodeInvitationStatement(invitation);
  if (!isMember(machine)) machine.out.statements.push(machine.own.invitation);
}

/** Steps that may become possible by any event, each returning whether it changed something. */
const steps: readonly ((machine: Machine) => boolean)[] = [
  advanceView,
  resolveProposals,
  decidePending,
  settle,
  skipToSnapshot,
  follow,
  latchReady,
  notarize,
  finalize,
  propose,
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
    for (const step of steps) changed = step(machine) || changed;
    if (machine.readyAt !== undefined && wasReady !== machine.readyAt) publishPresence(machine);
    if (epochOf(machine) !== epoch) changed = replayDeferred(machine) || changed;
    epoch = epochOf(machine);
    if (!changed) break;
    assert(++turns < turnsMax, 'the replica comes to rest');
  }
  askInstall(machine);
  schedule(machine);
}

function replayDeferred(machine: Machine): boolean {
  for (const bytes of machine.deferred.splice(0))
    receiveStatement(machine, decodeStatement(bytes, machine.rules.hash));
  return true;
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
  setTimer(machine, 'fetch', earliest(retryFetches(machine), later(nextExecuteRetry(machine))));
  setTimer(machine, 'sync', considerSync(machine));
  if (!machine.timers.has('holdings') && machine.readyAt !== undefined && holdingsChanged(machine))
    setTimer(machine, 'holdings', machine.now + holdingsDelayMs);
  machine.heard ||= machine.peers.size > 0 || machine.now >= machine.startedAt + startupMs;
  setTimer(machine, 'startup', machine.heard ? undefined : machine.startedAt + startupMs);
  setTimer(machine, 'rebroadcast', nextRebroadcast(machine));
}

function drain(machine: Machine): Effect[] {
  const { persist, serve, statements, rest, forget } = machine.out;
  return [
    ...persist.splice(0),
    ...serve.splice(0),
    ...messagesOf(statements.splice(0)),
    ...rest.splice(0),
    ...forget.splice(0),
  ];
}

function phaseOf(machine: Machine): ReplicaView['phase'] {
  if (!machine.started) return 'starting';
  if (machine.diverged) return 'diverged';
  if (machine.ended) return 'ended';
  const behind = claimedFinal(machine, rosterOf(machine)) > tipOf(machine).block.height + 1;
  return behind || machine.installing || machine.decided.length > 0 ? 'syncing' : 'running';
}

/** A member that was alone at its start goes on by itself; a guest waits until it hears a member. */
const isIntroduced = (machine: Machine): boolean =>
  isMember(machine)
    ? machine.heard || rosterOf(machine).length === 1
    : [...machine.peers.keys()].some((peer: PeerId) => rosterOf(machine).includes(peer));

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
    roster: rosterOf(machine),
    head: { block: head.id, height: head.height },
    final: { block: final.id, height: final.height, stateRoot: final.stateRoot },
    mayContribute:
      phase === 'running' &&
      !observes &&
      !pending &&
      head.height < machine.rules.run.rounds &&
      isIntroduced(machine),
    pending,
    phase,
    tokens: machine.settled.state.tokens,
  };
}
