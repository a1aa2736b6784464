/** Votes, certificates and proposals of the epoch's undecided views: counting, and which view it is. */
import type { PeerId } from '@murmuration/base';
import { type BlockRecord, isSameBlock } from './block-record.ts';
import type { Certificate } from './certificate.ts';
import { viewsAheadMax } from './defaults.ts';
import type { BlockId } from './index.ts';
import { epochIdOf, type Machine, report, tipOf, votersOf } from './machine.ts';
import type { CountedVote, ViewSlot } from './machine-parts.ts';
import type { RekeyRequest } from './request.ts';
import { proposerOf, quorumOf, renewalsMax } from './roster.ts';
import type { Choice, Vote } from './vote.ts';

/** The slot of a view above the floor, made when it is missing. */
export function slotOf(machine: Machine, view: number): ViewSlot {
  let slot = machine.views.get(view);
  if (!slot) {
    const { next: of, state } = tipOf(machine);
    slot = { of, state, notarize: new Map(), skip: new Map(), finalize: new Map() };
    machine.views.set(view, slot);
  }
  return slot;
}

/** Whether votes of this view are still counted. */
export const isOpenView = (machine: Machine, view: number): boolean =>
  view > machine.floor && view <= machine.view + viewsAheadMax;

export const quorum = (machine: Machine): number =>
  quorumOf(machine.rules.run.quorum, votersOf(machine).length);

/**
 * Counts a checked vote; the first of a voter in a view and choice counts. Returns the certificate that it completes.
 */
export function countVote(
  machine: Machine,
  vote: Vote,
  { signature, rekey }: Pick<CountedVote, 'signature' | 'rekey'>,
): Certificate | undefined {
  const slot = slotOf(machine, vote.view);
  const votes = slot[vote.choice];
  if (votes.has(vote.voter)) return undefined;
  votes.set(vote.voter, { block: vote.block, signature, rekey });
  noteVoter(machine, vote);
  return certify(machine, vote.view, vote.choice, vote.block);
}

/** Remembers that a member votes. A slow one's votes may come when their view is decided: it is alive all the same. */
export function noteVoter(machine: Machine, { voter, view }: Vote): void {
  machine.lastVote.set(voter, Math.max(view, machine.lastVote.get(voter) ?? -1));
}

/** Whether a vote of a decided view is news: its voter was not heard since. */
export const isLateVote = (machine: Machine, { voter, view }: Vote): boolean =>
  view <= machine.floor &&
  view >= machine.view - votersOf(machine).length &&
  view > (machine.lastVote.get(voter) ?? -1);

function certify(
  machine: Machine,
  view: number,
  choice: Choice,
  block: BlockId | undefined,
): Certificate | undefined {
  const votes = slotOf(machine, view)[choice];
  const needed = quorum(machine);
  const signers: number[] = [];
  const signatures: Uint8Array[] = [];
  const rekeys: RekeyRequest[] = [];
  const roster = votersOf(machine);
  const newKeysMax = renewalsMax(machine.rules.run.quorum, roster.length);
  roster.forEach((member, index) => {
    const vote = votes.get(member);
    if (!vote || vote.block !== block || signers.length === needed) return;
    if (vote.rekey && rekeys.length === newKeysMax) return;
    if (vote.rekey) rekeys.push(vote.rekey);
    signers.push(index);
    signatures.push(vote.signature);
  });
  if (signers.length < needed) return undefined;
  rekeys.sort((a, b) => (a.peer < b.peer ? -1 : 1));
  return { ...epochIdOf(machine), view, choice, block, signers, signatures, rekeys };
}

/** Takes a checked notarize or skip certificate in. Returns whether it is new. */
export function addCertificate(machine: Machine, certificate: Certificate): boolean {
  const slot = slotOf(machine, certificate.view);
  const key = certificate.choice === 'notarize' ? 'notarized' : 'skipped';
  if (slot[key]) return false;
  slot[key] = certificate;
  if (key === 'skipped' && certificate.view >= machine.view)
    report(machine, { kind: 'skipped', view: certificate.view });
  return true;
}

/** Moves to the view after the newest certificate. */
export function advanceView(machine: Machine): boolean {
  let view = machine.floor + 1;
  for (const [at, slot] of machine.views) if ((slot.notarized || slot.skipped) && at >= view) view = at + 1;
  if (view <= machine.view) return false;
  if (view > machine.view + votersOf(machine).length) machine.activeSince = view;
  machine.view = view;
  machine.viewDeadline = undefined;
  return true;
}

/** The block notarized in a view, when it is known; the newest final block stands for the floor. */
export function notarizedAt(machine: Machine, view: number): BlockRecord | undefined {
  if (view === machine.floor) return tipOf(machine);
  const block = machine.views.get(view)?.notarized?.block;
  return block === undefined ? undefined : machine.records.get(block);
}

/** Whether `record` is `ancestor` or has it among its ancestors. */
export function descends(record: BlockRecord, ancestor: BlockRecord): boolean {
  let at: BlockRecord | undefined = record;
  while (at && at.block.height > ancestor.block.height) at = at.parent;
  return isSameBlock(at, ancestor);
}

/** The known block of the newest notarization that continues the final chain; that chain's tip if there is none. */
export function newestNotarized(machine: Machine): BlockRecord {
  const tip = tipOf(machine);
  for (const view of [...machine.views.keys()].sort((a, b) => b - a)) {
    const record = notarizedAt(machine, view);
    if (record && descends(record, tip)) return record;
  }
  return tip;
}

/** What a proposal of the current view builds on: the newest notarized block with every later view skipped. */
export function baseOfView(
  machine: Machine,
): { readonly after: number; readonly record: BlockRecord } | undefined {
  for (let after = machine.view - 1; after >= machine.floor; after--) {
    const record = notarizedAt(machine, after);
    if (record && descends(record, tipOf(machine))) return { after, record };
    if (!machine.views.get(after)?.skipped) return undefined;
  }
  return undefined;
}

export const proposerOfView = (machine: Machine, view: number = machine.view): PeerId =>
  proposerOf(votersOf(machine), view);

/** Whether a member has voted in one of the last n views, or we cannot know yet. */
export function isActive(machine: Machine, member: PeerId): boolean {
  const since = machine.view - votersOf(machine).length;
  return (
    member === machine.init.self ||
    since < machine.activeSince ||
    (machine.lastVote.get(member) ?? -1) >= since
  );
}
