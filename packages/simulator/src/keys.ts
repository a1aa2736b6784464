/** Signatures by hashing: as good as real ones among honest peers and their forgers here, and a hundred times cheaper. */
import { type PeerId, peerIdOf, sha256 } from '@murmuration/base';
import type { ReplicaComponents } from '@murmuration/protocol';
import { concat } from 'uint8arrays/concat';
import { fromString } from 'uint8arrays/from-string';

export interface Keys {
  idOf(index: number): PeerId;
  componentsOf(peer: PeerId): ReplicaComponents;
}

const signatureOf = (peer: PeerId, bytes: Uint8Array): Uint8Array => {
  const half = sha256(concat([fromString(peer), sha256(bytes)]));
  return concat([half, half]);
};

export function createKeys(seed: string): Keys {
  return {
    idOf: (index) => peerIdOf(sha256(fromString(`${seed}/${index}`))),
    componentsOf: (peer) => ({
      hash: sha256,
      sign: (bytes) => signatureOf(peer, bytes),
      verify(signer, bytes, signature) {
        const expected = signatureOf(signer, bytes);
        return signature.length === 64 && expected.every((byte, index) => byte === signature[index]);
      },
    }),
  };
}
