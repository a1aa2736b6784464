/**
 * An invitation: founders ask the members to admit one peer. Bound to its peer id, so it can be used once; it expires
 * by height. Bytes: dag-cbor of `{ expires, guest, run, signatures }`, signatures sorted by founder.
 *
 * @example
 * let bytes = createInvitation({ runId, guest, expires: 500 });
 * bytes = signInvitation(bytes, founder, (message) => identity.sign(message));
 */
import {
  type Cid,
  DigestError,
  decodeCbor,
  encodeCbor,
  type PeerId,
  type RunConfig,
  runDigest,
} from '@murmuration/base';
import { ProtocolError } from './errors.ts';
import { bytesField, integerField, peerField, readFields } from './fields.ts';
import { signedBytes } from './signing.ts';

/** What the founders sign. */
export interface InvitationTerms {
  readonly runId: Cid;
  readonly guest: PeerId;
  /** The last height whose block may carry the invitation. */
  readonly expires: number;
}

export interface Invitation {
  /** Digest of the run's id. */
  readonly run: Uint8Array;
  readonly guest: PeerId;
  readonly expires: number;
  readonly signatures: readonly { readonly founder: PeerId; readonly signature: Uint8Array }[];
}

const foundersMax = 64;

/** The canonical bytes. */
export const encodeInvitation = ({ run, guest, expires, signatures }: Invitation): Uint8Array =>
  encodeCbor({
    run,
    guest,
    expires,
    signatures: signatures.map(({ founder, signature }) => ({ founder, signature })),
  });

const termsBytes = ({ run, guest, expires }: Invitation): Uint8Array =>
  signedBytes('invitation', { run, guest, expires });

/** An invitation that nobody has signed yet. */
export const createInvitation = ({ runId, guest, expires }: InvitationTerms): Uint8Array =>
  encodeInvitation({ run: runDigest(runId), guest, expires, signatures: [] });

/** The same invitation with this founder's signature added (or replaced). Throws `ProtocolError` `bad-invitation`. */
export function signInvitation(
  bytes: Uint8Array,
  founder: PeerId,
  sign: (message: Uint8Array) => Uint8Array,
): Uint8Array {
  const invitation = parseInvitation(bytes);
  const others = invitation.signatures.filter((entry) => entry.founder !== founder);
  const signatures = [...others, { founder, signature: sign(termsBytes(invitation)) }].sort((a, b) =>
    a.founder < b.founder ? -1 : 1,
  );
  return encodeInvitation({ ...invitation, signatures });
}

/** Reads an invitation's structure; `checkInvitation` judges it. Throws `ProtocolError` `bad-invitation`. */
export function parseInvitation(bytes: Uint8Array): Invitation {
  try {
    return readInvitation(decodeCbor(bytes));
  } catch (cause) {
    if (!(cause instanceof ProtocolError) && !(cause instanceof DigestError)) throw cause;
    throw new ProtocolError(`invitation: ${cause.message}`, { code: 'bad-invitation' }, { cause });
  }
}

function readInvitation(value: unknown): Invitation {
  const fields = readFields(value, 'invitation', ['run', 'guest', 'expires', 'signatures']);
  const list = fields.values.signatures;
  if (!Array.isArray(list) || list.length > foundersMax)
    throw new ProtocolError(`invitation.signatures: expected a list of at most ${foundersMax}`, {
      code: 'bad-invitation',
    });
  const signatures = list.map((item: unknown) => {
    const entry = readFields(item, 'invitation.signatures', ['founder', 'signature']);
    return { founder: peerField(entry, 'founder'), signature: bytesField(entry, 'signature', 64) };
  });
  if (signatures.some((entry, index) => index > 0 && entry.founder <= (signatures[index - 1]?.founder ?? '')))
    throw new ProtocolError('invitation.signatures: expected different founders, sorted', {
      code: 'bad-invitation',
    });
  return {
    run: bytesField(fields, 'run', 32),
    guest: peerField(fields, 'guest'),
    expires: integerField(fields, 'expires', 1),
    signatures,
  };
}

/** Why an invitation admits nobody in this run, or `undefined` when enough founders signed it. Expiry and roster are the block's business. */
export function checkInvitation(
  invitation: Invitation,
  run: RunConfig,
  runId: Cid,
  verify: (signer: PeerId, bytes: Uint8Array, signature: Uint8Array) => boolean,
): string | undefined {
  if (runDigest(runId).some((byte, index) => byte !== invitation.run[index]))
    return 'invitation to another run';
  if (invitation.signatures.some(({ founder }) => !run.founders.includes(founder)))
    return 'invitation signed by somebody who is no founder';
  if (invitation.signatures.length < run.invitationSignatures)
    return `invitation with ${invitation.signatures.length} of ${run.invitationSignatures} signatures`;
  const message = termsBytes(invitation);
  return invitation.signatures.every(({ founder, signature }) => verify(founder, message, signature))
    ? undefined
    : 'invitation with a wrong signature';
}
