/**
 * A quorum's votes for the same thing, as one value: who signed (indices into the epoch's roster) and the signatures.
 */
import { encodeCbor, type PeerId } from '@murmuration/base';
import { concat } from 'uint8arrays/concat';
import type { Rules } from './block-record.ts';
import { votersMax } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import { bytesField, bytesListField, cidField, integerField, readFields, wordField } from './fields.ts';
import type { BlockId } from './index.ts';
import { keyOf, type LedgerState } from './ledger-state.ts';
import { checkRequest, parseRekey, type RekeyRequest, staleRequest } from './request.ts';
import { quorumOf, renewalsMax } from './roster.ts';
import { signedBytes } from './signing.ts';
import { type Choice, choices, type EpochId, isSameEpoch, readBlock, voteBody } from './vote.ts';

export interface Certificate extends EpochId {
  readonly view: number;
  readonly choice: Choice;
  readonly block: BlockId | undefined;
  /** Rising indices into the epoch's voters. */
  readonly signers: readonly number[];
  readonly signatures: readonly Uint8Array[];
  /** Renewals, sorted by peer, of signers that voted by a key that the ledger did not know yet. */
  readonly rekeys: readonly RekeyRequest[];
}

const signatureBytes = 64;

export function certificateBody(run: Uint8Array, certificate: Certificate): Record<string, unknown> {
  const { epoch, opened, view, choice, block, signers, signatures, rekeys } = certificate;
  return {
    run,
    epoch,
    opened,
    view,
    choice,
    block: block ?? null,
    signers: Uint8Array.from(signers),
    signatures: concat([...signatures]),
    rekeys: rekeys.map(({ bytes }) => bytes),
  };
}

export const encodeCertificate = (run: Uint8Array, certificate: Certificate): Uint8Array =>
  encodeCbor({ kind: 'certificate', body: certificateBody(run, certificate) });

/** Throws `ProtocolError` `bad-message`. */
export function readCertificate(body: unknown): {
  readonly run: Uint8Array;
  readonly certificate: Certificate;
} {
  const fields = readFields(body, 'certificate', [
    'run',
    'epoch',
    'opened',
    'view',
    'choice',
    'block',
    'signers',
    'signatures',
    'rekeys',
  ]);
  const choice = wordField(fields, 'choice', choices);
  const signers = [...bytesField(fields, 'signers', 1, votersMax)];
  if (signers.some((signer, index) => index > 0 && signer <= (signers[index - 1] as number)))
    throw new ProtocolError('certificate.signers: expected rising indices', { code: 'bad-message' });
  const joined = bytesField(fields, 'signatures', signers.length * signatureBytes);
  const rekeys = bytesListField(fields, 'rekeys', signers.length).map(parseRekey);
  if (rekeys.some(({ peer }, index) => index > 0 && peer <= (rekeys[index - 1]?.peer ?? '')))
    throw new ProtocolError('certificate.rekeys: expected different peers, sorted', { code: 'bad-message' });
  const certificate: Certificate = {
    epoch: integerField(fields, 'epoch'),
    opened: cidField(fields, 'opened'),
    view: integerField(fields, 'view'),
    choice,
    block: readBlock(fields, choice),
    signers,
    signatures: signers.map((_, index) =>
      joined.subarray(index * signatureBytes, (index + 1) * signatureBytes),
    ),
    rekeys,
  };
  return { run: bytesField(fields, 'run', 32), certificate };
}

/** Who votes in an epoch, and by which keys. */
export type Electorate = Pick<LedgerState, 'members' | 'voters'>;

/** Why signers of a certificate may not vote by keys that the ledger does not know, or `undefined` when they may. */
function checkRekeys(
  { rekeys, signers }: Certificate,
  rules: Pick<Rules, 'run' | 'runDigest' | 'verify'>,
  state: Electorate,
): string | undefined {
  if (rekeys.length === 0) return undefined;
  if (rekeys.length > renewalsMax(rules.run.quorum, state.voters.length))
    return `certificate with ${rekeys.length} new keys`;
  const signed = new Set(signers.map((signer) => state.voters[signer]));
  if (rekeys.some(({ peer }) => !signed.has(peer))) return 'certificate with a new key of nobody who signed';
  for (const rekey of rekeys) {
    const problem = staleRequest(rekey, state) ?? checkRequest(rekey, rules);
    if (problem) return `certificate with a ${problem}`;
  }
  return undefined;
}

/**
 * Why a certificate proves nothing in the epoch of this state, or `undefined` when it does. The epoch is the caller's
 * business.
 */
export function checkCertificate(
  certificate: Certificate,
  rules: Pick<Rules, 'run' | 'runDigest' | 'verify'>,
  state: Electorate,
): string | undefined {
  const { signers, signatures, rekeys, ...vote } = certificate;
  const { voters } = state;
  const needed = quorumOf(rules.run.quorum, voters.length);
  if (signers.some((signer) => signer >= voters.length)) return 'certificate signed by nobody of the voters';
  if (signers.length < needed) return `certificate with ${signers.length} signatures, expected ${needed}`;
  const problem = checkRekeys(certificate, rules, state);
  if (problem) return problem;
  const renewed = new Map(rekeys.map(({ peer, key }) => [peer, key]));
  const holds = signers.every((signer, index) => {
    const voter = voters[signer] as PeerId;
    const body = voteBody(rules.runDigest, { ...vote, voter });
    const key = renewed.get(voter) ?? (keyOf(state, voter) as PeerId);
    return rules.verify(key, signedBytes('vote', body), signatures[index] as Uint8Array);
  });
  return holds ? undefined : 'certificate with a wrong signature';
}

/**
 * Why a certificate does not make a block final in its epoch, or `undefined` when it does: a quorum's finalize votes
 * for it, in its view or (where it was proposed again) a later one.
 */
export function checkFinality(
  certificate: Certificate,
  rules: Pick<Rules, 'run' | 'runDigest' | 'verify'>,
  block: { readonly id: BlockId; readonly view: number },
  epoch: EpochId,
  state: Electorate,
): string | undefined {
  const { choice } = certificate;
  if (choice !== 'finalize') return `certificate to ${choice}, expected one to finalize`;
  if (certificate.block !== block.id) return 'certificate of another block';
  if (!isSameEpoch(certificate, epoch)) return `certificate of another epoch than ${epoch.epoch}`;
  if (certificate.view < block.view) return 'certificate of a view before the block';
  return checkCertificate(certificate, rules, state);
}
