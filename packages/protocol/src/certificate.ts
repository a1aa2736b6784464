/** A quorum's votes for the same thing, as one value: who signed (indices into the epoch's roster) and the signatures. */
import { encodeCbor, type PeerId, type RunConfig } from '@murmuration/base';
import { concat } from 'uint8arrays/concat';
import { rosterMax } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import { bytesField, integerField, readFields, wordField } from './fields.ts';
import type { BlockId } from './index.ts';
import { quorumOf } from './roster.ts';
import { signedBytes } from './signing.ts';
import { type Choice, choices, readBlock, voteBody } from './vote.ts';

export interface Certificate {
  readonly epoch: number;
  readonly view: number;
  readonly choice: Choice;
  readonly block: BlockId | undefined;
  /** Rising indices into the epoch's roster. */
  readonly signers: readonly number[];
  readonly signatures: readonly Uint8Array[];
}

const signatureBytes = 64;

export function certificateBody(run: Uint8Array, certificate: Certificate): Record<string, unknown> {
  const { epoch, view, choice, block, signers, signatures } = certificate;
  return {
    run,
    epoch,
    view,
    choice,
    block: block ?? null,
    signers: Uint8Array.from(signers),
    signatures: concat([...signatures]),
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
    'view',
    'choice',
    'block',
    'signers',
    'signatures',
  ]);
  const choice = wordField(fields, 'choice', choices);
  const signers = [...bytesField(fields, 'signers', 1, rosterMax)];
  if (signers.some((signer, index) => index > 0 && signer <= (signers[index - 1] as number)))
    throw new ProtocolError('certificate.signers: expected rising indices', { code: 'bad-message' });
  const joined = bytesField(fields, 'signatures', signers.length * signatureBytes);
  const certificate: Certificate = {
    epoch: integerField(fields, 'epoch'),
    view: integerField(fields, 'view'),
    choice,
    block: readBlock(fields, choice),
    signers,
    signatures: signers.map((_, index) =>
      joined.subarray(index * signatureBytes, (index + 1) * signatureBytes),
    ),
  };
  return { run: bytesField(fields, 'run', 32), certificate };
}

/** Why a certificate proves nothing in an epoch with this roster, or `undefined` when it does. */
export function checkCertificate(
  certificate: Certificate,
  run: Uint8Array,
  roster: readonly PeerId[],
  mode: RunConfig['quorum'],
  verify: (signer: PeerId, bytes: Uint8Array, signature: Uint8Array) => boolean,
): string | undefined {
  const { epoch, view, choice, block, signers, signatures } = certificate;
  if (signers.some((signer) => signer >= roster.length)) return 'certificate signed by nobody of the roster';
  if (signers.length < quorumOf(mode, roster.length))
    return `certificate with ${signers.length} signatures, expected ${quorumOf(mode, roster.length)}`;
  const holds = signers.every((signer, index) => {
    const voter = roster[signer] as PeerId;
    const body = voteBody(run, { epoch, view, choice, block, voter });
    return verify(voter, signedBytes('vote', body), signatures[index] as Uint8Array);
  });
  return holds ? undefined : 'certificate with a wrong signature';
}
