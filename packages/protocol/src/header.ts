/** The block header: what is proposed, voted on, certified and hashed into a chain. */
import {
  type Cid,
  cidOfDigest,
  decodeCbor,
  digestOfCid,
  encodeCbor,
  type PeerId,
  sha256,
} from '@murmuration/base';
import { changesBytesMax, changesMax, listBytesMax } from './defaults.ts';
import {
  bytesField,
  bytesListField,
  cidField,
  integerField,
  peerField,
  readFields,
  reading,
} from './fields.ts';
import type { BlockId } from './index.ts';

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
  /** Bytes of the roster's changes, each of another peer; with any the block ends the epoch. */
  readonly changes: readonly Uint8Array[];
}

/** A header without changes has about 500 bytes. */
export const headerBytesMax: number = 1_000 + changesBytesMax;

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
  'changes',
];

export const encodeHeader = (header: Header): Uint8Array => encodeCbor({ ...header });

/** Throws `ProtocolError` `bad-header`. */
export const decodeHeader = (bytes: Uint8Array): Header =>
  reading('block header', 'bad-header', () => {
    const fields = readFields(decodeCbor(bytes), 'header', headerKeys);
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
      changes: bytesListField(fields, 'changes', changesMax),
    };
  });

/** The name of the block before the first one: what the first deltas of a run start from. */
export const genesisBlockId = (runId: Cid): BlockId =>
  cidOfDigest(sha256(encodeCbor({ genesis: digestOfCid(runId) })), 'dag-cbor');
