/**
 * Who contradicts itself. What arrives is compared with the votes and proposals that are kept, the certificates' votes
 * among them; two that conflict become evidence, one piece against each peer: kept for good, sent to all, and put into
 * the next block that may carry it. What somebody signed can convict nobody else: evidence is checked like any other
 * statement, also our own.
 */
import { assert, decodeCbor, encodeCbor, type PeerId } from '@murmuration/base';
import { equals } from 'uint8arrays/equals';
import type { Certificate } from './certificate.ts';
import type { Change } from './change.ts';
import { decidedViewsMax, evidenceMax, givenBackMax } from './defaults.ts';
import { checkEvidence, conflict, createEvidence, deedOf, type Evidence, parseEvidence } from './evidence.ts';
import type { DurableRecord } from './index.ts';
import { keyOf, memberOf } from './ledger-state.ts';
import { keepAtMost, type Machine, tipOf, votersOf } from './machine.ts';
import type { CountedVote, ViewSlot } from './machine-parts.ts';
import type { RekeyRequest } from './request.ts';
import { keepForever } from './sign.ts';
import { decodeStatement, type SignedStatement, withRekey } from './statement.ts';
import { isOpenView, slotOf } from './views.ts';
import { type Choice, choices, type EpochId, isSameEpoch, type Vote, voteBody } from './vote.ts';

/** Whether there is nothing left to prove against a peer. */
export const isAccused = (machine: Machine, peer: PeerId): boolean =>
  machine.evidence.has(peer) || tipOf(machine).state.convicted.includes(peer);

/** Keeps checked evidence for good. */
export function keepEvidence(machine: Machine, evidence: Evidence): void {
  assert(conflict(evidence.first, evidence.second), 'G5: only what conflicts convicts');
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
    keepAtMost(machine.evidence, evidenceMax);
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

/** A kept statement that another one contradicts, and the key that must have signed both. */
export interface Contradiction {
  readonly kept: Uint8Array;
  readonly key: PeerId;
  /** Makes the key the peer's; absent: it is the peer's own. */
  readonly rekey: RekeyRequest | undefined;
}

/** Makes evidence of a checked statement and the kept one that it contradicts. */
function accuse(machine: Machine, statement: Uint8Array, { kept, rekey }: Contradiction): void {
  const evidence = createEvidence(deedOf(decodeCbor(kept)), deedOf(decodeCbor(statement)), rekey);
  if (checkEvidence(evidence, machine.rules) !== undefined) return;
  keepEvidence(machine, evidence);
  machine.out.statements.push(evidence.bytes);
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

/**
 * How the key of a kept statement is shown to be its signer's: by its own renewal, or by the one that the ledger took;
 * `undefined` where neither is known, so that nothing can be proven.
 */
function keyOfKept(
  machine: Machine,
  { state }: ViewSlot,
  peer: PeerId,
  rekey: RekeyRequest | undefined,
): Pick<Contradiction, 'key' | 'rekey'> | undefined {
  if (rekey) return { key: rekey.key, rekey };
  const key = keyOf(state, peer) ?? peer;
  const taken = machine.rekeys.get(key);
  return key === peer || taken ? { key, rekey: taken } : undefined;
}

/** The kept vote by the same key that a vote contradicts. */
function rivalOf(machine: Machine, vote: Vote, rekey: RekeyRequest | undefined): Contradiction | undefined {
  const slot = keptSlot(machine, vote, vote.view);
  for (const choice of slot ? rivals[vote.choice] : []) {
    const kept = slot?.[choice].get(vote.voter);
    if (!slot || !kept || kept.block === vote.block || kept.rekey?.key !== rekey?.key) continue;
    const by = keyOfKept(machine, slot, vote.voter, kept.rekey);
    return by && { ...by, kept: voteOf(machine, { ...vote, choice, block: kept.block }, kept) };
  }
  return undefined;
}

/** The kept proposal by the same key that says something else in its view, be it only in what it names. */
function otherProposal(
  machine: Machine,
  { proposal, signed, bytes, rekey }: Extract<SignedStatement, { kind: 'proposal' }>,
): Contradiction | undefined {
  const slot = keptSlot(machine, proposal, proposal.view);
  const kept = slot?.proposal;
  if (!kept || kept.proposal.proposer !== proposal.proposer || equals(kept.bytes, bytes)) return undefined;
  const before = decodeStatement(kept.bytes, machine.rules.hash) as SignedStatement;
  if (equals(before.signed, signed) || before.rekey?.key !== rekey?.key) return undefined;
  const by = keyOfKept(machine, slot, proposal.proposer, before.rekey);
  return by && { ...by, kept: kept.bytes };
}

/**
 * The kept statement that a vote or proposal contradicts, if its signer is not accused yet and that could be shown. No
 * signature is checked.
 */
export function contradicted(machine: Machine, statement: SignedStatement): Contradiction | undefined {
  const { signer, rekey } = statement;
  if (signer === machine.init.self || isAccused(machine, signer)) return undefined;
  if (statement.kind === 'vote') return rivalOf(machine, statement.vote, rekey);
  return statement.kind === 'proposal' ? otherProposal(machine, statement) : undefined;
}

/** Accuses the signer of a checked statement that contradicts a kept one. */
export const accuseOf = (machine: Machine, { bytes }: SignedStatement, rival: Contradiction): void =>
  accuse(machine, bytes, rival);

/** Compares the votes in a checked certificate with those that are kept, and keeps them too. */
export function noticeCertificate(machine: Machine, certificate: Certificate): void {
  const { view, choice, block, signers, signatures, rekeys } = certificate;
  const { epoch, opened } = certificate;
  signers.forEach((signer, index) => {
    const voter = votersOf(machine)[signer] as PeerId;
    const rekey = rekeys.find(({ peer }) => peer === voter);
    const counted = { block, signature: signatures[index] as Uint8Array, rekey };
    const vote: Vote = { epoch, opened, view, choice, block, voter };
    const isOpen = voter !== machine.init.self && !isAccused(machine, voter);
    const rival = isOpen ? rivalOf(machine, vote, rekey) : undefined;
    if (rival) accuse(machine, voteOf(machine, vote, counted), rival);
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
