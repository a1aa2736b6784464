/**
 * Whether this peer remembers all that its vote key has signed. It does not when its folder was put back from a backup,
 * or copied and run twice: then others know votes or proposals of it that it does not know, or its key was renewed by
 * another process. From that moment on the key signs nothing; the driver makes a new one and starts the replica again.
 */
import { decodeCbor, encodeCbor } from '@murmuration/base';
import { equals } from 'uint8arrays/equals';
import type { BlockRecord } from './block-record.ts';
import type { Certificate } from './certificate.ts';
import { membersMax } from './defaults.ts';
import type { DurableRecord } from './index.ts';
import { keyOf, type LedgerState, memberOf } from './ledger-state.ts';
import { epochIdOf, keepAtMost, type Machine, report, tipOf, votersOf } from './machine.ts';
import { keepForever, ownProposal, ownVote } from './sign.ts';
import type { SignedStatement } from './statement.ts';
import { isSameEpoch } from './vote.ts';
import { ownVoteKey } from './vote-key.ts';

/** The vote key signs nothing any more. */
function forget(machine: Machine): void {
  if (machine.forgotten || machine.init.role === 'observer') return;
  const { key } = ownVoteKey(machine);
  machine.forgotten = true;
  keepForever(machine, 'forgotten', encodeCbor(key));
  report(machine, { kind: 'forgotten', key });
}

/** Whether we stand at adopted blocks of a recovery: what was signed in it is over, and nothing is signed there. */
const isPassing = (machine: Machine): boolean =>
  machine.provisional === undefined && tipOf(machine).fork !== undefined;

/** Whether a vote or proposal of ours is one that we remember, or that we need not remember. */
function isRemembered(machine: Machine, statement: SignedStatement): boolean {
  const said = statement.kind === 'vote' ? statement.vote : undefined;
  const proposed = statement.kind === 'proposal' ? statement.proposal : undefined;
  const place = said ?? proposed;
  if (!place || !isSameEpoch(place, epochIdOf(machine)) || place.view <= machine.floor) return true;
  const own = said ? ownVote(machine, said.view, said.choice) : ownProposal(machine, place.view);
  if (!own) return false;
  const { body } = decodeCbor(own) as { readonly body: unknown };
  const { body: heard } = decodeCbor(statement.bytes) as { readonly body: unknown };
  return equals(encodeCbor(body), encodeCbor(heard));
}

/** Looks at a vote or proposal that came back to us under our name. */
export function noticeOwn(machine: Machine, statement: SignedStatement): void {
  if (machine.forgotten || isPassing(machine) || isRemembered(machine, statement)) return;
  const { key } = ownVoteKey(machine);
  if (machine.rules.verify(key, statement.signed, statement.signature)) forget(machine);
}

/** Looks for votes of ours in a checked certificate of the current epoch. */
export function noticeOwnIn(machine: Machine, certificate: Certificate): void {
  const { view, choice, signers, rekeys } = certificate;
  if (isPassing(machine) || !isSameEpoch(certificate, epochIdOf(machine))) return;
  const self = machine.init.self;
  const signed = signers.some((signer) => votersOf(machine)[signer] === self);
  const key = rekeys.find(({ peer }) => peer === self)?.key ?? keyOf(tipOf(machine).state, self);
  if (!signed || key !== ownVoteKey(machine).key || view <= machine.floor) return;
  const own = ownVote(machine, view, choice);
  const { body } = own ? (decodeCbor(own) as { body: { readonly block: unknown } }) : { body: undefined };
  if (!body || body.block !== (certificate.block ?? null)) forget(machine);
}

/**
 * Remembers renewals of a block that became final, or of its opening; ours by somebody else tells that we are not
 * alone.
 */
export function noteRekeys(machine: Machine, { changes, opening, parent, state }: BlockRecord): void {
  const asked = changes.flatMap((change) => (change.kind === 'rekey' ? [change.request] : []));
  for (const request of [...(opening?.rekeys ?? []), ...asked]) {
    machine.rekeys.set(request.key, request);
    keepAtMost(machine.rekeys, 2 * membersMax);
    if (request.peer === machine.init.self) noticeSuccessor(machine, state, parent);
  }
}

/** Whether the ledger has put another key in the place of ours. */
function noticeSuccessor(machine: Machine, state: LedgerState, parent: BlockRecord | undefined): void {
  const self = machine.init.self;
  const { key } = ownVoteKey(machine);
  const now = memberOf(state, self);
  const wasOurs = key === self || (parent !== undefined && keyOf(parent.state, self) === key);
  if (now && now.renewed > 0 && now.key !== key && wasOurs) forget(machine);
}

/** What an earlier life has found out. */
export function restoreMemory(machine: Machine, records: readonly DurableRecord[]): void {
  const record = records.find(({ key }) => key === 'forgotten');
  if (record && decodeCbor(record.bytes) === ownVoteKey(machine).key) forget(machine);
  noticeSuccessor(machine, tipOf(machine).state, undefined);
}
