/**
 * What a machine has signed comes back from its records. A restart in a recovery begins at the fork, so votes of epochs
 * that come later on the chain wait until the machine is there again.
 */
import { decodeCbor } from '@murmuration/base';
import type { Certificate } from './certificate.ts';
import { listsMax } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import type { DurableRecord } from './index.ts';
import { decodeAnnouncement } from './ledger-entry.ts';
import { epochIdOf, keepAtMost, type Machine, tipOf } from './machine.ts';
import { decodeStatement } from './statement.ts';
import { addCertificate, countVote, slotOf } from './views.ts';
import { isSameEpoch } from './vote.ts';

/** Own votes and proposals of undecided views, and the notarizations that came with kept blocks. */
export function restoreSignatures(machine: Machine, records: readonly DurableRecord[]): void {
  const { hash } = machine.rules;
  const id = epochIdOf(machine);
  const { epoch } = id;
  const certificates: Certificate[] = machine.restored.splice(0);
  for (const certificate of certificates)
    if (isSameEpoch(certificate, id) && certificate.view > machine.floor)
      addCertificate(machine, certificate);
  machine.later = [];
  for (const record of records) {
    const { key, bytes } = record;
    const isOther = key.startsWith('notarized/');
    const isProposal = isOther || key.startsWith('proposal/');
    if (!isProposal && !key.startsWith('vote/')) continue;
    const [own, list] = isProposal ? (decodeCbor(bytes) as [Uint8Array, Uint8Array]) : [bytes, bytes];
    const statement = decodeStatement(own, hash);
    if (statement.kind === 'vote') {
      const { vote } = statement;
      if (vote.epoch > epoch) machine.later.push(record);
      if (!isSameEpoch(vote, id) || vote.view <= machine.floor) continue;
      machine.own.votes.set(`${epoch}/${vote.view}/${vote.choice}`, own);
      const certificate = countVote(machine, vote, statement);
      if (certificate && certificate.choice !== 'finalize') addCertificate(machine, certificate);
      if (certificate?.choice === 'finalize') machine.pendingFinality = certificate;
    } else if (statement.kind === 'proposal') {
      const { proposal } = statement;
      if (proposal.epoch > epoch) machine.later.push(record);
      if (!isSameEpoch(proposal, id) || proposal.view <= machine.floor) continue;
      if (!isOther) machine.own.proposals.set(`${epoch}/${proposal.view}`, { bytes: own, list });
      slotOf(machine, proposal.view).proposal = { proposal, bytes: own };
      machine.out.serve.push({ kind: 'serve', blob: proposal.header.list, bytes: list });
      keepList(machine, proposal.header.list, list);
    }
  }
  machine.activeSince = machine.view + tipOf(machine).state.voters.length;
}

/** Reads a list of announcements into the machine. Throws `ProtocolError` or `DigestError`. */
export function keepList(
  machine: Machine,
  blob: Parameters<Machine['lists']['set']>[0],
  bytes: Uint8Array,
): void {
  const list = decodeCbor(bytes);
  const { runDigest, hash } = machine.rules;
  if (!Array.isArray(list) || !list.every((item) => item instanceof Uint8Array))
    throw new ProtocolError('list: expected byte strings', { code: 'bad-message' });
  const announcements = list.map((item: Uint8Array) => {
    const statement = decodeAnnouncement(item, runDigest, hash);
    if (!machine.rules.verify(statement.signer, statement.signed, statement.signature))
      throw new ProtocolError('list: contribution with a wrong signature', { code: 'bad-message' });
    return { contribution: statement.contribution, bytes: item };
  });
  machine.lists.set(blob, announcements);
  keepAtMost(machine.lists, listsMax);
}
