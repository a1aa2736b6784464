/**
 * An invitation: founders ask the members to admit one peer. It is bound to its peer id, expires by height, and says
 * how often it may be used: a peer that has left may come back. Bytes: dag-cbor of `{ expires, guest, role, run,
 * signatures, uses }`, signatures sorted by founder.
 *
 * @example
 * let bytes = createInvitation({ runId, guest, role: 'member', expires: 500, uses: 1 });
 * bytes = signInvitation(bytes, founder, (message) => identity.sign(message));
 */
import {
  type Cid,
  cidOfDigest,
  decodeCbor,
  encodeCbor,
  type PeerId,
  type RunConfig,
  runDigest,
  sha256,
} from '@murmuration/base';
import {
  bytesField,
  integerField,
  peerField,
  readFields,
  reading,
  signaturesField,
  wordField,
} from './fields.ts';
import { signedBytes } from './signing.ts';

/** What the founders sign. */
export interface InvitationTerms {
  readonly runId: Cid;
  readonly guest: PeerId;
  /** What it makes of the peer: a `guest` is one whose work is fetched before that of strangers. */
  readonly role: InvitedRole;
  /** The last height whose block may carry the invitation. */
  readonly expires: number;
  /** How many blocks may. */
  readonly uses: number;
}

export type InvitedRole = 'member' | 'guest';

export interface Invitation extends Omit<InvitationTerms, 'runId'> {
  /** Digest of the run's id. */
  readonly run: Uint8Array;
  readonly signatures: readonly { readonly founder: PeerId; readonly signature: Uint8Array }[];
}

const foundersMax = 64;
const usesMax = 1_000;

/** The canonical bytes. */
export const encodeInvitation = ({ signatures, ...terms }: Invitation): Uint8Array =>
  encodeCbor({
    ...terms,
    signatures: signatures.map(({ founder, signature }) => ({ founder, signature })),
  });

const termsBytes = ({ signatures: _, ...terms }: Invitation): Uint8Array => signedBytes('invitation', terms);

/** CID of the terms: by it the ledger counts uses. */
export const invitationName = (invitation: Invitation): Cid =>
  cidOfDigest(sha256(termsBytes(invitation)), 'raw');

/** An invitation that nobody has signed yet. */
export const createInvitation = ({ runId, ...terms }: InvitationTerms): Uint8Array =>
  encodeInvitation({ run: runDigest(runId), ...terms, signatures: [] });

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
export const parseInvitation = (bytes: Uint8Array): Invitation =>
  reading('invitation', 'bad-invitation', () => readInvitation(decodeCbor(bytes)));

function readInvitation(value: unknown): Invitation {
  const fields = readFields(value, 'invitation', ['run', 'guest', 'role', 'expires', 'uses', 'signatures']);
  return {
    run: bytesField(fields, 'run', 32),
    guest: peerField(fields, 'guest'),
    role: wordField(fields, 'role', ['member', 'guest']),
    expires: integerField(fields, 'expires', 1),
    uses: integerField(fields, 'uses', 1, usesMax),
    signatures: signaturesField(fields, 'founder', foundersMax),
  };
}

/**
 * Why an invitation admits nobody in this run, or `undefined` when enough founders signed it. Expiry and roster are the
 * block's business.
 */
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
