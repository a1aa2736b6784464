/** Reads the fields of a decoded dag-cbor map: exactly the expected keys, each of its type and within its bounds. */
import { type Cid, DigestError, digestOfCid, type PeerId, publicKeyOf } from '@murmuration/base';
import { ProtocolError } from './errors.ts';

/** A map that has exactly the expected keys. */
export interface Fields {
  readonly where: string;
  readonly values: Readonly<Record<string, unknown>>;
}

const bad = (fields: Fields, key: string, expected: string): never => {
  throw new ProtocolError(`${fields.where}.${key}: expected ${expected}`, {
    code: 'bad-message',
    where: fields.where,
    key,
  });
};

/** What `read` gives; where the bytes are bad its error becomes a `ProtocolError` of this code that names them. */
export function reading<Read>(what: string, code: ProtocolError['code'], read: () => Read): Read {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof ProtocolError) && !(cause instanceof DigestError)) throw cause;
    throw new ProtocolError(`${what}: ${cause.message}`, { code }, { cause });
  }
}

/** Throws `ProtocolError` unless `value` is a map with exactly these keys. */
export function readFields(value: unknown, where: string, keys: readonly string[]): Fields {
  const isMap =
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
  const found = isMap ? Object.keys(value) : [];
  if (!isMap || found.length !== keys.length || keys.some((key) => !found.includes(key)))
    throw new ProtocolError(`${where}: expected a map of ${keys.join(', ')}, got ${found.join(', ')}`, {
      code: 'bad-message',
      where,
    });
  return { where, values: value as Readonly<Record<string, unknown>> };
}

/** A safe integer in [min, max]. */
export function integerField(fields: Fields, key: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
  const value = fields.values[key];
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max
    ? value
    : bad(fields, key, `an integer in [${min}, ${max}]`);
}

/** A finite number. */
export function realField(fields: Fields, key: string): number {
  const value = fields.values[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : bad(fields, key, 'a finite number');
}

/** Bytes of a length in [min, max]. */
export function bytesField(fields: Fields, key: string, min: number, max: number = min): Uint8Array {
  const value = fields.values[key];
  return value instanceof Uint8Array && value.length >= min && value.length <= max
    ? value
    : bad(fields, key, `${min} to ${max} bytes`);
}

/** One of a few words. */
export function wordField<Word extends string>(fields: Fields, key: string, words: readonly Word[]): Word {
  const value = fields.values[key];
  return words.find((word) => word === value) ?? bad(fields, key, words.join(' or '));
}

/** The text of a CID. */
export function cidField(fields: Fields, key: string): Cid {
  const value = fields.values[key];
  if (typeof value !== 'string') return bad(fields, key, 'a CID');
  digestOfCid(value as Cid);
  return value as Cid;
}

/** The text of an Ed25519 peer id. */
export function peerField(fields: Fields, key: string): PeerId {
  const value = fields.values[key];
  if (typeof value !== 'string') return bad(fields, key, 'a peer id');
  publicKeyOf(value);
  return value as PeerId;
}

/** A list of at most `max` byte strings. */
export function bytesListField(fields: Fields, key: string, max: number): readonly Uint8Array[] {
  const value = fields.values[key];
  return Array.isArray(value) &&
    value.length <= max &&
    value.every((item: unknown) => item instanceof Uint8Array)
    ? (value as Uint8Array[])
    : bad(fields, key, `a list of at most ${max} byte strings`);
}

/** At most `max` signatures of different peers, named by `signer` and sorted by it. */
export function signaturesField<Signer extends string>(
  fields: Fields,
  signer: Signer,
  max: number,
): readonly ({ readonly [key in Signer]: PeerId } & { readonly signature: Uint8Array })[] {
  const { signatures } = fields.values;
  if (!Array.isArray(signatures) || signatures.length > max)
    return bad(fields, 'signatures', `a list of at most ${max}`);
  const entries = signatures.map((item: unknown) => {
    const entry = readFields(item, `${fields.where}.signatures`, [signer, 'signature']);
    const by = { [signer]: peerField(entry, signer) } as { readonly [key in Signer]: PeerId };
    return { ...by, signature: bytesField(entry, 'signature', 64) };
  });
  return areRising(entries.map((entry) => entry[signer]))
    ? entries
    : bad(fields, 'signatures', `each ${signer} once, sorted`);
}

/** Whether these are different peers, sorted. */
export const areRising = (peers: readonly PeerId[]): boolean =>
  peers.every((peer, index) => index === 0 || peer > (peers[index - 1] as PeerId));
