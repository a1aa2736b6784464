/** Signatures that cost little, and who watches that nobody contradicts its own. */
import { decodeCbor, encodeCbor, type PeerId, sha256 } from '@murmuration/base';
import { openingName, parseOpening, type ReplicaComponents } from '@murmuration/protocol';
import { concat } from 'uint8arrays/concat';
import { fromString } from 'uint8arrays/from-string';

const domain = fromString('signature of ');
export const signatureOf = (peer: PeerId, bytes: Uint8Array): Uint8Array => {
  const once = sha256(concat([domain, fromString(peer), bytes]));
  return concat([once, sha256(once)]);
};

/** Signatures that anybody could forge, and that cost nothing. */
export const componentsOf = (peer: PeerId): ReplicaComponents => ({
  hash: sha256,
  sign: (bytes) => signatureOf(peer, bytes),
  verify: (signer, bytes, signature) =>
    signatureOf(signer, bytes).every((byte, index) => byte === signature[index]),
});

/** Looks at each message that a peer publishes: what stands in one place of its log stands there for ever. */
export function createSignedWatch(
  complain: (problem: string) => void,
): (peer: { readonly id: PeerId; readonly index: number }, message: Uint8Array) => void {
  const signed = new Map<string, string>();
  return (peer, message) => {
    for (const bytes of decodeCbor(message) as Uint8Array[]) {
      const { kind, body } = decodeCbor(bytes) as { kind: string; body: Record<string, unknown> };
      const once = (place: string, what: string): void => {
        const key = `${peer.index} ${place}`;
        if ((signed.get(key) ?? what) !== what)
          complain(`G8: peer ${peer.index} contradicts itself: ${place}`);
        signed.set(key, what);
      };
      const place = `${body.opened} ${body.view}`;
      if (kind === 'vote' && body.voter === peer.id) {
        once(`${place} ${body.choice}`, String(body.block));
        if (body.choice !== 'notarize') once(`${place} skip or finalize`, String(body.choice));
      }
      if (kind === 'proposal' && body.proposer === peer.id) once(`${place} proposal`, String(body.block));
      if (kind === 'opening') {
        const opening = parseOpening(encodeCbor(body));
        if (opening.signatures.some((entry) => entry.peer === peer.id))
          once(`opening ${opening.authority} ${opening.fork} ${opening.attempt}`, openingName(opening));
      }
    }
  };
}
