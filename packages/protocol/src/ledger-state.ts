/** What the ledger says after a block, beside θ: a function of the blocks so far, hashed into every state root. */
import { type Cid, encodeCbor, merkleRoot, type PeerId, type RunConfig } from '@murmuration/base';
import { fromString } from 'uint8arrays/from-string';
import { normHistory } from './defaults.ts';
import type { Contribution } from './index.ts';
import type { Invitation } from './invitation.ts';
import type { Hash } from './statement.ts';
import { lowerMedian } from './weights.ts';

/** What one of the last blocks certified. */
export interface RecentBlock {
  readonly height: number;
  readonly contributions: readonly Cid[];
  readonly blobs: readonly Cid[];
  readonly authors: readonly PeerId[];
}

export interface LedgerState {
  /** The epoch to which the next block belongs. */
  readonly epoch: number;
  /** Members of that epoch, in the order in which they were admitted. */
  readonly roster: readonly PeerId[];
  /** Lower medians of member norms of the last blocks that had any, oldest first. */
  readonly norms: readonly number[];
  /** Tokens certified so far. */
  readonly tokens: number;
  /** Invitations used so far: whom each admitted, and at which height. */
  readonly admitted: readonly { readonly guest: PeerId; readonly height: number }[];
  /** The last `lateHeights` blocks, oldest first: nothing in them may be certified again. */
  readonly recent: readonly RecentBlock[];
}

export const genesisState = (run: RunConfig): LedgerState => ({
  epoch: 0,
  roster: run.founders,
  norms: [],
  tokens: 0,
  admitted: [],
  recent: [],
});

export function nextState(
  run: RunConfig,
  state: LedgerState,
  height: number,
  contributions: readonly Contribution[],
  invitation: Invitation | undefined,
): LedgerState {
  const members = new Set(state.roster);
  const norm = lowerMedian(
    contributions.filter(({ author }) => members.has(author)).map((contribution) => contribution.norm),
  );
  const recent: RecentBlock = {
    height,
    contributions: contributions.map(({ cid }) => cid),
    blobs: contributions.map(({ blob }) => blob),
    authors: contributions.map(({ author }) => author),
  };
  return {
    epoch: invitation ? state.epoch + 1 : state.epoch,
    roster: invitation ? [...state.roster, invitation.guest] : state.roster,
    norms: norm === undefined ? state.norms : [...state.norms, norm].slice(-normHistory),
    tokens: contributions.reduce((sum, { tokens }) => sum + tokens, state.tokens),
    admitted: invitation ? [...state.admitted, { guest: invitation.guest, height }] : state.admitted,
    recent: [...state.recent, recent].slice(-run.lateHeights),
  };
}

/** Merkle root of θ's name and of the ledger state: what peers compare. */
export const stateRootOf = (tensors: Cid, state: LedgerState, hash: Hash): Uint8Array =>
  merkleRoot([fromString(tensors), encodeCbor(state)], hash);
