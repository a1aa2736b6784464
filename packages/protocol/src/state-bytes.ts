/**
 * The ledger state as bytes, for those who begin at a block and not at genesis. Its Merkle root is the authority on it.
 */
import { type Cid, DigestError, decodeCbor, digestOfCid, encodeCbor, publicKeyOf } from '@murmuration/base';
import { stateBytesMax } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import { readFields } from './fields.ts';
import type { LedgerState, StatePart } from './ledger-state.ts';

type Leaf = 'peer' | 'cid' | 'number' | 'flag' | 'text';
type Shape<T> = T extends string | number | boolean
  ? Leaf
  : T extends readonly (infer Item)[]
    ? { readonly each: Shape<Item> }
    : { readonly [Key in keyof T]: Shape<T[Key]> };
type AnyShape = Leaf | { readonly [key: string]: AnyShape };

const shape: Shape<LedgerState> = {
  epoch: 'number',
  members: {
    each: {
      peer: 'peer',
      key: 'peer',
      renewed: 'number',
      keySince: 'number',
      since: 'number',
      contributed: 'number',
      voted: 'number',
      tokens: 'number',
    },
  },
  voters: { each: 'peer' },
  guests: { each: { peer: 'peer', rounds: 'number', tokens: 'number', seen: 'number', vouched: 'flag' } },
  convicted: { each: 'peer' },
  invitations: { each: { invitation: 'cid', expires: 'number', uses: 'number' } },
  norms: { each: 'number' },
  tokens: 'number',
  recent: {
    each: {
      height: 'number',
      contributions: { each: 'cid' },
      blobs: { each: 'cid' },
      authors: { each: 'peer' },
    },
  },
  recoveries: { each: { opening: 'cid', height: 'number', authority: 'text' } },
};

const leaves: { readonly [Kind in Leaf]: (value: unknown) => boolean } = {
  peer: (value) => typeof value === 'string' && publicKeyOf(value).length > 0,
  cid: (value) => typeof value === 'string' && digestOfCid(value as Cid).length > 0,
  number: (value) => typeof value === 'number' && Number.isFinite(value),
  flag: (value) => typeof value === 'boolean',
  text: (value) => typeof value === 'string',
};

function check(value: unknown, wanted: AnyShape, where: string): void {
  if (typeof wanted === 'string') {
    if (leaves[wanted](value)) return;
    throw new ProtocolError(`${where}: expected a ${wanted}`, { code: 'bad-message', where });
  }
  const { each } = wanted;
  if (each === undefined) {
    const { values } = readFields(value, where, Object.keys(wanted));
    for (const [key, inner] of Object.entries(wanted)) check(values[key], inner, `${where}.${key}`);
  } else if (Array.isArray(value)) for (const item of value) check(item, each, where);
  else throw new ProtocolError(`${where}: expected a list`, { code: 'bad-message', where });
}

/** Throws `ProtocolError` or `DigestError` unless a decoded value is what this part of a state looks like. */
export const checkPart = (part: StatePart, value: unknown): void =>
  check(value, shape[part] as AnyShape, part);

/** The bytes that `decodeState` reads. */
export const encodeState = (state: LedgerState): Uint8Array => encodeCbor({ ...state });

/** Reads a state's structure; the caller compares its root. Throws `ProtocolError` `bad-message`. */
export function decodeState(bytes: Uint8Array): LedgerState {
  if (bytes.length > stateBytesMax)
    throw new ProtocolError(`ledger state: expected at most ${stateBytesMax} bytes, got ${bytes.length}`, {
      code: 'bad-message',
    });
  try {
    const value = decodeCbor(bytes, stateBytesMax);
    check(value, shape as AnyShape, 'state');
    return value as LedgerState;
  } catch (cause) {
    if (!(cause instanceof DigestError)) throw cause;
    throw new ProtocolError(`ledger state: ${cause.message}`, { code: 'bad-message' }, { cause });
  }
}
