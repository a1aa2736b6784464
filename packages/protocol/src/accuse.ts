/**
 * Who contradicts itself. What arrives is compared with the votes and proposals that are kept, the certificates' votes
 * among them; two that conflict become evidence, one piece against each peer: kept for good, sent to all, and put into
 * the next block that may carry it. What somebody signed can convict nobody else: evidence is checked like any other
 * statement, also our own.
 */
import { decodeCbor, encodeCbor, type PeerId } from '@murmuration/base';
import type { Certificate } from './certificate.ts';
import type { Change } from './change.ts';
import { decidedViewsMax, evidenceMax, givenBackMax } from './defaults.ts';
import {
  checkEvidence,
  conflict,
  createEvidence,
  type Deed,
  deedOf,
  type Evidence,
  parseEvidence,
} from './evidence.ts';
import type { DurableRecord } from './index.ts';
import { memberOf } from './ledger-state.ts';
import { keepAtMost, type Machine, tipOf, votersOf } from './machine.ts';
import type { CountedVote, ViewSlot } from './machine-parts.ts';
import type { RekeyRequest } from './request.ts';
import { keepForever } from './sign.ts';
import { type SignedStatement, withRekey } from './statement.ts';
import { isOpenView, slotOf } from './views.ts';
import { type Choice, choices, type EpochId, isSameEpoch, type Vote, voteBody } from './vote.ts';

/** Whether there is nothing left to prove against a peer. */
export const isAccused = (machine: Machine, peer: PeerId): boolean =>
  machine.evidence.has(peer) || tipOf(machine).state.convicted.includes(peer);

/** Keeps checked evidence for good. */
export function keepEvidence(machine: Machine, evidence: Evidence): void {
  machine.evidence.set(evidence.peer, evidence);
  keepAtMost(machine.evidence, evidenceMax);
  keepForever(machine, `evidence/${evidence.peer}`, evidence.bytes);
}

export function restoreEvidence(machine: Machine, records: readonly DurableRecord[]): void {
  const { convicted } = tipOf(machine).state;
  for (const { key, bytes } of records) {
    if (!key.startsWith('evidence/')) continue;
    const evidence = parseEvidence(bytes);
    if (!convicted.includes(evidence.peer)) machine.evidence.set(evidence.peer, evidence);
  }
}

/** Members that the next block may convict. */
export const convictions = (machine: Machine): Change[] =>
  [...machine.evidence.values()].map((evidence) => ({
    kind: 'convict',
    peer: evidence.peer,
    value: evidence.bytes,
    evidence,
  }));

/** Evidence that others may lack: against members. */
export const openEvidence = (machine: Machine): Uint8Array[] =>
  [...machine.evidence.values()]
    .filter(({ peer }) => memberOf(tipOf(machine).state, peer))
    .map(({ bytes }) => bytes);

/** Makes evidence of two deeds if they conflict and were both signed by one key of the peer. */
function accuse(machine: Machine, a: Deed, b: Deed, rekey: RekeyRequest | undefined): void {
  const { peer } = a;
  if (peer === machine.init.self || isAccused(machine, peer) || !conflict(a, b)) return;
  const renewals = [...machine.rekeys.values()].filter((renewal) => renewal.peer === peer);
  for (const by of rekey ? [rekey] : [undefined, ...renewals.reverse()]) {
    const evidence = createEvidence(a, b, by);
    if (checkEvidence(evidence, machine.rules) !== undefined) continue;
    keepEvidence(machine, evidence);
    machine.out.statements.push(evidence.bytes);
    return;
  }
}

const decidedKey = ({ opened }: EpochId, view: number): string => `${opened}/${view}`;

/** Keeps the votes of a decided view for a while. */
export function keepDecided(machine: Machine, view: number, slot: ViewSlot): void {
  machine.decidedViews.set(decidedKey(slot.of, view), slot);
  keepAtMost(machine.decidedViews, decidedViewsMax);
}

/** What is known of a view, decided or not. */
function keptSlot(machine: Machine, id: EpochId, view: number): ViewSlot | undefined {
  const slot = machine.decidedViews.get(decidedKey(id, view)) ?? machine.views.get(view);
  return slot && isSameEpoch(slot.of, id) ? slot : undefined;
}

const voteOf = (machine: Machine, vote: Vote, { signature, rekey }: Omit<CountedVote, 'block'>): Uint8Array =>
  withRekey(encodeCbor({ kind: 'vote', body: voteBody(machine.rules.runDigest, vote), signature }), rekey);

const rivals: { readonly [Each in Choice]: readonly Choice[] } = {
  notarize: ['notarize'],
  skip: ['finalize'],
  finalize: ['finalize', 'skip'],
};

/** The kept vote by the same key that a vote contradicts. */
function rivalOf(machine: Machine, vote: Vote, rekey: RekeyRequest | undefined): Uint8Array | undefined {
  const slot = keptSlot(machine, vote, vote.view);
  for (const choice of slot ? rivals[vote.choice] : []) {
    const kept = slot?.[choice].get(vote.voter);
    if (!kept || kept.block === vote.block || kept.rekey?.key !== rekey?.key) continue;
    return voteOf(machine, { ...vote, choice, block: kept.block }, kept);
  }
  return undefined;
}

/**
 * The kept statement that a vote or proposal contradicts, if its signer is not accused yet. Cheap: no signature is
 * checked.
 */
export function contradicted(machine: Machine, statement: SignedStatement): Uint8Array | undefined {
  const { signer, rekey } = statement;
  if (signer === machine.init.self || isAccused(machine, signer)) return undefined;
  if (statement.kind === 'vote') return rivalOf(machine, statement.vote, rekey);
  if (statement.kind !== 'proposal') return undefined;
  const { proposal } = statement;
  const kept = keptSlot(machine, proposal, proposal.view)?.proposal;
  const isSame = kept?.proposal.block === proposal.block && kept.proposal.after === proposal.after;
  return kept?.proposal.proposer !== signer || isSame ? undefined : kept.bytes;
}

/** Accuses the signer of a statement that contradicts another one. */
export function accuseOf(machine: Machine, statement: SignedStatement, kept: Uint8Array): void {
  const [a, b] = [kept, statement.bytes].map((bytes) => deedOf(decodeCbor(bytes)));
  if (a && b) accuse(machine, a, b, statement.rekey);
}

/** Compares the votes in a checked certificate with those that are kept, and keeps them too. */
export function noticeCertificate(machine: Machine, certificate: Certificate): void {
  const { view, choice, block, signers, signatures, rekeys } = certificate;
  const { epoch, opened } = certificate;
  signers.forEach((signer, index) => {
    const voter = votersOf(machine)[signer] as PeerId;
    const rekey = rekeys.find(({ peer }) => peer === voter);
    const counted = { block, signature: signatures[index] as Uint8Array, rekey };
    const vote: Vote = { epoch, opened, view, choice, block, voter };
    const kept = isAccused(machine, voter) ? undefined : rivalOf(machine, vote, rekey);
    if (kept) {
      const [a, b] = [kept, voteOf(machine, vote, counted)].map((bytes) => deedOf(decodeCbor(bytes)));
      if (a && b) accuse(machine, a, b, rekey);
    }
    if (!isOpenView(machine, view)) return;
    const votes = slotOf(machine, view)[choice];
    if (!votes.has(voter)) votes.set(voter, counted);
  });
}

/** Votes of a peer in undecided views from one on: it may have forgotten them. */
export function votesBy(machine: Machine, voter: PeerId, from: number): Uint8Array[] {
  const votes: Uint8Array[] = [];
  for (const [view, slot] of machine.views)
    for (const choice of view >= from ? choices : []) {
      const kept = slot[choice].get(voter);
      if (kept) votes.push(voteOf(machine, { ...slot.of, view, choice, block: kept.block, voter }, kept));
    }
  return votes.slice(-givenBackMax);
}
