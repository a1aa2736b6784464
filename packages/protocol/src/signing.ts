import { encodeCbor } from '@murmuration/base';
import { concat } from 'uint8arrays/concat';
import { fromString } from 'uint8arrays/from-string';

/** What is signed, by the domain that separates it from every other use of the key. Names on the wire are for ever. */
type SignedKind =
  | 'contribution'
  | 'presence'
  | 'proposal'
  | 'vote'
  | 'invitation'
  | 'opening'
  | 'leave'
  | 'rekey'
  | 'rekey-proof';

/** The bytes that a signature covers: `murmuration/1/<kind>`, a zero byte, the deterministic dag-cbor of the body. */
export const signedBytes = (kind: SignedKind, body: unknown): Uint8Array =>
  concat([fromString(`murmuration/1/${kind}\0`), encodeCbor(body)]);
