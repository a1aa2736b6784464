import * as dagCbor from '@ipld/dag-cbor';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { base58btc } from 'multiformats/bases/base58';
import { CID } from 'multiformats/cid';
import { create as createMultihash } from 'multiformats/hashes/digest';
import { concat } from 'uint8arrays/concat';
import { equals } from 'uint8arrays/equals';
import { FactError } from './errors.ts';

/** A CIDv1 (sha2-256) in base32 text: the name of a blob (codec raw) or of a block or config (dag-cbor). */
export type Cid = string & { readonly cid: unique symbol };

/** A libp2p peer id of an Ed25519 key, in base58btc text (`12D3KooW…`). */
export type PeerId = string & { readonly peerId: unique symbol };

/** A text that is no CID or peer id, or bytes that are no canonical dag-cbor. */
export class DigestError extends FactError<'bad-cid' | 'bad-peer-id' | 'bad-cbor'> {}

const rawCodec = 0x55;
const sha256Code = 0x12;
/** No CID or peer id of ours is nearly as long. */
const cidLengthMax = 100;
const peerIdLengthMax = 64;

/** Bytes of a SHA-256 digest. */
export const digestLength = 32;

/** SHA-256 in portable code; doors that hash megabytes use their platform's. */
export const sha256 = (bytes: Uint8Array): Uint8Array => nobleSha256(bytes);

/** The CID of a digest that was computed elsewhere. */
export const cidOfDigest = (digest: Uint8Array, codec: 'raw' | 'dag-cbor' = 'raw'): Cid =>
  CID.createV1(
    codec === 'raw' ? rawCodec : dagCbor.code,
    createMultihash(sha256Code, digest),
  ).toString() as Cid;

/** The CID of bytes. */
export const cidOf = (bytes: Uint8Array, codec: 'raw' | 'dag-cbor' = 'raw'): Cid =>
  cidOfDigest(sha256(bytes), codec);

/** Checks a CID's text: version 1, sha2-256, raw or dag-cbor. Throws `DigestError` otherwise. */
export function parseCid(text: string): Cid {
  digestOfCid(text as Cid);
  return text as Cid;
}

/** The 32 digest bytes inside a CID. Throws `DigestError` unless it is one that `parseCid` accepts. */
export function digestOfCid(cid: Cid): Uint8Array {
  let parsed: CID;
  try {
    if (cid.length > cidLengthMax) throw new Error('too long');
    parsed = CID.parse(cid);
  } catch {
    throw new DigestError(`expected a CIDv1 in base32, got ${JSON.stringify(cid.slice(0, 80))}`, {
      code: 'bad-cid',
      cid: cid.slice(0, 80),
    });
  }
  const codecKnown = parsed.code === rawCodec || parsed.code === dagCbor.code;
  if (
    parsed.version !== 1 ||
    !codecKnown ||
    parsed.multihash.code !== sha256Code ||
    parsed.toString() !== cid
  )
    throw new DigestError(`expected a base32 CIDv1 of sha2-256, raw or dag-cbor, got ${cid}`, {
      code: 'bad-cid',
      cid,
    });
  return parsed.multihash.digest;
}

/** Identity multihash of libp2p's protobuf `PublicKey { type: Ed25519, data: 32 bytes }`. */
const ed25519Prefix = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);

/** The peer id of a raw 32-byte Ed25519 public key. */
export const peerIdOf = (publicKey: Uint8Array): PeerId =>
  base58btc.baseEncode(concat([ed25519Prefix, publicKey])) as PeerId;

/** The raw 32-byte Ed25519 public key inside a peer id. Throws `DigestError` for any other kind of id. */
export function publicKeyOf(peer: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    if (peer.length > peerIdLengthMax) throw new Error('too long');
    bytes = base58btc.baseDecode(peer);
  } catch {
    bytes = new Uint8Array();
  }
  const prefixHolds = ed25519Prefix.every((byte, index) => bytes[index] === byte);
  if (!prefixHolds || bytes.length !== ed25519Prefix.length + 32)
    throw new DigestError(
      `expected an Ed25519 peer id (12D3KooW…), got ${JSON.stringify(peer.slice(0, 80))}`,
      {
        code: 'bad-peer-id',
        peer: peer.slice(0, 80),
      },
    );
  return bytes.slice(ed25519Prefix.length);
}

/**
 * Deterministic dag-cbor: equal values give equal bytes, whatever the order of their keys. The bytes are copied out of
 * the platform's buffer pool: of what is kept there, each may keep 64 KiB.
 */
export const encodeCbor = (value: unknown): Uint8Array => new Uint8Array(dagCbor.encode(value));

/**
 * Data items in encoded CBOR: one per number, text, byte string, list, map and so on. It walks over their heads and
 * allocates nothing. Counting ends above `max`, and where the bytes do.
 */
function countItems(bytes: Uint8Array, max: number): number {
  let count = 0;
  for (let at = 0; at < bytes.length && count <= max; count++) {
    const head = bytes[at++] as number;
    const wide = head & 31;
    const width = wide >= 24 && wide <= 27 ? 1 << (wide - 24) : 0;
    let argument = width === 0 ? wide : 0;
    for (let i = 0; i < width; i++) argument = argument * 256 + (bytes[at + i] ?? 0);
    const isString = head >> 5 === 2 || head >> 5 === 3;
    at += width + (isString ? argument : 0);
  }
  return count;
}

/**
 * Strict dag-cbor: non-canonical bytes, deep nesting and rubbish all end in `DigestError`. Each of the `itemsMax`
 * values that may be in it takes some hundred bytes of memory, however short it is encoded.
 */
export function decodeCbor(bytes: Uint8Array, itemsMax: number = Number.POSITIVE_INFINITY): unknown {
  try {
    if (itemsMax < bytes.length && countItems(bytes, itemsMax) > itemsMax)
      throw new Error(`more than ${itemsMax} values`);
    const value: unknown = dagCbor.decode(bytes);
    if (!equals(dagCbor.encode(value), bytes)) throw new Error('not the canonical encoding');
    return value;
  } catch (cause) {
    throw new DigestError(
      `expected canonical dag-cbor: ${(cause as Error).message}`,
      { code: 'bad-cbor' },
      { cause },
    );
  }
}
