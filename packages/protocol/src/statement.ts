/**
 * The wire. A gossip message is a dag-cbor list of statements, each a byte string: dag-cbor of `{ body, kind,
 * signature }`. A signature covers `murmuration/1/<kind>`, a zero byte and the body; the body names the run and the
 * signer. Certificates, invitations and evidence carry their signatures in the body and have none of their own. Votes
 * and proposals by a key that the ledger does not know yet have the renewal beside the body, as `rekey`.
 */
import {
  type Cid,
  cidOfDigest,
  DigestError,
  decodeCbor,
  digestOfCid,
  encodeCbor,
  type PeerId,
} from '@murmuration/base';
import { concat } from 'uint8arrays/concat';
import { equals } from 'uint8arrays/equals';
import { fromString } from 'uint8arrays/from-string';
import { toString as toText } from 'uint8arrays/to-string';
import { type Certificate, readCertificate } from './certificate.ts';
import { announcementBytesMax, holdsMax, messageBytesMax, rekeyBytesMax, statementsMax } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import { type Evidence, parseEvidence } from './evidence.ts';
import {
  bytesField,
  bytesListField,
  cidField,
  type Fields,
  integerField,
  peerField,
  readFields,
  realField,
  wordField,
} from './fields.ts';
import { decodeHeader, type Header, headerBytesMax } from './header.ts';
import type { BlockId, Contribution, ContributionDraft } from './index.ts';
import { encodeInvitation, type Invitation, parseInvitation } from './invitation.ts';
import { encodeOpening, type Opening, parseOpening } from './opening.ts';
import { parseRekey, parseRequest, type RekeyRequest, type RosterRequest } from './request.ts';
import { signedBytes } from './signing.ts';
import { type EpochId, readVote, type Vote } from './vote.ts';

/** What a peer says of itself: where it stands, and which blobs it holds. */
export interface Presence {
  readonly peer: PeerId;
  /** The number of the peer's life, and of the presence in it: both rise, so that what is sent again is known. */
  readonly life: number;
  readonly count: number;
  readonly epoch: number;
  readonly view: number;
  readonly head: number;
  readonly final: number;
  /** The block of height `final`. */
  readonly block: BlockId;
  /** First 8 bytes of the CID digest of each contribution whose blob this peer holds and found valid. */
  readonly holds: readonly string[];
  /** The recovery in which these heights are counted; null: the regular chain. */
  readonly opening: Cid | null;
}

export interface Proposal extends EpochId {
  readonly view: number;
  /** The view in which the block that this one builds on (or proposes again) was notarized; −1: the epoch's base. */
  readonly after: number;
  readonly header: Header;
  readonly headerBytes: Uint8Array;
  readonly block: BlockId;
  /** CIDs of the contributions, sorted as in the list. */
  readonly contributions: readonly Cid[];
  readonly proposer: PeerId;
}

export interface Signed {
  readonly run: Uint8Array;
  readonly signer: PeerId;
  readonly signature: Uint8Array;
  /** What the signature covers. */
  readonly signed: Uint8Array;
  /** The whole statement, as it is sent on. */
  readonly bytes: Uint8Array;
  /** Of votes and proposals: makes the key that signed them the signer's, before the ledger says so. */
  readonly rekey: RekeyRequest | undefined;
}

export type SignedStatement = Signed &
  (
    | { readonly kind: 'contribution'; readonly contribution: Contribution }
    | { readonly kind: 'presence'; readonly presence: Presence }
    | { readonly kind: 'proposal'; readonly proposal: Proposal }
    | { readonly kind: 'vote'; readonly vote: Vote }
  );

export type Statement =
  | SignedStatement
  | {
      readonly kind: 'certificate';
      readonly run: Uint8Array;
      readonly certificate: Certificate;
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: 'invitation';
      readonly run: Uint8Array;
      readonly invitation: Invitation;
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: 'evidence';
      readonly run: Uint8Array;
      readonly evidence: Evidence;
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: 'opening';
      readonly run: Uint8Array;
      readonly opening: Opening;
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: 'leave' | 'rekey';
      readonly run: Uint8Array;
      readonly request: RosterRequest;
      readonly bytes: Uint8Array;
    };

export type Hash = (bytes: Uint8Array) => Uint8Array;

const prefixBytes = 8;
const toHex = (bytes: Uint8Array): string => toText(bytes, 'base16');

/** How a presence names a contribution. */
export const holdingOf = (contribution: Cid): string =>
  toHex(digestOfCid(contribution).subarray(0, prefixBytes));

const contributionKeys = [
  'run',
  'author',
  'base',
  'baseHeight',
  'sequence',
  'blob',
  'blobBytes',
  'norm',
  'tokens',
  'steps',
  'loss',
];

/** The signed parts of a contribution, as its author announces them. */
export const contributionBody = (
  run: Uint8Array,
  author: PeerId,
  sequence: number,
  draft: ContributionDraft,
): Record<string, unknown> => ({
  run,
  author,
  base: draft.base,
  baseHeight: draft.baseHeight,
  sequence,
  blob: draft.blob,
  blobBytes: draft.blobBytes,
  norm: draft.norm,
  tokens: draft.tokens,
  steps: draft.steps,
  loss: draft.loss,
});

export const presenceBody = (run: Uint8Array, presence: Presence): Record<string, unknown> => ({
  run,
  ...presence,
  holds: fromString(presence.holds.join(''), 'base16'),
});

/** What stands for the names of a proposal's contributions in what is signed. */
const digestOfNames = (contributions: readonly Cid[], hash: Hash): Uint8Array =>
  hash(concat(contributions.map(digestOfCid)));

/** What the proposer signs: block and contributions by a hash each, so that two proposals make short evidence. */
const proposalBody = (
  run: Uint8Array,
  { epoch, opened, view, after, block, contributions, proposer }: Omit<Proposal, 'header' | 'headerBytes'>,
  hash: Hash,
): Record<string, unknown> => ({
  run,
  epoch,
  opened,
  view,
  after,
  block,
  names: digestOfNames(contributions, hash),
  proposer,
});

/** Signs a proposal; the header and the names of the contributions travel beside the signed body. */
export function encodeProposal(
  run: Uint8Array,
  proposal: Omit<Proposal, 'header'>,
  { hash, sign }: { readonly hash: Hash; readonly sign: (bytes: Uint8Array) => Uint8Array },
): Uint8Array {
  const body = proposalBody(run, proposal, hash);
  return encodeCbor({
    kind: 'proposal',
    body,
    signature: sign(signedBytes('proposal', body)),
    header: proposal.headerBytes,
    contributions: proposal.contributions.map(digestOfCid),
  });
}

/** Signs a body and wraps it. */
export const encodeSigned = (
  kind: Exclude<SignedStatement['kind'], 'proposal'>,
  body: unknown,
  sign: (bytes: Uint8Array) => Uint8Array,
): Uint8Array => encodeCbor({ kind, body, signature: sign(signedBytes(kind, body)) });

/** A vote or proposal with the renewal that makes its key the signer's. */
export const withRekey = (statement: Uint8Array, rekey: RekeyRequest | undefined): Uint8Array =>
  rekey ? encodeCbor({ ...(decodeCbor(statement) as object), rekey: rekey.bytes }) : statement;

/** An invitation as a statement of its own. */
export const encodeInvitationStatement = (invitation: Invitation): Uint8Array =>
  encodeCbor({ kind: 'invitation', body: decodeCbor(encodeInvitation(invitation)) });

/** An opening, with the signatures that it has, as a statement. */
export const encodeOpeningStatement = (opening: Opening): Uint8Array =>
  encodeCbor({ kind: 'opening', body: decodeCbor(encodeOpening(opening)) });

export const encodeMessage = (statements: readonly Uint8Array[]): Uint8Array => encodeCbor(statements);

/** Splits a gossip message into statements. Throws `ProtocolError` or `DigestError`. */
export function decodeMessage(bytes: Uint8Array): readonly Uint8Array[] {
  if (bytes.length > messageBytesMax)
    throw new ProtocolError(`message: expected at most ${messageBytesMax} bytes, got ${bytes.length}`, {
      code: 'bad-message',
      length: bytes.length,
    });
  const fields: Fields = { where: 'message', values: { statements: decodeCbor(bytes) } };
  const statements = bytesListField(fields, 'statements', statementsMax);
  if (statements.length === 0)
    throw new ProtocolError('message: expected at least one statement', { code: 'bad-message' });
  return statements;
}

/** Reads one statement's structure and bounds; no signature is checked. Throws `ProtocolError` `bad-message`. */
export function decodeStatement(bytes: Uint8Array, hash: Hash): Statement {
  try {
    return readStatement(bytes, hash);
  } catch (cause) {
    if (!(cause instanceof DigestError)) throw cause;
    throw new ProtocolError(`statement: ${cause.message}`, { code: 'bad-message' }, { cause });
  }
}

function readStatement(bytes: Uint8Array, hash: Hash): Statement {
  const value = decodeCbor(bytes);
  const kind = (value as { kind?: unknown } | null)?.kind;
  if (kind === 'certificate' || kind === 'invitation' || kind === 'opening') {
    const { body } = readFields(value, 'statement', ['kind', 'body']).values;
    if (kind === 'certificate') return { kind, bytes, ...readCertificate(body) };
    if (kind === 'opening') {
      const opening = parseOpening(encodeCbor(body));
      return { kind, bytes, run: opening.run, opening };
    }
    const invitation = parseInvitation(encodeCbor(body));
    return { kind, bytes, run: invitation.run, invitation };
  }
  if (kind === 'leave' || kind === 'rekey') {
    const request = parseRequest(bytes);
    return { kind: request.kind, bytes, run: request.run, request };
  }
  if (kind === 'evidence') {
    const evidence = parseEvidence(bytes);
    return { kind, bytes, run: evidence.run, evidence };
  }
  const { attached, rekey } = readAttached(value, kind);
  const envelope = readFields(value, 'statement', ['kind', 'body', 'signature', ...attached]);
  const body = envelope.values.body;
  const signature = bytesField(envelope, 'signature', 64);
  const signedKind = wordField(envelope, 'kind', ['contribution', 'presence', 'proposal', 'vote']);
  const common = { signature, signed: signedBytes(signedKind, body), bytes, rekey };
  switch (signedKind) {
    case 'contribution':
      return { kind: signedKind, ...common, ...readContribution(body, bytes, hash) };
    case 'presence':
      return { kind: signedKind, ...common, ...readPresence(body) };
    case 'proposal':
      return { kind: signedKind, ...common, ...readProposal(envelope, hash) };
    case 'vote': {
      const { run, vote } = readVote(body);
      return { kind: signedKind, ...common, run, vote, signer: vote.voter };
    }
  }
}

/** What a statement has beside body and signature. */
function readAttached(value: unknown, kind: unknown) {
  const attached = kind === 'proposal' ? ['header', 'contributions'] : [];
  const given = (value as { rekey?: unknown } | null)?.rekey;
  if (given === undefined || (kind !== 'proposal' && kind !== 'vote')) return { attached, rekey: undefined };
  const bytes = bytesField({ where: 'statement', values: { rekey: given } }, 'rekey', 1, rekeyBytesMax);
  return { attached: [...attached, 'rekey'], rekey: parseRekey(bytes) };
}

function readContribution(body: unknown, bytes: Uint8Array, hash: Hash) {
  if (bytes.length > announcementBytesMax)
    throw new ProtocolError(`contribution: expected at most ${announcementBytesMax} bytes`, {
      code: 'bad-message',
    });
  const fields = readFields(body, 'contribution', contributionKeys);
  const norm = realField(fields, 'norm');
  if (norm <= 0) throw new ProtocolError('contribution.norm: expected > 0', { code: 'bad-message', norm });
  const contribution: Contribution = {
    cid: cidOfDigest(hash(bytes), 'dag-cbor'),
    author: peerField(fields, 'author'),
    base: cidField(fields, 'base'),
    baseHeight: integerField(fields, 'baseHeight', 0, 2 ** 31),
    sequence: integerField(fields, 'sequence', 1),
    blob: cidField(fields, 'blob'),
    blobBytes: integerField(fields, 'blobBytes', 1, 2 ** 31),
    norm,
    tokens: integerField(fields, 'tokens', 1, 2 ** 31),
    steps: integerField(fields, 'steps', 1, 2 ** 31),
    loss: realField(fields, 'loss'),
  };
  return { run: bytesField(fields, 'run', 32), contribution, signer: contribution.author };
}

function readPresence(body: unknown) {
  const keys = 'run peer life count epoch view head final block holds opening'.split(' ');
  const fields = readFields(body, 'presence', keys);
  const holds = bytesField(fields, 'holds', 0, holdsMax * prefixBytes);
  if (holds.length % prefixBytes !== 0)
    throw new ProtocolError(`presence.holds: expected a multiple of ${prefixBytes} bytes`, {
      code: 'bad-message',
    });
  const presence: Presence = {
    peer: peerField(fields, 'peer'),
    life: integerField(fields, 'life'),
    count: integerField(fields, 'count'),
    epoch: integerField(fields, 'epoch'),
    view: integerField(fields, 'view'),
    head: integerField(fields, 'head', 0, 2 ** 31),
    final: integerField(fields, 'final', 0, 2 ** 31),
    block: cidField(fields, 'block'),
    holds: Array.from({ length: holds.length / prefixBytes }, (_, index) =>
      toHex(holds.subarray(index * prefixBytes, (index + 1) * prefixBytes)),
    ),
    opening: fields.values.opening === null ? null : cidField(fields, 'opening'),
  };
  return { run: bytesField(fields, 'run', 32), presence, signer: presence.peer };
}

function readProposal(envelope: Fields, hash: Hash) {
  const fields = readFields(envelope.values.body, 'proposal', [
    'run',
    'epoch',
    'opened',
    'view',
    'after',
    'block',
    'names',
    'proposer',
  ]);
  const headerBytes = bytesField(envelope, 'header', 1, headerBytesMax);
  const header = decodeHeader(headerBytes);
  const block = cidField(fields, 'block');
  if (block !== cidOfDigest(hash(headerBytes), 'dag-cbor'))
    throw new ProtocolError('proposal.header: expected the block that is signed', { code: 'bad-message' });
  const digests = bytesListField(envelope, 'contributions', 256);
  if (digests.some((digest) => digest.length !== 32))
    throw new ProtocolError('proposal.contributions: expected digests of 32 bytes', { code: 'bad-message' });
  const contributions = digests.map((digest) => cidOfDigest(digest, 'dag-cbor'));
  if (!equals(digestOfNames(contributions, hash), bytesField(fields, 'names', 32)))
    throw new ProtocolError('proposal.contributions: expected those that are signed', {
      code: 'bad-message',
    });
  const view = integerField(fields, 'view');
  const proposal: Proposal = {
    epoch: integerField(fields, 'epoch'),
    opened: cidField(fields, 'opened'),
    view,
    after: integerField(fields, 'after', -1, view - 1),
    header,
    headerBytes,
    block,
    contributions,
    proposer: peerField(fields, 'proposer'),
  };
  return { run: bytesField(fields, 'run', 32), proposal, signer: proposal.proposer };
}
