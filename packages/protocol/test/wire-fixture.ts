/** One value of everything that is signed, sent or stored, made from fixed keys, as the bytes of this release. */
import { cidOf, encodeCbor, runDigest, runIdOf } from '@murmuration/base';
import { createInvitation, genesisBlockId, signInvitation } from '@murmuration/protocol';
import { encodeCertificate } from '../src/certificate.ts';
import { encodeHeader } from '../src/header.ts';
import { parseInvitation } from '../src/invitation.ts';
import { encodeEntry } from '../src/ledger-entry.ts';
import { genesisState, nextState, stateRootOf } from '../src/ledger-state.ts';
import {
  contributionBody,
  decodeStatement,
  encodeInvitationStatement,
  encodeMessage,
  encodeSigned,
  presenceBody,
  proposalBody,
} from '../src/statement.ts';
import { type Choice, voteBody } from '../src/vote.ts';
import { createKey, createRun } from './harness.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export function wireFixture(): Record<string, string> {
  const keys = [1, 2, 3].map(createKey);
  const [first, second] = keys as [ReturnType<typeof createKey>, ReturnType<typeof createKey>];
  const run = createRun(keys.map(({ peer }) => peer));
  const runId = runIdOf(run);
  const digest = runDigest(runId);
  const { hash, sign } = first.components;
  const base = genesisBlockId(runId);
  const blob = cidOf(Uint8Array.of(1, 2, 3));
  const draft = { base, baseHeight: 0, blob, blobBytes: 3, norm: 1.5, tokens: 640, steps: 5, loss: 2.25 };
  const contribution = encodeSigned('contribution', contributionBody(digest, first.peer, 1, draft), sign);
  const announced = decodeStatement(contribution, hash);
  if (announced.kind !== 'contribution') throw new Error('expected a contribution');
  const list = encodeCbor([contribution]);
  const tensors = cidOf(Uint8Array.of(4, 5, 6));
  const state = nextState(run, genesisState(run), 1, [announced.contribution], undefined);
  const headerBytes = encodeHeader({
    run: digest,
    epoch: 0,
    view: 0,
    height: 1,
    parent: base,
    proposer: first.peer,
    list: cidOf(list),
    listBytes: list.length,
    tensors,
    root: stateRootOf(tensors, state, hash),
    invitation: undefined,
  });
  const block = cidOf(headerBytes, 'dag-cbor');
  const vote = (choice: Choice, key = first): Uint8Array =>
    encodeSigned(
      'vote',
      voteBody(digest, {
        epoch: 0,
        view: 0,
        choice,
        block: choice === 'skip' ? undefined : block,
        voter: key.peer,
      }),
      key.components.sign,
    );
  const signatureOf = (bytes: Uint8Array): Uint8Array => {
    const statement = decodeStatement(bytes, hash);
    if (statement.kind !== 'vote') throw new Error('expected a vote');
    return statement.signature;
  };
  const certificate = {
    epoch: 0,
    view: 0,
    choice: 'finalize' as const,
    block,
    signers: [0, 1],
    signatures: [first, second].map((key) => signatureOf(vote('finalize', key))),
  };
  const proposal = {
    epoch: 0,
    view: 0,
    after: -1,
    headerBytes,
    contributions: [announced.contribution.cid],
    proposer: first.peer,
  };
  const presence = { peer: first.peer, epoch: 0, view: 1, head: 1, final: 1, holds: ['0123456789abcdef'] };
  const invitation = signInvitation(
    createInvitation({ runId, guest: createKey(4).peer, expires: 9 }),
    first.peer,
    sign,
  );
  const entry = {
    headerBytes,
    announcements: [{ contribution: announced.contribution, bytes: contribution }],
  };
  return {
    genesis: base,
    block,
    contribution: hex(contribution),
    presence: hex(encodeSigned('presence', presenceBody(digest, presence), sign)),
    proposal: hex(encodeSigned('proposal', proposalBody(digest, proposal), sign)),
    notarize: hex(vote('notarize')),
    skip: hex(vote('skip')),
    finalize: hex(vote('finalize')),
    certificate: hex(encodeCertificate(digest, certificate)),
    invitation: hex(invitation),
    invitationStatement: hex(encodeInvitationStatement(parseInvitation(invitation))),
    message: hex(encodeMessage([contribution, vote('notarize')])),
    header: hex(headerBytes),
    ledgerState: hex(encodeCbor(state)),
    ledgerEntry: hex(encodeEntry(digest, entry, certificate)),
  };
}
