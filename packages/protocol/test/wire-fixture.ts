/** One value of everything that is signed, sent or stored, made from fixed keys, as the bytes of this release. */
import { cidOf, decodeCbor, encodeCbor, runDigest, runIdOf } from '@murmuration/base';
import { createInvitation, createShareProver, genesisBlockId, signInvitation } from '@murmuration/protocol';
import { buildRecord, genesisRecord } from '../src/block-record.ts';
import { type Certificate, encodeCertificate } from '../src/certificate.ts';
import { encodeChange } from '../src/change.ts';
import { createEvidence, type Deed, deedOf } from '../src/evidence.ts';
import { decodeHeader, encodeHeader } from '../src/header.ts';
import { parseInvitation } from '../src/invitation.ts';
import { encodeEntry } from '../src/ledger-entry.ts';
import { genesisState, nextState, stateRootOf } from '../src/ledger-state.ts';
import { changeOf } from '../src/pending-changes.ts';
import { encodeLeave, encodeRekey, parseRekey, type RekeyRequest } from '../src/request.ts';
import {
  contributionBody,
  decodeStatement,
  encodeInvitationStatement,
  encodeMessage,
  encodeProposal,
  encodeSigned,
  presenceBody,
  withRekey,
} from '../src/statement.ts';
import { type Choice, voteBody } from '../src/vote.ts';
import { createKey, createRun, type Key } from './harness.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The run of the fixture: three founders, and the one block that they have settled. */
function createChain() {
  const keys = [1, 2, 3].map(createKey);
  const [first, second, third] = keys as [Key, Key, Key];
  const run = createRun(keys.map(({ peer }) => peer));
  const runId = runIdOf(run);
  const digest = runDigest(runId);
  const { hash, sign, verify } = first.components;
  const base = genesisBlockId(runId);
  const blob = cidOf(Uint8Array.of(1, 2, 3));
  const draft = { base, baseHeight: 0, blob, blobBytes: 3, norm: 1.5, tokens: 640, steps: 5, loss: 2.25 };
  const bytes = encodeSigned('contribution', contributionBody(digest, first.peer, 1, draft), sign);
  const announced = decodeStatement(bytes, hash);
  if (announced.kind !== 'contribution') throw new Error('expected a contribution');
  const { contribution } = announced;
  const list = encodeCbor([bytes]);
  const tensors = cidOf(Uint8Array.of(4, 5, 6));
  const state = nextState(run, genesisState(run), 1, [contribution], []);
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
    changes: [],
  });
  const block = cidOf(headerBytes, 'dag-cbor');
  const rules = { run, runId, runDigest: digest, hash, verify };
  const header = decodeHeader(headerBytes);
  const settled = [{ contribution, bytes }];
  const { record, problem } = buildRecord(rules, genesisRecord(rules), block, header, headerBytes, settled);
  if (!record) throw new Error(problem);
  return {
    first,
    second,
    third,
    rules,
    base,
    announced: { contribution, bytes },
    state,
    headerBytes,
    block,
    record,
  };
}

type Chain = ReturnType<typeof createChain>;

/** A vote on that block. */
function voteOn(
  { first, rules, base, block }: Chain,
  choice: Choice,
  key = first,
  voteKey = key,
): Uint8Array {
  const place = { epoch: 0, opened: base, view: 0, voter: key.peer };
  const body = voteBody(rules.runDigest, {
    ...place,
    choice,
    block: choice === 'skip' ? undefined : block,
  });
  return encodeSigned('vote', body, voteKey.components.sign);
}

function certificateOf(chain: Chain): Certificate {
  const { first, second, rules, base, block } = chain;
  const signatures = [first, second].map((key) => {
    const statement = decodeStatement(voteOn(chain, 'finalize', key), rules.hash);
    if (statement.kind !== 'vote') throw new Error('expected a vote');
    return statement.signature;
  });
  return {
    epoch: 0,
    opened: base,
    view: 0,
    choice: 'finalize',
    block,
    signers: [0, 1],
    signatures,
    rekeys: [],
  };
}

/** What members sign and send about the block. */
function votingBytes(chain: Chain, rekey: RekeyRequest) {
  const { first, third, rules, base, announced, headerBytes, block } = chain;
  const { runDigest: digest } = rules;
  const { peer, components } = first;
  const certificate = certificateOf(chain);
  const presence = {
    ...{ peer, life: 1_790_000_000_000, count: 7, epoch: 0, view: 1, head: 1, final: 1, block },
    ...{ holds: ['0123456789abcdef'], opening: null },
  };
  const proposal = {
    ...{ epoch: 0, opened: base, view: 0, after: -1, block, headerBytes, proposer: peer },
    contributions: [announced.contribution.cid],
  };
  const [skipped, finalized] = (['skip', 'finalize'] as const).map((choice) =>
    deedOf(decodeCbor(voteOn(chain, choice))),
  );
  return {
    contribution: announced.bytes,
    presence: encodeSigned('presence', presenceBody(digest, presence), components.sign),
    proposal: encodeProposal(digest, proposal, components),
    notarize: voteOn(chain, 'notarize'),
    skip: voteOn(chain, 'skip'),
    finalize: voteOn(chain, 'finalize'),
    certificate: encodeCertificate(digest, certificate),
    voteByNewKey: withRekey(voteOn(chain, 'notarize', first, third), rekey),
    certificateByNewKey: encodeCertificate(digest, { ...certificate, rekeys: [rekey] }),
    evidence: createEvidence(skipped as Deed, finalized as Deed, undefined).bytes,
    message: encodeMessage([announced.bytes, voteOn(chain, 'notarize')]),
  };
}

/** What changes the roster. */
function changingBytes({ first, rules }: Chain, rekey: RekeyRequest) {
  const { sign } = first.components;
  const guest = createKey(4).peer;
  const terms = createInvitation({ runId: rules.runId, guest, role: 'member', expires: 9, uses: 1 });
  const invitation = signInvitation(terms, first.peer, sign);
  return {
    invitation,
    leave: encodeLeave({ run: rules.runDigest, peer: first.peer, since: 0 }, sign),
    rekey: rekey.bytes,
    change: encodeChange(changeOf('admit', invitation)),
    invitationStatement: encodeInvitationStatement(parseInvitation(invitation)),
  };
}

/** What the ledger keeps, and what shows a share of it. */
function ledgerBytes(chain: Chain) {
  const { first, rules, headerBytes, state, record } = chain;
  const ledgerEntry = encodeEntry(rules.runDigest, record, certificateOf(chain));
  const prover = createShareProver(rules, first.components);
  const fault = prover.take(ledgerEntry);
  if (fault) throw new Error(fault.reason);
  return {
    header: headerBytes,
    ledgerState: encodeCbor(state),
    ledgerEntry,
    shareProof: prover.prove(first.peer),
  };
}

/** Every kind of bytes, in hex, by a name. */
export function wireFixture(): Record<string, string> {
  const chain = createChain();
  const { first, third, rules, base, block } = chain;
  const renewal = { run: rules.runDigest, peer: first.peer, since: 0, renewed: 1, key: third.peer };
  const rekey = parseRekey(encodeRekey(renewal, first.components.sign, third.components.sign));
  const bytes = { ...votingBytes(chain, rekey), ...changingBytes(chain, rekey), ...ledgerBytes(chain) };
  return {
    genesis: base,
    block,
    ...Object.fromEntries(Object.entries(bytes).map(([name, value]) => [name, hex(value)])),
  };
}
