/**
 * Signatures by mixing words: as good as real ones among honest peers and their forgers here, and a thousand times
 * cheaper.
 */
import { type PeerId, peerIdOf, sha256 } from '@murmuration/base';
import type { ReplicaComponents, VoteKey } from '@murmuration/protocol';
import { fromString } from 'uint8arrays/from-string';

export interface Keys {
  idOf(index: number): PeerId;
  componentsOf(peer: PeerId): ReplicaComponents;
  /** The key that a peer votes by after its disk was put back so often. */
  voteKeyOf(index: number, restores: number): VoteKey;
}

const signatureBytes = 64;

/** 128 bits of everything, four lanes apart, then each lane stirred to four words. */
function signatureOf(secret: Uint8Array, bytes: Uint8Array): Uint8Array {
  const lanes = new Uint32Array(4);
  const mix = (value: number, index: number): void => {
    const lane = index & 3;
    lanes[lane] = Math.imul((lanes[lane] as number) ^ value ^ (index << 8), 0x01000193 + 2 * lane);
    lanes[(lane + 1) & 3] = (lanes[(lane + 1) & 3] as number) + (lanes[lane] as number);
  };
  for (let index = 0; index < secret.length; index++) mix(secret[index] as number, index);
  for (let index = 0; index < bytes.length; index++) mix(bytes[index] as number, index);
  const signature = new Uint8Array(signatureBytes);
  const words = new DataView(signature.buffer);
  for (let word = 0; word < signatureBytes / 4; word++) {
    mix(word, word);
    words.setUint32(4 * word, lanes[word & 3] as number);
  }
  return signature;
}

export function createKeys(seed: string): Keys {
  const secrets = new Map<PeerId, Uint8Array>();
  const secretOf = (peer: PeerId): Uint8Array => {
    const known = secrets.get(peer) ?? sha256(fromString(`${seed}/${peer}`));
    secrets.set(peer, known);
    return known;
  };
  return {
    voteKeyOf(index, restores) {
      const key = peerIdOf(sha256(fromString(`${seed}/${index}/vote key ${restores}`)));
      return { key, sign: (bytes) => signatureOf(secretOf(key), bytes) };
    },
    idOf: (index) => peerIdOf(sha256(fromString(`${seed}/${index}`))),
    componentsOf: (peer) => ({
      hash: sha256,
      sign: (bytes) => signatureOf(secretOf(peer), bytes),
      verify(signer, bytes, signature) {
        const expected = signatureOf(secretOf(signer), bytes);
        return (
          signature.length === signatureBytes && expected.every((byte, index) => byte === signature[index])
        );
      },
    }),
  };
}
