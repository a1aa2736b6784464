import type { PeerId } from '@murmuration/base';
import { type AuditedBlock, type AuditedOpening, createAudit, type LedgerFault } from '@murmuration/protocol';
import { hashBytes, verifySignature } from '@murmuration/store';
import { toString as textOf } from 'uint8arrays/to-string';
import { auditAhead, openingsMax } from './defaults.ts';
import type { LedgerSource } from './ledger-source.ts';
import { createReplay, type ReplayedRange } from './replay.ts';

/** How far an audit has come. */
export interface AuditProgress {
  readonly height: number;
  readonly rounds: number;
}

/** What an audit found. */
export interface LedgerVerdict {
  /** The first block that does not follow, if there is one. */
  readonly fault: LedgerFault | undefined;
  /**
   * Height of the checkpoint that the ledger begins at, which its peer was told to trust; 0: it begins at the first
   * block.
   */
  readonly checkpoint: number;
  /** The newest block before it that a certificate covers, and the state after it. */
  readonly height: number;
  readonly stateRoot: string;
  readonly epoch: number;
  readonly members: readonly PeerId[];
  readonly tokens: number;
  /** The last openings that the chain went on by: who relies on blocks after one by founders relies on those. */
  readonly openings: readonly AuditedOpening[];
  /** Blocks after it that no certificate covers yet. */
  readonly uncovered: number;
  /** Blocks whose parameters were computed from their deltas; those of all others rest on certificates alone. */
  readonly replayed: readonly ReplayedRange[];
}

type Settled = Pick<LedgerVerdict, 'height' | 'epoch' | 'members' | 'tokens'> & {
  readonly stateRoot: Uint8Array;
};

const settledBy = ({ block, nextEpoch, members, tokens }: AuditedBlock): Settled => ({
  height: block.height,
  stateRoot: block.stateRoot,
  epoch: nextEpoch,
  members,
  tokens,
});

/**
 * Reads a ledger from its first block on and checks all that it says: structure, signatures, certificates, the roster's
 * changes, and the parameters wherever the deltas are at hand.
 */
export async function verifyLedger(
  source: LedgerSource,
  options: { readonly replay?: boolean; onProgress?(progress: AuditProgress): void } = {},
): Promise<LedgerVerdict> {
  const { run, runId, base } = source;
  const audit = createAudit({ run, runId, base }, { hash: hashBytes, verify: verifySignature });
  const { block: begin, tokens } = audit.final;
  const replay = options.replay === false ? undefined : await createReplay(source, base ? begin : undefined);
  let settled: Settled = {
    height: begin.height,
    stateRoot: begin.stateRoot,
    epoch: begin.epoch,
    members: base ? [] : run.founders,
    tokens,
  };
  let height = begin.height;
  const openings: AuditedOpening[] = [];
  const verdict = (fault: LedgerFault | undefined): LedgerVerdict => ({
    ...settled,
    checkpoint: begin.height,
    openings,
    fault,
    stateRoot: textOf(settled.stateRoot, 'base16'),
    uncovered: height - settled.height,
    replayed: typeof replay === 'object' ? replay.ranges : [],
  });
  if (typeof replay === 'string') return verdict({ height: 0, reason: replay });
  const ahead: AuditedBlock[] = [];
  const followOne = async (): Promise<LedgerFault | undefined> => {
    const audited = ahead.shift() as AuditedBlock;
    const reason = await replay?.follow(audited.block);
    if (reason) return { height: audited.block.height, reason };
    height = audited.block.height;
    if (audited.opening) openings.push(audited.opening);
    if (openings.length > openingsMax) openings.shift();
    if (audited.isFinal) settled = settledBy(audited);
    options.onProgress?.({ height, rounds: run.rounds });
    return undefined;
  };
  const followAll = async (): Promise<LedgerFault | undefined> => {
    let found: LedgerFault | undefined;
    while (!found && ahead.length > 0) found = await followOne();
    return found;
  };
  for await (const { bytes } of source.entries()) {
    const { audited, fault } = audit.take(bytes);
    if (!audited) return verdict((await followAll()) ?? fault);
    replay?.expect(audited.block);
    ahead.push(audited);
    const found = ahead.length > auditAhead ? await followOne() : undefined;
    if (found) return verdict(found);
  }
  return verdict(await followAll());
}
