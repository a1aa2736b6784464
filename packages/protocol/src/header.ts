/** The block header: what is proposed, voted on, certified and hashed into a chain. */
import {
  type Cid,
  cidOfDigest,
  DigestError,
  decodeCbor,
  digestOfCid,
  encodeCbor,
  type PeerId,
  sha256,
} from '@murmuration/base';
import { listBytesMax, rosterMax } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import { bytesField, cidField, integerField, peerField, readFields } from './fields.ts';
import type { BlockId } from './index.ts';
import { type Invitation, parseInvitation } from './invitation.ts';

export interface Header {
  readonly run: Uint8Array;
  readonly epoch: number;
  readonly view: number;
  readonly height: number;
  readonly parent: BlockId;
  readonly proposer: PeerId;
  /** CID (raw) of the contribution list's bytes. */
  readonly list: Cid;
  /** Length of those bytes. */
  readonly listBytes: number;
  /** Name of θ after the block. */
  readonly tensors: Cid;
  /** Merkle root of `tensors` and of the ledger state after the block. */
  readonly root: Uint8Array;
  /** Bytes of the invitation that this block accepts; the block then ends the epoch. */
  readonly invitation: Uint8Array | undefined;
}

const invitationBytesMax = 64 * 160 + 400;
/** A header without invitation has about 500 bytes. */
export const headerBytesMax: number = 1_000 + (rosterMax > 64 ? invitationBytesMax : 0);

const headerKeys = [
  'run',
  'epoch',
  'view',
  'height',
  'parent',
  'proposer',
  'list',
  'listBytes',
  'tensors',
  'root',
  'invitation',
];

export const encodeHeader = (header: Header): Uint8Array =>
  encodeCbor({ ...header, invitation: header.invitation ?? null });

/** Throws `ProtocolError` `bad-header`. */
export function decodeHeader(bytes: Uint8Array): Header {
  try {
    const fields = readFields(decodeCbor(bytes), 'header', headerKeys);
    const invitation =
      fields.values.invitation === null ? undefined : bytesField(fields, 'invitation', 1, invitationBytesMax);
    if (invitation) parseInvitation(invitation);
    return {
      run: bytesField(fields, 'run', 32),
      epoch: integerField(fields, 'epoch'),
      view: integerField(fields, 'view'),
      height: integerField(fields, 'height', 1),
      parent: cidField(fields, 'parent'),
      proposer: peerField(fields, 'proposer'),
      list: cidField(fields, 'list'),
      listBytes: integerField(fields, 'listBytes', 1, listBytesMax),
      tensors: cidField(fields, 'tensors'),
      root: bytesField(fields, 'root', 32),
      invitation,
    };
  } catch (cause) {
    if (!(cause instanceof ProtocolError) && !(cause instanceof DigestError)) throw cause;
    throw new ProtocolError(`block header: ${cause.message}`, { code: 'bad-header' }, { cause });
  }
}

export const invitationOf = (header: Header): Invitation | undefined =>
  header.invitation && parseInvitation(header.invitation);

/** The name of the block before the first one: what the first deltas of a run start from. */
export const genesisBlockId = (runId: Cid): BlockId =>
  cidOfDigest(sha256(encodeCbor({ genesis: digestOfCid(runId) })), 'dag-cbor');
