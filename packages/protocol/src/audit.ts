/**
 * Whether a ledger holds, read from its first block on. A `Walk` takes one stored entry after another and builds each
 * block on the one before by the same rules as a replica (PROTOCOL.md §4, rules 1 to 7), then checks what a replica
 * checked when the block was new: the signatures of the announcements, and finality by the voters of the epoch. The
 * state after each block says who votes next, so the roster is followed and never believed.
 *
 * An entry without a certificate is covered by a later one of its epoch. Until then it follows, but is not final: two
 * chains may grow from one final block. Blame needs care there. If a certified block names another parent than the
 * uncovered one before it, that one is wrong; if nothing certifies the later block, the later block is.
 *
 * Only as many blocks are kept as the next one may refer to, so a ledger may be of any length.
 */
import { type Cid, DigestError, type PeerId, type RunConfig, runDigest } from '@murmuration/base';
import { type BlockRecord, buildRecord, electorOf, genesisRecord, type Rules } from './block-record.ts';
import { type Certificate, checkFinality } from './certificate.ts';
import type { ChangeKind } from './change.ts';
import { ProtocolError } from './errors.ts';
import type { Block } from './index.ts';
import { readBase } from './ledger-base.ts';
import { type DecodedEntry, decodeAnnouncement, decodeEntry } from './ledger-entry.ts';
import { memberOf } from './ledger-state.ts';
import { type Opening, type OpeningAuthority, parentOf } from './opening.ts';
import type { Hash } from './statement.ts';

/** Which run's ledger is read. */
export interface AuditInit {
  readonly run: RunConfig;
  readonly runId: Cid;
  /**
   * Of a ledger that begins at a checkpoint: what `openCheckpoint` gave. Its first entry is that of the block after it.
   */
  readonly base?: Uint8Array | undefined;
}

/** `verify` decides what the audit is worth: who only wants to read a ledger that was checked before passes a yes. */
export interface AuditComponents {
  readonly hash: Hash;
  verify(signer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean;
}

/** A block that does not follow from what came before. */
export interface LedgerFault {
  readonly height: number;
  readonly reason: string;
}

/** What happened at one height. */
export interface AuditedBlock {
  readonly block: Block;
  /** On the first block of an epoch that began because the one before had stalled. */
  readonly opening: AuditedOpening | undefined;
  readonly changes: readonly { readonly kind: ChangeKind; readonly peer: PeerId }[];
  /** Those of its authors that were members. */
  readonly authorsOfRoster: readonly PeerId[];
  /** Who certified it; nobody where a later block's certificate covers it. */
  readonly signers: readonly PeerId[];
  /** Whether that makes it final, with all before it; survivors of a recovery only certify provisionally. */
  readonly isFinal: boolean;
  /** After the block: the epoch of the next one, its members and voters, and all tokens so far. */
  readonly nextEpoch: number;
  readonly members: readonly PeerId[];
  readonly voters: readonly PeerId[];
  readonly tokens: number;
}

export type AuditStep =
  | { readonly audited: AuditedBlock; readonly fault?: undefined }
  | { readonly audited?: undefined; readonly fault: LedgerFault };

/** A ledger that is being read. */
export interface Audit {
  /** Takes the next entry. After a fault every further one gives the same fault. */
  take(entry: Uint8Array): AuditStep;
  /** The newest block that a certificate covers; the block before the first one when there is none. */
  readonly final: { readonly block: Block; readonly tokens: number };
  /** Blocks after it. A ledger that ends with some may be about to get their certificate. */
  readonly uncovered: number;
}

/** An opening that the chain went on by: its epoch had stalled, and these signed for whom they list. */
export interface AuditedOpening {
  /** Of the block that it goes on from. */
  readonly height: number;
  readonly authority: OpeningAuthority;
  readonly listed: readonly PeerId[];
  readonly signers: readonly PeerId[];
}

/** A block on the chain, with the one before it. */
export interface Step {
  readonly record: BlockRecord;
  readonly parent: BlockRecord;
  readonly certificate: Certificate | undefined;
  /** What opened its epoch, on the first block of one that stalled before it. */
  readonly opening: Opening | undefined;
  readonly fault?: undefined;
}

/** The chain as far as it was read. */
interface Walk {
  take(entry: Uint8Array): Step | { readonly fault: LedgerFault };
  readonly rules: Rules;
  readonly final: BlockRecord;
  readonly tip: BlockRecord;
}

export const auditRules = ({ run, runId }: AuditInit, { hash, verify }: AuditComponents): Rules => ({
  run,
  runId,
  runDigest: runDigest(runId),
  hash,
  verify,
});

/** Whether a block's own certificate makes it final: one of the regular voters. */
export const isFinal = ({ record, certificate }: Pick<Step, 'record' | 'certificate'>): boolean =>
  certificate !== undefined && record.fork === undefined;

/** A walk that stands before the first block. */
export function createWalk(init: AuditInit, components: AuditComponents): Walk {
  const rules = auditRules(init, components);
  let final = init.base ? readBase(rules, init.base) : genesisRecord(rules);
  let tip = final;
  let fault: LedgerFault | undefined;
  const kept: BlockRecord[] = [];
  for (let at: BlockRecord | undefined = final; at; at = at.parent) kept.unshift(at);
  return {
    rules,
    get final() {
      return final;
    },
    get tip() {
      return tip;
    },
    take(bytes) {
      if (fault) return { fault };
      const step = stepOf(rules, tip, final, bytes);
      if (step.fault) {
        fault = step.fault;
        return { fault };
      }
      tip = step.record;
      if (isFinal(step)) final = tip;
      kept.push(tip);
      while (kept.length > init.run.lateHeights + 1) kept.shift();
      (kept[0] as BlockRecord).parent = undefined;
      return step;
    },
  };
}

function stepOf(
  rules: Rules,
  parent: BlockRecord,
  final: BlockRecord,
  bytes: Uint8Array,
): ReturnType<Walk['take']> {
  const height = parent.block.height + 1;
  const faulty = (reason: string, at = height) => ({ fault: { height: at, reason } });
  const read = readEntry(rules, bytes);
  if (typeof read === 'string') return faulty(read);
  const { entry } = read;
  const { id, header, headerBytes, announcements, certificate } = entry;
  if (header.height !== height) return faulty(`expected block ${height}, found block ${header.height}`);
  if (header.parent !== parent.block.id) {
    const isCertified =
      certificate && !checkFinality(certificate, rules, { id, view: header.view }, parent.next, parent.state);
    return isCertified && parent !== final
      ? faulty(`block ${height}, which is certified, follows another block`, height - 1)
      : faulty(`its parent is ${header.parent}, block ${height - 1} is ${parent.block.id}`);
  }
  const base = parentOf(rules, parent, entry);
  if (typeof base === 'string') return faulty(base);
  const { record, problem } = buildRecord(rules, base, id, header, headerBytes, announcements);
  if (!record) return faulty(problem);
  const { next, state } = electorOf(base, header.epoch);
  const doubt = certificate && checkFinality(certificate, rules, record.block, next, state);
  if (doubt) return faulty(doubt);
  if (record.changes.length > 0 && !certificate)
    return faulty(`block ${height} ends its epoch without a certificate`, final.block.height + 1);
  const forged = forgedAnnouncement(rules, entry);
  const opening = base === parent ? undefined : entry.opening;
  return forged ? faulty(forged) : { record, parent: base, certificate, opening };
}

/** An entry that could not be read is a fault of the ledger, whatever the bytes are. */
function readEntry(rules: Rules, bytes: Uint8Array): { readonly entry: DecodedEntry } | string {
  try {
    return { entry: decodeEntry(bytes, rules.runDigest, rules.hash) };
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof DigestError) return error.message;
    throw error;
  }
}

function forgedAnnouncement(
  { runDigest: run, hash, verify }: Rules,
  entry: DecodedEntry,
): string | undefined {
  for (const { bytes } of entry.announcements) {
    const { signer, signed, signature } = decodeAnnouncement(bytes, run, hash);
    if (!verify(signer, signed, signature)) return `contribution of ${signer} with a wrong signature`;
  }
  return undefined;
}

const openedBy = ({ height, authority, listed, signatures }: Opening): AuditedOpening => ({
  height,
  authority,
  listed,
  signers: signatures.map(({ peer }) => peer),
});

function auditedOf({ record, parent, certificate, opening }: Step): AuditedBlock {
  const { block, changes, state, next } = record;
  const { voters } = electorOf(parent, block.epoch).state;
  return {
    block,
    opening: opening && openedBy(opening),
    changes: changes.map(({ kind, peer }) => ({ kind, peer })),
    authorsOfRoster: block.contributions
      .map(({ author }) => author)
      .filter((author) => memberOf(parent.state, author) !== undefined),
    signers: certificate?.signers.map((signer) => voters[signer] as PeerId) ?? [],
    isFinal: isFinal({ record, certificate }),
    nextEpoch: next.epoch,
    members: state.members.map(({ peer }) => peer),
    voters: state.voters,
    tokens: state.tokens,
  };
}

/**
 * Reads a ledger from its first block on, one entry after the other, wherever they come from. What only θ can tell
 * (rule 8) is left to whoever has the deltas: `block.execution` says how they are applied, `block.tensors` what must
 * result.
 *
 * @example
 * const audit = createAudit({ run, runId }, { hash, verify });
 * for await (const { bytes } of entries) {
 *   const { audited, fault } = audit.take(bytes);
 *   if (fault) throw new Error(`block ${fault.height} does not follow: ${fault.reason}`);
 * }
 */
export function createAudit(init: AuditInit, components: AuditComponents): Audit {
  const walk = createWalk(init, components);
  return {
    take(entry) {
      const step = walk.take(entry);
      return step.fault ? { fault: step.fault } : { audited: auditedOf(step) };
    },
    get final() {
      return { block: walk.final.block, tokens: walk.final.state.tokens };
    },
    get uncovered() {
      return walk.tip.block.height - walk.final.block.height;
    },
  };
}
