/**
 * What comes from the network, judged in PROTOCOL.md's order: cheap rules first, signatures last. A statement changes
 * nothing before every rule holds; one bad statement condemns its message.
 */
import { DigestError, type PeerId } from '@murmuration/base';
import { equals } from 'uint8arrays/equals';
import { toString as toText } from 'uint8arrays/to-string';
import { accuseOf, contradicted, isAccused, keepEvidence, noticeCertificate } from './accuse.ts';
import { isInvalid } from './blobs.ts';
import { chargeCheck, mayCheck, type OpenKind } from './budget.ts';
import { checkCertificate } from './certificate.ts';
import { type Change, forgedChange } from './change.ts';
import { verifiedMax } from './defaults.ts';
import { defer } from './deferred.ts';
import { ProtocolError } from './errors.ts';
import { checkEvidence } from './evidence.ts';
import type { Verdict } from './index.ts';
import { encodeInvitation } from './invitation.ts';
import { knowsOpening, needlessOpening, noteOpening } from './known-openings.ts';
import { keyOf, memberOf } from './ledger-state.ts';
import { epochIdOf, keepAtMost, type Machine, openingOf, tipOf, votersOf } from './machine.ts';
import { noticeOwn, noticeOwnIn } from './memory.ts';
import { forgedOpening, misplacedOpening, type Opening } from './opening.ts';
import { changeOf, knowsChange, noteChange, stalenessOf } from './pending-changes.ts';
import { addToPool, lacksRoom, makeRoom, staleness } from './pool.ts';
import { answer } from './publish.ts';
import { checkRequest, staleRequest } from './request.ts';
import { renewalsMax } from './roster.ts';
import { decide } from './settle.ts';
import { isOutrun, isRepeated, notePresence, noteRepeated, noteWord } from './standing.ts';
import {
  decodeMessage,
  decodeStatement,
  type Hash,
  type SignedStatement,
  type Statement,
} from './statement.ts';
import {
  addCertificate,
  countVote,
  isLateVote,
  isOpenView,
  noteVoter,
  proposerOfView,
  slotOf,
} from './views.ts';
import { type EpochId, isSameEpoch } from './vote.ts';
import { ownVoteKey } from './vote-key.ts';

interface Judgement {
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

/** A replica in a recovery is two machines, and each takes in every message; it is read once. */
const read = new WeakMap<Uint8Array, readonly Statement[]>();

const readMessage = (bytes: Uint8Array, hash: Hash): readonly Statement[] =>
  decodeMessage(bytes).map((statement) => decodeStatement(statement, hash));

function parseMessage(machine: Machine, bytes: Uint8Array): readonly Statement[] | Judgement {
  try {
    const statements = read.get(bytes) ?? readMessage(bytes, machine.rules.hash);
    read.set(bytes, statements);
    return statements.every(({ run }) => equals(run, machine.rules.runDigest))
      ? statements
      : reject('statement of another run');
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof DigestError) return reject(error.message);
    throw error;
  }
}

/** Judges one statement of this run. */
export function receiveStatement(machine: Machine, statement: Statement): Judgement {
  const judgement = judge(machine, statement);
  if (judgement.verdict === 'accept' && 'signer' in statement) noteWord(machine, statement.signer);
  return judgement;
}

function judge(machine: Machine, statement: Statement): Judgement {
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
      return receiveChange(
        machine,
        changeOf('admit', encodeInvitation(statement.invitation)),
        statement.bytes,
      );
    case 'evidence':
      return receiveEvidence(machine, statement);
    case 'opening':
      return receiveOpening(machine, statement.opening);
    case 'leave':
    case 'rekey':
      return receiveChange(machine, changeOf(statement.kind, statement.bytes), statement.bytes);
  }
}

/** Why the signature of what anybody may send is not checked now, or is wrong; whoever signed it pays for the check. */
function problemOfSignature(
  machine: Machine,
  statement: Extract<SignedStatement, { kind: OpenKind }>,
): Judgement | undefined {
  const { kind, signer, bytes } = statement;
  if (machine.verified.has(verifiedKey(machine, signer, bytes))) return undefined;
  if (!mayCheck(machine, kind, signer)) return ignore(`${kind} beyond the budget of its sender`);
  const isGood = isSigned(machine, statement);
  chargeCheck(machine, kind, signer, isGood);
  return isGood ? undefined : reject(`${kind} with a wrong signature`);
}

const digests = new WeakMap<Uint8Array, string>();

function verifiedKey({ rules }: Machine, by: PeerId | undefined, bytes: Uint8Array): string {
  const digest = digests.get(bytes) ?? toText(rules.hash(bytes), 'base16');
  digests.set(bytes, digest);
  return `${by} ${digest}`;
}

/** Checks a signature once; a statement that is repeated costs a hash. */
function isSigned(
  machine: Machine,
  statement: SignedStatement,
  by = keyOfSigner(machine, statement),
): boolean {
  const { signed, signature, bytes } = statement;
  const key = verifiedKey(machine, by, bytes);
  if (machine.verified.has(key)) return true;
  if (by === undefined || !machine.rules.verify(by, signed, signature)) return false;
  machine.verified.add(key);
  keepAtMost(machine.verified, verifiedMax);
  return true;
}

/** Votes and proposals are signed by vote keys. */
const keyOfSigner = (machine: Machine, statement: SignedStatement): PeerId | undefined =>
  statement.kind === 'vote' || statement.kind === 'proposal'
    ? voteKeyOf(machine, statement)
    : statement.signer;

/**
 * The key that a vote or proposal must be signed by: the one in the ledger, or in small epochs the one that it brings
 * along.
 */
function voteKeyOf(machine: Machine, { signer, rekey }: SignedStatement): PeerId | undefined {
  const { state } = tipOf(machine);
  if (!rekey) return keyOf(state, signer);
  const counts =
    rekey.peer === signer &&
    renewalsMax(machine.rules.run.quorum, state.voters.length) > 0 &&
    staleRequest(rekey, state) === undefined &&
    checkRequest(rekey, machine.rules) === undefined;
  return counts ? rekey.key : undefined;
}

function receiveContribution(
  machine: Machine,
  statement: Extract<Statement, { kind: 'contribution' }>,
): Judgement {
  const { contribution, bytes } = statement;
  if (contribution.blobBytes > machine.rules.run.delta.blobBytesMax)
    return reject('announced blob is too long');
  if (contribution.author === machine.init.self) return ignore('own contribution');
  if (machine.dormant) return ignore('a recovery takes contributions');
  if (machine.pool.has(contribution.cid)) return ignore('known contribution');
  const stale = staleness(machine, contribution);
  if (stale) return ignore(stale);
  const base = machine.records.get(contribution.base);
  if (base && base.block.height !== contribution.baseHeight)
    return reject('contribution whose base has another height');
  const full = lacksRoom(machine, contribution);
  if (full) return ignore(full);
  const problem = problemOfSignature(machine, statement);
  if (problem) return problem;
  if (isInvalid(machine, contribution)) return reject('contribution with an invalid delta');
  makeRoom(machine, contribution);
  addToPool(machine, { contribution, bytes });
  return accept;
}

function receivePresence(machine: Machine, statement: Extract<Statement, { kind: 'presence' }>): Judgement {
  const { presence } = statement;
  if (presence.peer === machine.init.self) return ignore('own presence');
  if (tipOf(machine).state.convicted.includes(presence.peer)) return ignore('presence of a convicted peer');
  if (presence.final > presence.head || presence.head > machine.rules.run.rounds)
    return reject('presence at impossible heights');
  const isKnown = machine.verified.has(verifiedKey(machine, presence.peer, statement.bytes));
  if (isKnown || isOutrun(machine, presence)) return ignore('known presence');
  const problem = problemOfSignature(machine, statement);
  if (problem) return problem;
  const repeated = isRepeated(machine, presence);
  const known = machine.peers.get(presence.peer);
  if (repeated) noteRepeated(machine, presence);
  else notePresence(machine, presence);
  if (presence.opening === openingOf(machine)) answer(machine, presence, known);
  return repeated ? ignore('known presence') : accept;
}

/** Keeps a statement of the next epoch until ours ends; anything else of another epoch is stale or unknown. */
function otherEpoch(
  machine: Machine,
  { epoch }: EpochId,
  statement: Extract<Statement, { kind: 'vote' | 'proposal' | 'certificate' }>,
): Judgement {
  const ours = epochIdOf(machine).epoch;
  if (epoch === ours + 1) defer(machine, statement);
  return ignore(`epoch ${epoch}, ours is ${ours}`);
}

function receiveProposal(machine: Machine, statement: Extract<Statement, { kind: 'proposal' }>): Judgement {
  const { proposal, bytes } = statement;
  const forged = lookForConflict(machine, statement);
  if (forged) return forged;
  if (!isSameEpoch(proposal, epochIdOf(machine))) return otherEpoch(machine, proposal, statement);
  if (!isOpenView(machine, proposal.view)) return ignore(`proposal of view ${proposal.view}`);
  if (proposal.proposer !== proposerOfView(machine, proposal.view)) return reject('proposal out of turn');
  if (proposal.header.epoch !== proposal.epoch || !equals(proposal.header.run, machine.rules.runDigest))
    return reject('proposal of a block of another epoch or run');
  if (proposal.proposer === machine.init.self) noticeOwn(machine, statement);
  const { notarized, proposal: known } = machine.views.get(proposal.view) ?? {};
  const isChosen = notarized?.block === proposal.block && known?.proposal.block !== proposal.block;
  if (known && !isChosen) return ignore('second proposal of a view');
  if (!isSigned(machine, statement)) return reject('proposal with a wrong signature');
  slotOf(machine, proposal.view).proposal = { proposal, bytes };
  return accept;
}

/** Compares a vote or proposal with those that are kept; `undefined` unless it only pretends to contradict one. */
function lookForConflict(
  machine: Machine,
  statement: Extract<SignedStatement, { kind: 'vote' | 'proposal' }>,
): Judgement | undefined {
  const rival = contradicted(machine, statement);
  if (!rival) return undefined;
  if (!isSigned(machine, statement, rival.key)) return reject(`${statement.kind} with a wrong signature`);
  accuseOf(machine, statement, rival);
  return undefined;
}

function receiveEvidence(
  machine: Machine,
  { evidence }: Extract<Statement, { kind: 'evidence' }>,
): Judgement {
  const { peer } = evidence;
  if (isAccused(machine, peer)) return ignore('known evidence');
  if (!memberOf(tipOf(machine).state, peer)) return ignore('evidence against somebody who is no member');
  const problem = checkEvidence(evidence, machine.rules);
  if (problem) return reject(problem);
  keepEvidence(machine, evidence);
  return accept;
}

function receiveVote(machine: Machine, statement: Extract<Statement, { kind: 'vote' }>): Judgement {
  const { vote } = statement;
  const forged = lookForConflict(machine, statement);
  if (forged) return forged;
  if (!isSameEpoch(vote, epochIdOf(machine))) return otherEpoch(machine, vote, statement);
  const late = isLateVote(machine, vote);
  if (!late && !isOpenView(machine, vote.view)) return ignore(`vote of view ${vote.view}`);
  if (!votersOf(machine).includes(vote.voter)) return reject('vote by somebody who is no voter');
  if (vote.voter === machine.init.self) return receiveOwnVote(machine, statement);
  if (machine.views.get(vote.view)?.[vote.choice].has(vote.voter)) return ignore('known vote');
  if (!isSigned(machine, statement)) return reject('vote with a wrong signature');
  if (late) {
    noteVoter(machine, vote);
    return accept;
  }
  const certificate = countVote(machine, vote, statement);
  if (certificate?.choice === 'finalize') decide(machine, certificate);
  else if (certificate) addCertificate(machine, certificate);
  return accept;
}

/** A vote in our name may tell that we have forgotten it. One that no key of ours has signed is a forgery as any. */
function receiveOwnVote(machine: Machine, statement: Extract<Statement, { kind: 'vote' }>): Judgement {
  if (!isSigned(machine, statement, ownVoteKey(machine).key) && !isSigned(machine, statement))
    return reject('vote with a wrong signature');
  noticeOwn(machine, statement);
  return ignore('own vote');
}

function receiveCertificate(
  machine: Machine,
  statement: Extract<Statement, { kind: 'certificate' }>,
): Judgement {
  const { certificate } = statement;
  const { view, choice } = certificate;
  if (!isSameEpoch(certificate, epochIdOf(machine))) return otherEpoch(machine, certificate, statement);
  if (view <= machine.floor) return ignore(`certificate of view ${view}`);
  const slot = machine.views.get(view);
  const known =
    choice === 'finalize'
      ? machine.pendingFinality && machine.pendingFinality.view >= view
      : choice === 'skip'
        ? slot?.skipped
        : slot?.notarized?.block === certificate.block;
  if (known) return ignore('known certificate');
  const problem = checkCertificate(certificate, machine.rules, tipOf(machine).state);
  if (problem) return reject(problem);
  noticeOwnIn(machine, certificate);
  noticeCertificate(machine, certificate);
  if (choice === 'finalize') decide(machine, certificate);
  else addCertificate(machine, certificate);
  return accept;
}

function receiveOpening(machine: Machine, opening: Opening): Judgement {
  if (machine.provisional) return ignore('opening inside a recovery');
  const misplaced = misplacedOpening(opening, machine.settled);
  if (misplaced) return ignore(misplaced);
  if (opening.signatures.length === 0 || knowsOpening(machine, opening)) return ignore('known opening');
  const needless = needlessOpening(machine, opening);
  if (needless) return ignore(needless);
  const forged = forgedOpening(opening, machine.rules);
  if (forged) return reject(forged);
  noteOpening(machine, opening);
  return accept;
}

function receiveChange(machine: Machine, change: Change, bytes: Uint8Array): Judgement {
  const stale = stalenessOf(machine, change);
  if (stale) return ignore(stale);
  if (knowsChange(machine, change)) return ignore(`known ${change.kind}`);
  const forged = forgedChange(change, machine.rules);
  if (forged) return reject(forged);
  return noteChange(machine, change, bytes) ? accept : ignore('too many changes of the roster');
}
