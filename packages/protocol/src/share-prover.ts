/** Makes the file that `share-proof.ts` checks. */
import { encodeCbor, encodeRunConfig, merkleProof, type PeerId } from '@murmuration/base';
import {
  type AuditComponents,
  type AuditInit,
  createWalk,
  isFinal,
  type LedgerFault,
  type Step,
} from './audit.ts';
import type { Rules } from './block-record.ts';
import { type Certificate, certificateBody } from './certificate.ts';
import { proofEpochsMax, shareProofBytesMax } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import { leafOf, memberOf, type StatePart, stateLeaves } from './ledger-state.ts';
import { encodeOpening, type Opening } from './opening.ts';
import { shareProofKind, shareProofVersion } from './share-proof.ts';

/** Reads a ledger and gathers what a proof needs of it. */
export interface ShareProver {
  /** Takes the next entry, from the first one on; says what is wrong with the first that does not follow. */
  take(entry: Uint8Array): LedgerFault | undefined;
  /** The proof's bytes. Throws `ProtocolError` `no-share` for a peer that the ledger does not know, `too-long`. */
  prove(peer: PeerId): Uint8Array;
}

/** A part of the state after a block, and the way from it to the block's state root. */
function encodePart({ block, state }: Step['record'], part: StatePart, rules: Rules) {
  const leaves = stateLeaves(block.tensors, state);
  const { path } = merkleProof(leaves, leafOf(part), rules.hash);
  return { leaf: leaves[leafOf(part)], path };
}

function encodeStep(
  rules: Rules,
  { record, certificate }: Step,
  parts: Readonly<Record<string, StatePart>>,
): Uint8Array {
  const shown = Object.entries(parts).map(([name, part]) => [name, encodePart(record, part, rules)]);
  return encodeCbor({
    header: record.headerBytes,
    certificate: certificateBody(rules.runDigest, certificate as Certificate),
    ...Object.fromEntries(shown),
  });
}

const closesEpoch = ({ record }: Step): boolean => record.next.opened === record.block.id;

class LedgerProver implements ShareProver {
  readonly #init: AuditInit;
  readonly #walk: ReturnType<typeof createWalk>;
  readonly #epochs: Uint8Array[] = [];
  #bytes = 0;
  /** The newest block with a certificate of regular voters. */
  #newest: Step | undefined;
  /** The founders' opening after it. */
  #opening: Opening | undefined;

  constructor(init: AuditInit, components: AuditComponents) {
    this.#init = init;
    this.#walk = createWalk(init, components);
  }

  take(entry: Uint8Array): LedgerFault | undefined {
    const step = this.#walk.take(entry);
    if (step.fault) return step.fault;
    const { opening } = step.record;
    if (opening?.authority === 'founders') this.#opening = opening;
    if (!isFinal(step)) return undefined;
    this.#passEpochs();
    this.#newest = step;
    return undefined;
  }

  prove(peer: PeerId): Uint8Array {
    const { rules } = this.#walk;
    const state = this.#newest?.record.state;
    const isMember = state && memberOf(state, peer) !== undefined;
    if (!this.#newest || (!isMember && !state?.guests.some((guest) => guest.peer === peer)))
      throw new ProtocolError(`share of ${peer}: the ledger knows no such member or guest`, {
        code: 'no-share',
        peer,
      });
    const newest = encodeStep(rules, this.#newest, {
      tokens: 'tokens',
      peers: isMember ? 'members' : 'guests',
    });
    const proof = encodeCbor({
      kind: shareProofKind,
      version: shareProofVersion,
      run: encodeRunConfig(this.#init.run),
      peer,
      epochs: this.#epochs,
      newest,
    });
    this.#checkLength(proof.length);
    return proof;
  }

  /** From the epoch of the newest block to that of the one that follows it. */
  #passEpochs(): void {
    const { rules } = this.#walk;
    const newest = this.#newest;
    const closes = newest !== undefined && closesEpoch(newest);
    if (closes)
      this.#add(encodeStep(rules, newest, { epoch: 'epoch', members: 'members', voters: 'voters' }));
    if (!this.#opening) return;
    const base = newest && !closes ? encodeStep(rules, newest, { members: 'members' }) : null;
    this.#add(encodeCbor({ opening: encodeOpening(this.#opening), base }));
    this.#opening = undefined;
  }

  #add(step: Uint8Array): void {
    this.#epochs.push(step);
    this.#bytes += step.length;
    this.#checkLength(this.#bytes);
  }

  #checkLength(bytes: number): void {
    const epochs = this.#epochs.length;
    if (bytes > shareProofBytesMax || epochs > proofEpochsMax)
      throw new ProtocolError(
        `share proof: expected at most ${shareProofBytesMax} bytes and ${proofEpochsMax} epochs, got ${bytes} and ${epochs}`,
        { code: 'too-long', bytes, epochs },
      );
  }
}

/** A prover that stands before the first block. */
export const createShareProver = (init: AuditInit, components: AuditComponents): ShareProver =>
  new LedgerProver(init, components);
