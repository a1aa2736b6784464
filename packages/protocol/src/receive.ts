/**
 * What comes from the network, judged in PROTOCOL.md's order: cheap rules first, signatures last. A statement changes
 * nothing before every rule holds; one bad statement condemns its message.
 */
import { DigestError } from '@murmuration/base';
import { isInvalid } from './blobs.ts';
import { checkCertificate } from './certificate.ts';
import { deferredMax, invitationsMax, verifiedMax } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import { equalBytes } from './fields.ts';
import type { Verdict } from './index.ts';
import { checkInvitation, encodeInvitation } from './invitation.ts';
import { epochOf, keepAtMost, type Machine, rosterOf, tipOf } from './machine.ts';
import { addToPool, makeRoom, staleness } from './pool.ts';
import { answer } from './publish.ts';
import { decide } from './settle.ts';
import { notePresence } from './standing.ts';
import { decodeMessage, decodeStatement, type SignedStatement, type Statement } from './statement.ts';
import {
  addCertificate,
  countVote,
  isLateVote,
  isOpenView,
  noteVoter,
  proposerOfView,
  slotOf,
} from './views.ts';

export interface Judgement {
  readonly verdict: Verdict;
  readonly reason: string;
}

const accept: Judgement = { verdict: 'accept', reason: '' };
const ignore = (reason: string): Judgement => ({ verdict: 'ignore', reason });
const reject = (reason: string): Judgement => ({ verdict: 'reject', reason });

/** Judges a gossip message and takes in what is new: one reject rejects it, one accept passes it on. */
export function receiveMessage(machine: Machine, bytes: Uint8Array): Judgement {
  const parsed = parseMessage(machine, bytes);
  if (!Array.isArray(parsed)) return parsed as Judgement;
  let best: Judgement = ignore('nothing new');
  for (const statement of parsed as Statement[]) {
    const judgement = receiveStatement(machine, statement);
    if (judgement.verdict === 'reject') return judgement;
    if (judgement.verdict === 'accept' || best.reason === 'nothing new')
      best = best.verdict === 'accept' ? best : judgement;
  }
  return best;
}

function parseMessage(machine: Machine, bytes: Uint8Array): readonly Statement[] | Judgement {
  try {
    const statements = decodeMessage(bytes).map((statement) =>
      decodeStatement(statement, machine.rules.hash),
    );
    return statements.every(({ run }) => equalBytes(run, machine.rules.runDigest))
      ? statements
      : reject('statement of another run');
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof DigestError) return reject(error.message);
    throw error;
  }
}

/** Judges one statement of this run. */
export function receiveStatement(machine: Machine, statement: Statement): Judgement {
  switch (statement.kind) {
    case 'contribution':
      return receiveContribution(machine, statement);
    case 'presence':
      return receivePresence(machine, statement);
    case 'proposal':
      return receiveProposal(machine, statement);
    case 'vote':
      return receiveVote(machine, statement);
    case 'certificate':
      return receiveCertificate(machine, statement);
    case 'invitation':
      return receiveInvitation(machine, statement);
  }
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Checks a signature once; a statement that is repeated costs a hash. */
function isSigned(machine: Machine, { signer, signed, signature, bytes }: SignedStatement): boolean {
  const key = hex(machine.rules.hash(bytes));
  if (machine.verified.has(key)) return true;
  if (!machine.rules.verify(signer, signed, signature)) return false;
  machine.verified.add(key);
  keepAtMost(machine.verified, verifiedMax);
  return true;
}

function receiveContribution(
  machine: Machine,
  statement: Extract<Statement, { kind: 'contribution' }>,
): Judgement {
  const { contribution, bytes } = statement;
  if (contribution.blobBytes > machine.rules.run.delta.blobBytesMax)
    return reject('announced blob is too long');
  if (contribution.author === machine.init.self) return ignore('own contribution');
  if (machine.pool.has(contribution.cid)) return ignore('known contribution');
  const stale = staleness(machine, contribution);
  if (stale) return ignore(stale);
  const base = machine.records.get(contribution.base);
  if (base && base.block.height !== contribution.baseHeight)
    return reject('contribution whose base has another height');
  if (!isSigned(machine, statement)) return reject('contribution with a wrong signature');
  if (isInvalid(machine, contribution)) return reject('contribution with an invalid delta');
  const full = makeRoom(machine, contribution);
  if (full) return ignore(full);
  addToPool(machine, { contribution, bytes });
  return accept;
}

function receivePresence(machine: Machine, statement: Extract<Statement, { kind: 'presence' }>): Judgement {
  const { presence } = statement;
  if (presence.peer === machine.init.self) return ignore('own presence');
  if (presence.final > presence.head || presence.head > machine.rules.run.rounds)
    return reject('presence at impossible heights');
  if (!isSigned(machine, statement)) return reject('presence with a wrong signature');
  if (!notePresence(machine, presence)) return ignore('too many peers');
  answer(machine, presence);
  return accept;
}

/** Keeps a statement of the next epoch until ours ends; anything else of another epoch is stale or unknown. */
function otherEpoch(machine: Machine, epoch: number, bytes: Uint8Array): Judgement {
  if (epoch === epochOf(machine) + 1 && machine.deferred.length < deferredMax) machine.deferred.push(bytes);
  return ignore(`epoch ${epoch}, ours is ${epochOf(machine)}`);
}

function receiveProposal(machine: Machine, statement: Extract<Statement, { kind: 'proposal' }>): Judgement {
  const { proposal, bytes } = statement;
  if (proposal.epoch !== epochOf(machine)) return otherEpoch(machine, proposal.epoch, bytes);
  if (!isOpenView(machine, proposal.view)) return ignore(`proposal of view ${proposal.view}`);
  if (proposal.proposer !== proposerOfView(machine, proposal.view)) return reject('proposal out of turn');
  if (proposal.header.epoch !== proposal.epoch || !equalBytes(proposal.header.run, machine.rules.runDigest))
    return reject('proposal of a block of another epoch or run');
  if (machine.views.get(proposal.view)?.proposal) return ignore('second proposal of a view');
  if (!isSigned(machine, statement)) return reject('proposal with a wrong signature');
  slotOf(machine, proposal.view).proposal = { proposal, bytes };
  return accept;
}

function receiveVote(machine: Machine, statement: Extract<Statement, { kind: 'vote' }>): Judgement {
  const { vote, signature, bytes } = statement;
  if (vote.epoch !== epochOf(machine)) return otherEpoch(machine, vote.epoch, bytes);
  const late = isLateVote(machine, vote);
  if (!late && !isOpenView(machine, vote.view)) return ignore(`vote of view ${vote.view}`);
  if (!rosterOf(machine).includes(vote.voter)) return reject('vote by somebody who is no member');
  if (vote.voter === machine.init.self) return ignore('own vote');
  if (machine.views.get(vote.view)?.[vote.choice].has(vote.voter)) return ignore('known vote');
  if (!isSigned(machine, statement)) return reject('vote with a wrong signature');
  if (late) {
    noteVoter(machine, vote);
    return accept;
  }
  const certificate = countVote(machine, vote, signature);
  if (certificate?.choice === 'finalize') decide(machine, certificate);
  else if (certificate) addCertificate(machine, certificate);
  return accept;
}

function receiveCertificate(
  machine: Machine,
  statement: Extract<Statement, { kind: 'certificate' }>,
): Judgement {
  const { certificate, bytes } = statement;
  const { epoch, view, choice } = certificate;
  if (epoch !== epochOf(machine)) return otherEpoch(machine, epoch, bytes);
  if (view <= machine.floor) return ignore(`certificate of view ${view}`);
  const slot = machine.views.get(view);
  const known =
    choice === 'finalize'
      ? machine.pendingFinality && machine.pendingFinality.view >= view
      : choice === 'skip'
        ? slot?.skipped
        : slot?.notarized;
  if (known) return ignore('known certificate');
  const { runDigest, run, verify } = machine.rules;
  const problem = checkCertificate(certificate, runDigest, rosterOf(machine), run.quorum, verify);
  if (problem) return reject(problem);
  if (choice === 'finalize') decide(machine, certificate);
  else addCertificate(machine, certificate);
  return accept;
}

function receiveInvitation(
  machine: Machine,
  statement: Extract<Statement, { kind: 'invitation' }>,
): Judgement {
  const { invitation, bytes } = statement;
  const { roster, admitted } = tipOf(machine).state;
  const { guest, expires } = invitation;
  if (roster.includes(guest) || admitted.some((entry) => entry.guest === guest))
    return ignore('used invitation');
  if (expires <= tipOf(machine).block.height) return ignore('expired invitation');
  if (machine.invitations.has(guest)) return ignore('known invitation');
  if (machine.invitations.size >= invitationsMax) return ignore('too many invitations');
  const problem = checkInvitation(invitation, machine.rules.run, machine.rules.runId, machine.rules.verify);
  if (problem) return reject(problem);
  machine.invitations.set(guest, { bytes: encodeInvitation(invitation), statement: bytes, expires });
  return accept;
}
