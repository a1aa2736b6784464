/** What the ledger says after a block, beside θ: a function of the blocks so far, hashed into every state root. */
import { type Cid, encodeCbor, merkleRoot, type PeerId, type RunConfig } from '@murmuration/base';
import { fromString } from 'uint8arrays/from-string';
import { applyChange, type Change } from './change.ts';
import { once } from './counted-map.ts';
import { guestsKept, normHistory } from './defaults.ts';
import type { Contribution } from './index.ts';
import { chooseVoters } from './roster.ts';
import type { Hash } from './statement.ts';
import { lowerMedian } from './weights.ts';

/** What one of the last blocks certified. */
interface RecentBlock {
  readonly height: number;
  readonly contributions: readonly Cid[];
  readonly blobs: readonly Cid[];
  readonly authors: readonly PeerId[];
}

export interface Member {
  readonly peer: PeerId;
  /** The Ed25519 key (as a peer id) that its votes and proposals are signed with; at first its own. */
  readonly key: PeerId;
  /** How often that key was renewed. */
  readonly renewed: number;
  /** Height of the block that took that key; 0 for founders. */
  readonly keySince: number;
  /** Height of the block that admitted it; 0 for founders. */
  readonly since: number;
  /** Height of the newest block with a contribution of it, or `since`. */
  readonly contributed: number;
  /** The newest epoch in which it was a voter; −1: none yet. */
  readonly voted: number;
  /** Its certified tokens, those from before its admission included. */
  readonly tokens: number;
}

/** A peer that is no member: it was in certified rounds, was invited as a guest, or was a member once. */
export interface Guest {
  readonly peer: PeerId;
  /** Certified rounds since it was a member last. */
  readonly rounds: number;
  /** All its certified tokens. */
  readonly tokens: number;
  /** Height of the newest block that knew of it. */
  readonly seen: number;
  /** The founders invited it, or it was a member: it goes before others, and is forgotten after them. */
  readonly vouched: boolean;
}

/** How often an invitation, named by the CID of its terms, admitted its peer. */
interface InvitationUse {
  readonly invitation: Cid;
  readonly expires: number;
  readonly uses: number;
}

export interface LedgerState {
  /** The epoch to which the next block belongs. */
  readonly epoch: number;
  /** Members of that epoch, in the order in which they were admitted. */
  readonly members: readonly Member[];
  /** Those of them that vote in it, in the same order. */
  readonly voters: readonly PeerId[];
  /** By the height at which they were seen, the oldest first. */
  readonly guests: readonly Guest[];
  /** Who contradicted its own signature: never a member again, and no contribution of it counts. Sorted. */
  readonly convicted: readonly PeerId[];
  readonly invitations: readonly InvitationUse[];
  /** Lower medians of member norms of the last blocks that had any, oldest first. */
  readonly norms: readonly number[];
  /** Tokens certified so far. */
  readonly tokens: number;
  /** The last `lateHeights` blocks, oldest first: nothing in them may be certified again. */
  readonly recent: readonly RecentBlock[];
  /** The last openings that the chain went on by, oldest first. */
  readonly recoveries: readonly Recovery[];
}

/** An opening, named by its CID, that blocks above a height follow from. */
export interface Recovery {
  readonly opening: Cid;
  readonly height: number;
  readonly authority: 'survivors' | 'founders';
}

export const memberOf = (state: Pick<LedgerState, 'members'>, peer: PeerId): Member | undefined =>
  state.members.find((member) => member.peer === peer);

/** Whom a member's votes are signed by. */
export const keyOf = (state: Pick<LedgerState, 'members'>, peer: PeerId): PeerId | undefined =>
  memberOf(state, peer)?.key;

const peersOf = once((members: LedgerState['members']): readonly PeerId[] => members.map(({ peer }) => peer));

export const memberPeers = ({ members }: LedgerState): readonly PeerId[] => peersOf(members);

/** Contributions and blobs of the last `lateHeights` blocks. */
export const recentNames: (state: LedgerState) => ReadonlySet<Cid> = once(
  ({ recent }) => new Set(recent.flatMap(({ contributions, blobs }) => [...contributions, ...blobs])),
);

/** Authors of the last `lateHeights` blocks. */
export const recentAuthors: (state: LedgerState) => ReadonlySet<PeerId> = once(
  ({ recent }) => new Set(recent.flatMap(({ authors }) => authors)),
);

/** The state with the voters of its epoch, which its members begin. */
export function openEpoch(run: RunConfig, state: LedgerState): LedgerState {
  const voters = chooseVoters(state.members, run.membership.votersMax);
  const chosen = new Set(voters);
  const members = state.members.map((member) =>
    chosen.has(member.peer) ? { ...member, voted: state.epoch } : member,
  );
  return { ...state, members, voters };
}

export const genesisState = (run: RunConfig): LedgerState =>
  openEpoch(run, {
    epoch: 0,
    members: run.founders.map((peer) => ({
      peer,
      key: peer,
      renewed: 0,
      keySince: 0,
      since: 0,
      contributed: 0,
      voted: -1,
      tokens: 0,
    })),
    voters: [],
    guests: [],
    convicted: [],
    invitations: [],
    norms: [],
    tokens: 0,
    recent: [],
    recoveries: [],
  });

/** As many guests as the ledger keeps: the oldest go, those that nobody vouched for first. */
export function keepGuests(guests: readonly Guest[]): Guest[] {
  let surplus = Math.max(0, guests.length - guestsKept);
  const kept = guests.filter(({ vouched }) => vouched || surplus-- <= 0);
  return kept.slice(-guestsKept);
}

/** Counts a round and its tokens for the guests among its authors. */
function countGuests(
  { guests, members }: LedgerState,
  tokensOf: ReadonlyMap<PeerId, number>,
  height: number,
): Guest[] {
  const known = new Set(members.map(({ peer }) => peer));
  const before = new Map(guests.map((guest) => [guest.peer, guest]));
  const seen = [...tokensOf]
    .filter(([author]) => !known.has(author))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([peer, tokens]) => {
      const guest = before.get(peer);
      const { rounds, tokens: earlier, vouched } = guest ?? { rounds: 0, tokens: 0, vouched: false };
      return { peer, rounds: rounds + 1, tokens: earlier + tokens, seen: height, vouched };
    });
  return keepGuests([...guests.filter(({ peer }) => !tokensOf.has(peer)), ...seen]);
}

/** The state after a block of this height. Its contributions and changes were checked against `state`. */
export function nextState(
  run: RunConfig,
  state: LedgerState,
  height: number,
  contributions: readonly Contribution[],
  changes: readonly Change[],
): LedgerState {
  const tokensOf = new Map(contributions.map(({ author, tokens }) => [author, tokens]));
  const norm = lowerMedian(
    contributions.filter(({ author }) => memberOf(state, author)).map((contribution) => contribution.norm),
  );
  const recent: RecentBlock = {
    height,
    contributions: contributions.map(({ cid }) => cid),
    blobs: contributions.map(({ blob }) => blob),
    authors: contributions.map(({ author }) => author),
  };
  const after: LedgerState = {
    ...state,
    members: state.members.map((member) => {
      const tokens = tokensOf.get(member.peer);
      return tokens === undefined
        ? member
        : { ...member, contributed: height, tokens: member.tokens + tokens };
    }),
    guests: countGuests(state, tokensOf, height),
    invitations: state.invitations.filter(({ expires }) => expires > height),
    norms: norm === undefined ? state.norms : [...state.norms, norm].slice(-normHistory),
    tokens: contributions.reduce((sum, { tokens }) => sum + tokens, state.tokens),
    recent: [...state.recent, recent].slice(-run.lateHeights),
  };
  if (changes.length === 0) return after;
  const changed = changes.reduce((current, change) => applyChange(current, change, height), after);
  return openEpoch(run, { ...changed, epoch: state.epoch + 1 });
}

/**
 * The parts of a state in the order in which they are hashed, each a leaf, so that one can be shown without the others.
 */
const parts = [
  'epoch',
  'members',
  'voters',
  'guests',
  'convicted',
  'invitations',
  'norms',
  'tokens',
  'recent',
  'recoveries',
] as const satisfies readonly (keyof LedgerState)[];

export type StatePart = (typeof parts)[number];

/** Leaves of a state, and the place of a part's among them. */
export const stateLeafCount: number = parts.length + 1;
export const leafOf = (part: StatePart): number => parts.indexOf(part) + 1;

/** What is hashed into a state root: θ's name, then every part of the ledger state with its name. */
export const stateLeaves = (tensors: Cid, state: LedgerState): readonly Uint8Array[] => [
  fromString(tensors),
  ...parts.map((part) => encodeCbor([part, state[part]])),
];

/** Merkle root (RFC 6962) of θ's name and of the ledger state: what peers compare. */
export const stateRootOf = (tensors: Cid, state: LedgerState, hash: Hash): Uint8Array =>
  merkleRoot(stateLeaves(tensors, state), hash);
