/** What leaves: presences, re-broadcasts of what is still needed, answers to peers that lag behind. */
import { encodeCbor } from '@murmuration/base';
import { isHeld } from './blobs.ts';
import { encodeCertificate } from './certificate.ts';
import {
  assistMs,
  certificatesMax,
  holdsMax,
  messageBytesMax,
  rebroadcastGrowth,
  rebroadcastMaxMs,
  rebroadcastMs,
  statementsMax,
  votesMax,
} from './defaults.ts';
import type { Effect } from './index.ts';
import { epochOf, headOf, isMember, type Machine, tipOf } from './machine.ts';
import { pendingOwn } from './own.ts';
import { ownProposal, signPresence } from './sign.ts';
import { encodeMessage, type Presence } from './statement.ts';

const holdings = (machine: Machine): string[] =>
  [...machine.pool.values()]
    .filter(({ contribution }) => isHeld(machine, contribution))
    .map(({ holding }) => holding)
    .slice(-holdsMax)
    .sort();

/** What our presence would say; observers say nothing. */
const presenceOf = (machine: Machine): Presence => ({
  peer: machine.init.self,
  epoch: epochOf(machine),
  view: machine.view,
  head: headOf(machine).block.height,
  final: machine.settled.block.height,
  holds: holdings(machine),
});

/** Whether others should learn what we hold: it changed since our last presence. */
export const holdingsChanged = (machine: Machine): boolean => holdings(machine).join() !== machine.published;

/** Says where we stand and what we hold. */
export function publishPresence(machine: Machine): void {
  if (machine.init.role === 'observer') return;
  machine.out.statements.push(signPresence(machine, presenceOf(machine)));
  machine.published = holdings(machine).join();
}

/** Answers a peer whose presence shows that it lags: with certificates, when it is in our epoch; our presence tells it to sync. */
export function answer(machine: Machine, { epoch, view, final }: Presence): void {
  const lagsInViews = epoch === epochOf(machine) && view < machine.view;
  const lagsInBlocks = final < machine.settled.block.height;
  if (!isMember(machine) || machine.now < machine.assistedAt + assistMs) return;
  if (!lagsInBlocks && !lagsInViews) return;
  machine.assistedAt = machine.now;
  publishPresence(machine);
  machine.out.statements.push(...certificatesFrom(machine, view));
}

/** Certificates of undecided views from one on, newest last, and the newest finalization. */
function certificatesFrom(machine: Machine, from: number): Uint8Array[] {
  const { runDigest } = machine.rules;
  const { finality } = tipOf(machine);
  const undecided = [...machine.views]
    .filter(([view]) => view >= from)
    .sort(([a], [b]) => a - b)
    .flatMap(([, { notarized, skipped }]) => [notarized, skipped])
    .filter((certificate) => certificate !== undefined)
    .slice(-certificatesMax);
  return [...(finality ? [finality] : []), ...undecided].map((certificate) =>
    encodeCertificate(runDigest, certificate),
  );
}

/** Sends everything again that somebody may have missed and that still matters. */
export function rebroadcast(machine: Machine): void {
  publishPresence(machine);
  const pending = pendingOwn(machine);
  const { statements } = machine.out;
  if (pending) statements.push(pending.bytes);
  if (machine.own.invitation && !isMember(machine)) statements.push(machine.own.invitation);
  for (const { statement } of machine.invitations.values()) statements.push(statement);
  if (!isMember(machine)) return;
  for (const view of [machine.view - 1, machine.view]) {
    const proposal = ownProposal(machine, view);
    if (proposal) statements.push(proposal);
  }
  statements.push(...certificatesFrom(machine, Math.max(machine.floor, machine.view - certificatesMax)));
  const votes = [...machine.own.votes.values()].slice(-votesMax);
  statements.push(...votes);
}

/** What must change to count as progress. */
const progressMark = (machine: Machine): string =>
  [
    epochOf(machine),
    machine.view,
    headOf(machine).block.id,
    tipOf(machine).block.height,
    machine.own.sequence,
  ].join('/');

/** Re-broadcasts when nothing has moved for a while; returns when to look again. */
export function nextRebroadcast(machine: Machine): number {
  const mark = progressMark(machine);
  const at = machine.timers.get('rebroadcast');
  if (mark !== machine.progressMark) {
    machine.progressMark = mark;
    machine.rebroadcastDelay = rebroadcastMs;
    return machine.now + rebroadcastMs;
  }
  if (at !== undefined && at > machine.now) return at;
  rebroadcast(machine);
  machine.rebroadcastDelay = Math.min(rebroadcastMaxMs, machine.rebroadcastDelay * rebroadcastGrowth);
  return machine.now + machine.rebroadcastDelay;
}

/** The gathered statements as gossip messages, each within its limits; equal statements once. */
export function messagesOf(statements: readonly Uint8Array[]): Effect[] {
  const effects: Effect[] = [];
  let batch: Uint8Array[] = [];
  let bytes = 0;
  const flush = (): void => {
    if (batch.length > 0) effects.push({ kind: 'publish', bytes: encodeMessage(batch) });
    batch = [];
    bytes = 0;
  };
  for (const statement of new Set(statements)) {
    const length = encodeCbor(statement).length;
    if (bytes + length + 16 > messageBytesMax || batch.length === statementsMax) flush();
    batch.push(statement);
    bytes += length;
  }
  flush();
  return effects;
}
