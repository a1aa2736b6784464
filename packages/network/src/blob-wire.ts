/**
 * `/murmuration/blob/1` on the wire. Both sides send length-prefixed (unsigned varint) messages. A request is 33
 * bytes: the kind of chunk (0 raw bytes, 1 manifest) and the 32 digest bytes of its CID. An answer is a status byte
 * (0 found, 1 not here) and, if found, the chunk. Answers come in the order of the requests.
 */
import { type Cid, cidOfDigest, digestLength, digestOfCid, hasManifest } from '@murmuration/base';
import { concat } from 'uint8arrays/concat';
import { answerBytesMax } from './defaults.ts';
import { NetworkError } from './errors.ts';

/** Length of every request. */
export const requestBytes: number = 1 + digestLength;

const kinds = ['raw', 'dag-cbor'] as const;
const found = 0;
const notHere = 1;

/** The request for a chunk or manifest by its CID. */
export const encodeRequest = (cid: Cid): Uint8Array =>
  concat([Uint8Array.of(hasManifest(cid) ? 1 : 0), digestOfCid(cid)]);

/** The CID that a request names; `NetworkError` `bad-message` on anything else. */
export function decodeRequest(bytes: Uint8Array): Cid {
  const kind = kinds[bytes[0] ?? kinds.length];
  if (bytes.length !== requestBytes || !kind)
    throw new NetworkError(
      `blob request: expected ${requestBytes} bytes that start with 0 or 1, got ${bytes.length} that start with ${bytes[0]}`,
      { code: 'bad-message', length: bytes.length },
    );
  return cidOfDigest(bytes.slice(1), kind);
}

/** The bytes of a chunk, or undefined for "not here". */
export const encodeAnswer = (chunk: Uint8Array | undefined): Uint8Array =>
  chunk ? concat([Uint8Array.of(found), chunk]) : Uint8Array.of(notHere);

/** The chunk, or undefined for "not here"; `NetworkError` `bad-message` on anything else. */
export function decodeAnswer(bytes: Uint8Array): Uint8Array | undefined {
  const status = bytes[0];
  if (status === found && bytes.length <= answerBytesMax) return bytes.subarray(1);
  if (status === notHere && bytes.length === 1) return undefined;
  throw new NetworkError(
    `blob answer: expected a status byte 0 and a chunk, or 1 alone, got ${bytes.length} bytes that start with ${status}`,
    { code: 'bad-message', length: bytes.length },
  );
}
