/**
 * Evidence: two statements of one peer of which an honest one signs at most one. What conflicts, and nothing else, in
 * one view of one epoch (same run, same number, opened by the same block):
 *
 *   two proposals            of another block, other names, or on another view
 *   two notarize votes       for different blocks
 *   two finalize votes       for different blocks
 *   a finalize and a skip
 *
 * Both are signed by the same key: the peer's own, or one that the peer's own key has made its vote key by a renewal,
 * which is then part of the evidence. So it proves itself, whatever epoch or ledger its reader stands at. By two keys
 * nothing conflicts: a peer renews its key because it may have forgotten what it signed by the old one.
 *
 * Bytes: dag-cbor `{ body: { first, peer, rekey, run, second }, kind }`; `first` and `second` are `{ body, kind,
 * signature }` without attachments, in the order of their bytes; `rekey` is the renewal's bytes or null.
 */
import { DigestError, decodeCbor, encodeCbor, type PeerId } from '@murmuration/base';
import { equals } from 'uint8arrays/equals';
import type { Rules } from './block-record.ts';
import { rekeyBytesMax } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import { bytesField, cidField, integerField, peerField, readFields, wordField } from './fields.ts';
import type { BlockId } from './index.ts';
import { checkRequest, parseRekey, type RekeyRequest } from './request.ts';
import { signedBytes } from './signing.ts';
import { type Choice, type EpochId, isSameEpoch, readVote } from './vote.ts';

/** A vote or a proposal, as far as its signer may contradict it. */
export interface Deed extends EpochId {
  readonly run: Uint8Array;
  readonly peer: PeerId;
  readonly view: number;
  readonly act: Choice | 'propose';
  /** What it is for; of a proposal also all else that it says. */
  readonly what: BlockId | undefined;
  /** What the signature covers. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  /** `{ body, kind, signature }`. */
  readonly bytes: Uint8Array;
}

export interface Evidence {
  readonly run: Uint8Array;
  readonly peer: PeerId;
  readonly first: Deed;
  readonly second: Deed;
  /** Makes the key of both signatures one of the peer's; absent: it is the peer's own. */
  readonly rekey: RekeyRequest | undefined;
  /** The whole statement, as it is sent, kept and put into a block. */
  readonly bytes: Uint8Array;
}

const proposalKeys = ['run', 'epoch', 'opened', 'view', 'after', 'block', 'names', 'proposer'];

/**
 * Reads a vote or a proposal; attachments beside body and signature are dropped. Throws `ProtocolError` or
 * `DigestError`.
 */
export function deedOf(statement: unknown): Deed {
  const { kind, body, signature } = (statement ?? {}) as Readonly<Record<string, unknown>>;
  const fields = readFields({ kind, body, signature }, 'evidence', ['kind', 'body', 'signature']);
  const signedKind = wordField(fields, 'kind', ['proposal', 'vote']);
  const common = {
    signature: bytesField(fields, 'signature', 64),
    signed: signedBytes(signedKind, body),
    bytes: encodeCbor({ kind, body, signature }),
  };
  if (signedKind === 'vote') {
    const { run, vote } = readVote(body);
    const { epoch, opened, view, choice, block, voter } = vote;
    return { ...common, run, epoch, opened, view, peer: voter, act: choice, what: block };
  }
  const proposal = readFields(body, 'proposal', proposalKeys);
  const view = integerField(proposal, 'view');
  integerField(proposal, 'after', -1, view - 1);
  bytesField(proposal, 'names', 32);
  return {
    ...common,
    run: bytesField(proposal, 'run', 32),
    epoch: integerField(proposal, 'epoch'),
    opened: cidField(proposal, 'opened'),
    view,
    peer: peerField(proposal, 'proposer'),
    act: 'propose',
    what: cidField(proposal, 'block'),
  };
}

/** Whether an honest peer signs at most one of the two. */
export function conflict(a: Deed, b: Deed): boolean {
  const isSamePlace = a.peer === b.peer && isSameEpoch(a, b) && a.view === b.view && equals(a.run, b.run);
  if (!isSamePlace) return false;
  if (a.act !== b.act) return [a.act, b.act].sort().join() === 'finalize,skip';
  return a.act === 'propose' ? !equals(a.signed, b.signed) : a.what !== b.what;
}

const precedes = (a: Uint8Array, b: Uint8Array): boolean => {
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at < 0 ? a.length < b.length : (a[at] as number) < (b[at] ?? -1);
};

/** The evidence that two conflicting deeds make. */
export function createEvidence(a: Deed, b: Deed, rekey: RekeyRequest | undefined): Evidence {
  const [first, second] = precedes(a.bytes, b.bytes) ? [a, b] : [b, a];
  const { run, peer } = first;
  const body = {
    run,
    peer,
    first: decodeCbor(first.bytes),
    second: decodeCbor(second.bytes),
    rekey: rekey?.bytes ?? null,
  };
  return { run, peer, first, second, rekey, bytes: encodeCbor({ kind: 'evidence', body }) };
}

/** Reads evidence; two statements that do not conflict are none. Throws `ProtocolError` `bad-message`. */
export function parseEvidence(bytes: Uint8Array): Evidence {
  try {
    const envelope = readFields(decodeCbor(bytes), 'statement', ['kind', 'body']);
    wordField(envelope, 'kind', ['evidence']);
    const keys = ['run', 'peer', 'first', 'second', 'rekey'];
    const fields = readFields(envelope.values.body, 'evidence', keys);
    for (const key of ['first', 'second'])
      readFields(fields.values[key], `evidence.${key}`, ['kind', 'body', 'signature']);
    const run = bytesField(fields, 'run', 32);
    const peer = peerField(fields, 'peer');
    const first = deedOf(fields.values.first);
    const second = deedOf(fields.values.second);
    const rekey = fields.values.rekey === null ? undefined : parseRekey(rekeyBytes(fields.values.rekey));
    if (first.peer !== peer || !equals(first.run, run) || !conflict(first, second))
      throw new ProtocolError('evidence: expected two conflicting statements of its peer', {
        code: 'bad-message',
      });
    if (!precedes(first.bytes, second.bytes))
      throw new ProtocolError('evidence: expected its statements in order', { code: 'bad-message' });
    return { run, peer, first, second, rekey, bytes };
  } catch (cause) {
    if (!(cause instanceof DigestError)) throw cause;
    throw new ProtocolError(`evidence: ${cause.message}`, { code: 'bad-message' }, { cause });
  }
}

const rekeyBytes = (value: unknown): Uint8Array =>
  bytesField({ where: 'evidence', values: { rekey: value } }, 'rekey', 1, rekeyBytesMax);

/** Why evidence convicts nobody in this run, or `undefined` when it does: its signatures. */
export function checkEvidence(
  { run, peer, first, second, rekey }: Evidence,
  rules: Pick<Rules, 'runDigest' | 'verify'>,
): string | undefined {
  if (!equals(run, rules.runDigest)) return 'evidence of another run';
  if (rekey && rekey.peer !== peer) return 'evidence with a key of somebody else';
  const problem = rekey && checkRequest(rekey, rules);
  if (problem) return `evidence with a ${problem}`;
  const key = rekey?.key ?? peer;
  const holds = [first, second].every(({ signed, signature }) => rules.verify(key, signed, signature));
  return holds ? undefined : 'evidence with a wrong signature';
}
