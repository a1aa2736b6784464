/**
 * Remembers every vote and every proposal that anybody was ever seen to sign, on the wire or on disk, and tells who
 * contradicted itself: two different votes of one choice in one view of an epoch, two different proposals in one view,
 * or skip and finalize in one view. A certificate counts as the votes that it holds. A signature that does not verify
 * is nobody's word; such are only counted.
 */
import { decodeCbor, type PeerId, sha256 } from '@murmuration/base';
import { toString as textOf } from 'uint8arrays/to-string';
import type { Certificate } from '../../../protocol/src/certificate.ts';
import { signedBytes } from '../../../protocol/src/signing.ts';
import { decodeMessage, decodeStatement } from '../../../protocol/src/statement.ts';
import { type EpochId, type Vote, voteBody } from '../../../protocol/src/vote.ts';

/** Two things that one peer signed and that no honest peer signs both. */
export interface Contradiction {
  readonly signer: PeerId;
  readonly epoch: number;
  readonly view: number;
  /** What they are, and where each was seen first. */
  readonly first: string;
  readonly second: string;
}

export interface WitnessInit {
  readonly run: Uint8Array;
  /** Whoever may have signed: a certificate names its signers by an index only. */
  readonly signers: readonly PeerId[];
  verify(signer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean;
}

interface Signed {
  readonly text: string;
  readonly place: string;
}

interface Seen extends EpochId {
  readonly view: number;
  readonly signer: PeerId;
  readonly what: 'proposal' | 'notarize' | 'skip' | 'finalize';
  readonly signed: Uint8Array;
}

const opposite = { skip: 'finalize', finalize: 'skip' } as const;

export class Witness {
  readonly contradictions: Contradiction[] = [];
  /** Different things seen, and statements whose signature did not verify. */
  readonly counts = { votes: 0, proposals: 0, unverified: 0 };
  readonly #init: WitnessInit;
  readonly #slots = new Map<string, Signed[]>();
  readonly #certificates = new Set<string>();

  constructor(init: WitnessInit) {
    this.#init = init;
  }

  /** A gossip message, as it was heard. */
  hearMessage(bytes: Uint8Array, place: string): void {
    for (const statement of decodeMessage(bytes)) this.hearStatement(statement, place);
  }

  /** One statement; those that are no vote, proposal or certificate are passed over. */
  hearStatement(bytes: Uint8Array, place: string): void {
    const statement = decodeStatement(bytes, sha256);
    if (statement.kind === 'certificate') this.hearCertificate(statement.certificate, place);
    if (statement.kind !== 'vote' && statement.kind !== 'proposal') return;
    const { signer, signed, signature } = statement;
    const { epoch, opened, view } = statement.kind === 'vote' ? statement.vote : statement.proposal;
    const what = statement.kind === 'vote' ? statement.vote.choice : 'proposal';
    const seen: Seen = { epoch, opened, view, signer, what, signed };
    if (this.#isKnown(seen)) return;
    if (this.#init.verify(signer, signed, signature)) this.#note(seen, place);
    else this.counts.unverified += 1;
  }

  hearCertificate(certificate: Certificate, place: string): void {
    const name = textOf(sha256(Buffer.concat(certificate.signatures)), 'base64');
    if (this.#certificates.has(name)) return;
    this.#certificates.add(name);
    const { signers, signatures, rekeys: _, ...vote } = certificate;
    for (const [position, signature] of signatures.entries()) {
      const seen = this.#findSigner(vote, signers[position] ?? 0, signature);
      if (!seen) this.counts.unverified += 1;
      else if (!this.#isKnown(seen)) this.#note(seen, place);
    }
  }

  /** A record of a peer's folder, by the key under which the replica keeps it. */
  readRecord(key: string, bytes: Uint8Array, place: string): void {
    if (key.startsWith('vote/')) this.hearStatement(bytes, place);
    if (key.startsWith('proposal/')) this.hearStatement((decodeCbor(bytes) as [Uint8Array])[0], place);
  }

  /** Voters change with the epochs; who signed is found by the signature, the founder of that index first. */
  #findSigner(vote: Omit<Vote, 'voter'>, index: number, signature: Uint8Array): Seen | undefined {
    const likely = this.#init.signers[index];
    for (const signer of likely ? [likely, ...this.#init.signers] : this.#init.signers) {
      const signed = signedBytes('vote', voteBody(this.#init.run, { ...vote, voter: signer }));
      if (!this.#init.verify(signer, signed, signature)) continue;
      const { epoch, opened, view, choice } = vote;
      return { epoch, opened, view, signer, what: choice, signed };
    }
    return undefined;
  }

  #isKnown(seen: Seen): boolean {
    const text = textOf(seen.signed, 'base64');
    return (this.#slots.get(slotOf(seen, seen.what)) ?? []).some((earlier) => earlier.text === text);
  }

  #note(seen: Seen, place: string): void {
    const { signer, epoch, view, what } = seen;
    const slot = slotOf(seen, what);
    const earlier = this.#slots.get(slot) ?? [];
    const against = what === 'skip' || what === 'finalize' ? opposite[what] : undefined;
    const opposed = against ? (this.#slots.get(slotOf(seen, against)) ?? []) : [];
    const second = `${what} seen at ${place}`;
    for (const { place: other } of earlier)
      this.contradictions.push({ signer, epoch, view, first: `another ${what} seen at ${other}`, second });
    for (const { place: other } of opposed)
      this.contradictions.push({ signer, epoch, view, first: `${against} seen at ${other}`, second });
    this.#slots.set(slot, [...earlier, { text: textOf(seen.signed, 'base64'), place }]);
    this.counts[what === 'proposal' ? 'proposals' : 'votes'] += 1;
  }
}

const slotOf = ({ epoch, opened, view, signer }: Seen, what: string): string =>
  `${epoch}/${opened}/${view}/${signer}/${what}`;
