/** A block that connects to our chain, checked against its parent by every rule that needs no θ. */
import { type Cid, cidOfDigest, encodeCbor, type PeerId, type RunConfig } from '@murmuration/base';
import type { Certificate } from './certificate.ts';
import { rosterMax } from './defaults.ts';
import { equalBytes } from './fields.ts';
import { genesisBlockId, type Header, invitationOf } from './header.ts';
import type { Block, BlockId, Contribution } from './index.ts';
import { checkInvitation } from './invitation.ts';
import { genesisState, type LedgerState, nextState, stateRootOf } from './ledger-state.ts';
import type { Hash } from './statement.ts';
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
  /** The ledger state after the block. */
  readonly state: LedgerState;
  /** Later views may only propose this block again until it is final: it ends the epoch or the run. */
  readonly terminal: boolean;
  /** Cut off a few blocks below the newest final one. */
  parent: BlockRecord | undefined;
  /** Whether our own execution gave the header's `tensors`. */
  root: 'unknown' | 'equal' | 'different';
  /** The quorum of finalize votes, unless a descendant's makes this block final. */
  finality: Certificate | undefined;
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
      execution: executionOf({ run, roster: state.roster, norms: [] }, id, 0, []),
    },
    headerBytes: new Uint8Array(),
    announcements: [],
    state,
    terminal: false,
    parent: undefined,
    root: 'equal',
    finality: undefined,
  };
}

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
  if (contribution.blobBytes > run.delta.blobBytesMax) return 'contribution with a blob that is too long';
  const again = parent.state.recent.some(
    ({ contributions, blobs }) =>
      contributions.includes(contribution.cid) || blobs.includes(contribution.blob),
  );
  return again ? 'contribution that is certified already' : undefined;
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
  const members = contributions.filter(({ author }) => parent.state.roster.includes(author)).length;
  if (contributions.length > 0 && members === 0) return 'block without a contribution of a member';
  if (contributions.length > members && run.aggregation.guestShare === 0)
    return 'block with guests in a run that gives them no weight';
  for (const contribution of contributions) {
    const problem = checkContribution(run, parent, contribution);
    if (problem) return problem;
  }
  return undefined;
}

function checkAdmission(rules: Rules, parent: BlockRecord, header: Header): string | undefined {
  const invitation = invitationOf(header);
  if (!invitation) return undefined;
  const { roster, admitted } = parent.state;
  if (header.height > invitation.expires) return 'block with an expired invitation';
  if (roster.includes(invitation.guest)) return 'block that admits a member';
  if (admitted.some(({ guest }) => guest === invitation.guest)) return 'block with a used invitation';
  if (roster.length >= rosterMax) return 'block that admits to a full roster';
  return checkInvitation(invitation, rules.run, rules.runId, rules.verify);
}

export type Built =
  | { readonly record: BlockRecord; readonly problem?: undefined }
  | { readonly record?: undefined; readonly problem: string };

/** Checks a block against its parent and builds its record. The signatures of the announcements are the caller's business. */
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
  if (!equalBytes(header.run, rules.runDigest)) return { problem: 'block of another run' };
  if (header.parent !== parent.block.id || header.height !== height || height > run.rounds)
    return { problem: `block of height ${header.height} on one of height ${parent.block.height}` };
  if (header.epoch !== parent.state.epoch)
    return { problem: `block of epoch ${header.epoch}, expected ${parent.state.epoch}` };
  if (parent.block.epoch === header.epoch && header.view <= parent.block.view)
    return { problem: 'block of a view not after its parent' };
  if (listBytes.length !== header.listBytes || listCid(listBytes, hash) !== header.list)
    return { problem: 'block whose list has another name' };
  const problem = checkList(run, parent, contributions) ?? checkAdmission(rules, parent, header);
  if (problem) return { problem };
  const state = nextState(run, parent.state, height, contributions, invitationOf(header));
  if (!equalBytes(header.root, stateRootOf(header.tensors, state, hash)))
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
      { run, roster: parent.state.roster, norms: parent.state.norms },
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
      state,
      terminal: header.invitation !== undefined || height === run.rounds,
      parent,
      root: contributions.length === 0 ? 'equal' : 'unknown',
      finality: undefined,
    },
  };
}
