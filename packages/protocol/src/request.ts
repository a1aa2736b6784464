/**
 * What a member asks of the others about itself: to leave, or to count its votes by a new key. Bytes: those of its
 * statement, `{ body, kind, signature }`. Each is bound to the height of its admission (a renewal to their number,
 * too), so that it works once.
 */
import { DigestError, decodeCbor, encodeCbor, type PeerId } from '@murmuration/base';
import { equals } from 'uint8arrays/equals';
import type { Rules } from './block-record.ts';
import { ProtocolError } from './errors.ts';
import { bytesField, integerField, peerField, readFields, wordField } from './fields.ts';
import { type LedgerState, memberOf } from './ledger-state.ts';
import { signedBytes } from './signing.ts';

interface Request {
  readonly run: Uint8Array;
  readonly peer: PeerId;
  /** Height of the block that admitted the peer. */
  readonly since: number;
}

export interface LeaveRequest extends Request {
  readonly kind: 'leave';
  readonly bytes: Uint8Array;
}

export interface RekeyRequest extends Request {
  readonly kind: 'rekey';
  readonly bytes: Uint8Array;
  /** The new key's number: one more than that of the key before. */
  readonly renewed: number;
  readonly key: PeerId;
}

export type RosterRequest = LeaveRequest | RekeyRequest;

type Sign = (bytes: Uint8Array) => Uint8Array;

/** Signs a wish to leave. */
export function encodeLeave(request: Request, sign: Sign): Uint8Array {
  const body = { run: request.run, peer: request.peer, since: request.since };
  return encodeCbor({ kind: 'leave', body, signature: sign(signedBytes('leave', body)) });
}

/** Signs a renewal: by the peer's own key, and by the new one to show that it is the peer's. */
export function encodeRekey(
  { run, peer, since, renewed, key }: Omit<RekeyRequest, 'kind' | 'bytes'>,
  sign: Sign,
  signByNewKey: Sign,
): Uint8Array {
  const terms = { run, peer, since, renewed, key };
  const body = { ...terms, proof: signByNewKey(signedBytes('rekey-proof', terms)) };
  return encodeCbor({ kind: 'rekey', body, signature: sign(signedBytes('rekey', body)) });
}

/** Reads a request's structure. Throws `ProtocolError` `bad-message`. */
export function parseRequest(bytes: Uint8Array): RosterRequest {
  try {
    const fields = readFields(decodeCbor(bytes), 'request', ['kind', 'body', 'signature']);
    bytesField(fields, 'signature', 64);
    const kind = wordField(fields, 'kind', ['leave', 'rekey']);
    const keys =
      kind === 'leave' ? ['run', 'peer', 'since'] : ['run', 'peer', 'since', 'renewed', 'key', 'proof'];
    const body = readFields(fields.values.body, kind, keys);
    const common = {
      run: bytesField(body, 'run', 32),
      peer: peerField(body, 'peer'),
      since: integerField(body, 'since'),
      bytes,
    };
    if (kind === 'leave') return { kind, ...common };
    bytesField(body, 'proof', 64);
    return { kind, ...common, renewed: integerField(body, 'renewed', 1), key: peerField(body, 'key') };
  } catch (cause) {
    if (!(cause instanceof DigestError)) throw cause;
    throw new ProtocolError(`request: ${cause.message}`, { code: 'bad-message' }, { cause });
  }
}

/** Reads a renewal's structure. Throws `ProtocolError` `bad-message`. */
export function parseRekey(bytes: Uint8Array): RekeyRequest {
  const request = parseRequest(bytes);
  if (request.kind === 'rekey') return request;
  throw new ProtocolError('request: expected a new key, got a wish to leave', { code: 'bad-message' });
}

/** Why a request comes too early, too late or from nobody; signatures are not looked at. */
export function staleRequest(
  request: RosterRequest,
  state: Pick<LedgerState, 'members'>,
): string | undefined {
  const member = memberOf(state, request.peer);
  if (!member) return `${request.kind} of somebody who is no member`;
  if (request.since !== member.since)
    return `${request.kind} of a member since ${request.since}, it is one since ${member.since}`;
  return request.kind === 'rekey' && request.renewed !== member.renewed + 1
    ? `rekey number ${request.renewed}, expected ${member.renewed + 1}`
    : undefined;
}

/** What is wrong with a request's signatures. */
export function checkRequest(
  request: RosterRequest,
  { runDigest, verify }: Pick<Rules, 'runDigest' | 'verify'>,
): string | undefined {
  const { kind, peer } = request;
  const { body, signature } = decodeCbor(request.bytes) as {
    body: { readonly proof: Uint8Array } & Readonly<Record<string, unknown>>;
    signature: Uint8Array;
  };
  if (!equals(request.run, runDigest)) return `${kind} of another run`;
  if (!verify(peer, signedBytes(kind, body), signature)) return `${kind} with a wrong signature`;
  if (kind === 'leave') return undefined;
  const { proof, ...terms } = body;
  return verify(request.key, signedBytes('rekey-proof', terms), proof)
    ? undefined
    : 'rekey without a proof by the new key';
}
