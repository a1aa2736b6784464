/** A block that connects to our chain, checked against its parent by every rule that needs no θ. */
import { type Cid, cidOfDigest, encodeCbor, type PeerId, type RunConfig } from '@murmuration/base';
import { equals } from 'uint8arrays/equals';
import type { Certificate } from './certificate.ts';
import { type Change, checkChanges, decodeChange } from './change.ts';
import { recoveryBlocksMax } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import { genesisBlockId, type Header } from './header.ts';
import type { Block, BlockId, Contribution } from './index.ts';
import {
  genesisState,
  type LedgerState,
  memberOf,
  memberPeers,
  nextState,
  openEpoch,
  recentNames,
  stateRootOf,
} from './ledger-state.ts';
import type { Opening } from './opening.ts';
import type { Hash } from './statement.ts';
import type { EpochId } from './vote.ts';
import { executionOf } from './weights.ts';

/** An announcement as its author signed it, with what it says. */
export interface Announcement {
  readonly contribution: Contribution;
  readonly bytes: Uint8Array;
}

export interface BlockRecord {
  readonly block: Block;
  readonly headerBytes: Uint8Array;
  readonly announcements: readonly Announcement[];
  readonly changes: readonly Change[];
  /** The ledger state after the block. */
  readonly state: LedgerState;
  /** The epoch of the blocks that follow: opened by this block, or by the one that opened its own. */
  readonly next: EpochId;
  /** Later views may only propose this block again until it is final: it ends the epoch or the run. */
  readonly terminal: boolean;
  /** Cut off a few blocks below the newest final one. */
  parent: BlockRecord | undefined;
  /** Whether our own execution gave the header's `tensors`. */
  root: 'unknown' | 'equal' | 'different';
  /** The quorum of finalize votes, unless a descendant's makes this block final. */
  finality: Certificate | undefined;
  /** On the first block of an opening (and on the fork as that block sees it): what opened its epoch. */
  readonly opening: Opening | undefined;
  /** On the provisional blocks of a recovery: the regular block that they go on from. */
  readonly fork: BlockRecord | undefined;
}

export interface Rules {
  readonly run: RunConfig;
  readonly runId: Cid;
  /** Digest inside `runId`. */
  readonly runDigest: Uint8Array;
  readonly hash: Hash;
  verify(signer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean;
}

export function genesisRecord({ run, runId, hash }: Rules): BlockRecord {
  const state = genesisState(run);
  const id = genesisBlockId(runId);
  return {
    block: {
      id,
      height: 0,
      epoch: 0,
      view: -1,
      parent: id,
      proposer: run.founders[0] as PeerId,
      contributions: [],
      tensors: run.initial.tensors,
      stateRoot: stateRootOf(run.initial.tensors, state, hash),
      execution: executionOf({ run, members: [], norms: [] }, id, 0, []),
    },
    headerBytes: new Uint8Array(),
    announcements: [],
    changes: [],
    state,
    next: { epoch: 0, opened: id },
    terminal: false,
    parent: undefined,
    root: 'equal',
    finality: undefined,
    opening: undefined,
    fork: undefined,
  };
}

/** Whether two records are of one block: the fork of a recovery is known under two. */
export const isSameBlock = (a: BlockRecord | undefined, b: BlockRecord | undefined): boolean =>
  a?.block.id === b?.block.id;

/** Whether a block adopts what a recovery left: it belongs to the epoch that the recovery went on from. */
export const isAdoption = ({ fork, parent }: BlockRecord): boolean => !fork && parent?.fork !== undefined;

/**
 * The block whose voters decide about a block of this epoch on `parent`: its parent, or, for a block of the epoch that
 * stalled which adopts what a recovery left, the fork.
 */
export const electorOf = (parent: BlockRecord, epoch: number): BlockRecord =>
  parent.fork?.next.epoch === epoch ? parent.fork : parent;

/** The ancestor (or the block itself) at a height, if it is still linked. */
export function ancestorAt(record: BlockRecord, height: number): BlockRecord | undefined {
  let at: BlockRecord | undefined = record;
  while (at && at.block.height > height) at = at.parent;
  return at?.block.height === height ? at : undefined;
}

export const encodeList = (announcements: readonly Announcement[]): Uint8Array =>
  encodeCbor(announcements.map(({ bytes }) => bytes));

export const listCid = (listBytes: Uint8Array, hash: Hash): Cid => cidOfDigest(hash(listBytes));

/** Why a contribution may not enter the block after `parent`, or `undefined` when it may. */
export function checkContribution(
  run: RunConfig,
  parent: BlockRecord,
  contribution: Contribution,
): string | undefined {
  const { height } = parent.block;
  if (contribution.baseHeight > height || contribution.baseHeight < height + 1 - run.lateHeights)
    return `contribution from height ${contribution.baseHeight} in block ${height + 1}`;
  if (ancestorAt(parent, contribution.baseHeight)?.block.id !== contribution.base)
    return 'contribution whose base is no ancestor';
  if (parent.state.convicted.includes(contribution.author)) return 'contribution of a convicted peer';
  const { fork, state } = parent;
  if (fork && contribution.baseHeight <= fork.block.height && !state.voters.includes(contribution.author))
    return 'contribution of a stranger from before the recovery';
  if (contribution.blobBytes > run.delta.blobBytesMax) return 'contribution with a blob that is too long';
  const names = recentNames(parent.state);
  return names.has(contribution.cid) || names.has(contribution.blob)
    ? 'contribution that is certified already'
    : undefined;
}

/** Why these contributions, as a whole, cannot be the list of the block after `parent`. */
function checkList(
  run: RunConfig,
  parent: BlockRecord,
  contributions: readonly Contribution[],
): string | undefined {
  if (contributions.length > run.aggregation.contributionsMax)
    return `block with ${contributions.length} contributions, expected at most ${run.aggregation.contributionsMax}`;
  if (contributions.some(({ cid }, index) => index > 0 && cid <= (contributions[index - 1]?.cid ?? '')))
    return 'block with unsorted contributions';
  if (new Set(contributions.map(({ blob }) => blob)).size < contributions.length)
    return 'block with a payload twice';
  if (new Set(contributions.map(({ author }) => author)).size < contributions.length)
    return 'block with two contributions of one author';
  const members = contributions.filter(({ author }) => memberOf(parent.state, author)).length;
  if (contributions.length > 0 && members === 0) return 'block without a contribution of a member';
  if (contributions.length > members && run.aggregation.guestShare === 0)
    return 'block with guests in a run that gives them no weight';
  for (const contribution of contributions) {
    const problem = checkContribution(run, parent, contribution);
    if (problem) return problem;
  }
  return undefined;
}

/** The changes that a header carries, or why they cannot be read. */
function readChanges({ changes }: Header): readonly Change[] | string {
  try {
    return changes.map(decodeChange);
  } catch (error) {
    if (error instanceof ProtocolError) return error.message;
    throw error;
  }
}

/**
 * What holds for the blocks of a recovery, which change no roster and do not end the run, and for the block that adopts
 * them.
 */
function checkRecovery(
  run: RunConfig,
  parent: BlockRecord,
  header: Header,
  adopts: boolean,
): string | undefined {
  const { fork } = parent;
  if (!fork) return undefined;
  if (header.changes.length > 0) return 'block that changes the roster of a recovery';
  if (adopts) return header.tensors === parent.block.tensors ? undefined : 'adoption that changes θ';
  const blocks = header.height - fork.block.height;
  return header.height >= run.rounds || blocks > recoveryBlocksMax
    ? `block ${blocks} of a recovery, at height ${header.height} of ${run.rounds}`
    : undefined;
}

export type Built =
  | { readonly record: BlockRecord; readonly problem?: undefined }
  | { readonly record?: undefined; readonly problem: string };

/**
 * Checks a block against its parent and builds its record. The signatures of the announcements are the caller's
 * business.
 */
export function buildRecord(
  rules: Rules,
  parent: BlockRecord,
  id: BlockId,
  header: Header,
  headerBytes: Uint8Array,
  announcements: readonly Announcement[],
): Built {
  const { run, hash } = rules;
  const height = parent.block.height + 1;
  const listBytes = encodeList(announcements);
  const contributions = announcements.map(({ contribution }) => contribution);
  if (!equals(header.run, rules.runDigest)) return { problem: 'block of another run' };
  if (header.parent !== parent.block.id || header.height !== height || height > run.rounds)
    return { problem: `block of height ${header.height} on one of height ${parent.block.height}` };
  const elector = electorOf(parent, header.epoch);
  const adopts = elector !== parent;
  if (header.epoch !== elector.next.epoch)
    return { problem: `block of epoch ${header.epoch}, expected ${parent.state.epoch}` };
  if (elector.block.epoch === header.epoch && header.view <= elector.block.view)
    return { problem: 'block of a view not after its parent' };
  if (listBytes.length !== header.listBytes || listCid(listBytes, hash) !== header.list)
    return { problem: 'block whose list has another name' };
  const changes = readChanges(header);
  if (typeof changes === 'string') return { problem: changes };
  const problem = checkList(run, parent, contributions) ?? checkChanges(changes, rules, parent.state, height);
  if (problem) return { problem };
  const misfit = checkRecovery(run, parent, header, adopts);
  if (misfit) return { problem: misfit };
  const after = nextState(run, parent.state, height, contributions, changes);
  const state = adopts ? openEpoch(run, { ...after, epoch: parent.state.epoch + 1 }) : after;
  if (!equals(header.root, stateRootOf(header.tensors, state, hash)))
    return { problem: 'block whose state root does not follow from its parent' };
  if (contributions.length === 0 && header.tensors !== parent.block.tensors)
    return { problem: 'block that changes θ without contributions' };
  const block: Block = {
    id,
    height,
    epoch: header.epoch,
    view: header.view,
    parent: header.parent,
    proposer: header.proposer,
    contributions,
    tensors: header.tensors,
    stateRoot: header.root,
    execution: executionOf(
      { run, members: memberPeers(parent.state), norms: parent.state.norms },
      header.parent,
      height,
      contributions,
    ),
  };
  return {
    record: {
      block,
      headerBytes,
      announcements,
      changes,
      state,
      next: adopts || changes.length > 0 ? { epoch: state.epoch, opened: id } : parent.next,
      terminal: adopts || changes.length > 0 || height === run.rounds,
      parent,
      root: contributions.length === 0 ? 'equal' : 'unknown',
      finality: undefined,
      opening: parent.block.id === parent.opening?.fork ? parent.opening : undefined,
      fork: adopts ? undefined : parent.fork,
    },
  };
}
