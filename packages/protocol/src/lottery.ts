/**
 * Identities are free, so whoever costs us work has a class, and the classes have shares:
 *
 *   member    of the ledger; always first
 *   guest     known to the ledger (invited, certified before, a member once), or invited and about to be admitted
 *   stranger  anybody else
 *
 * Guests come in the order of what the ledger says of them, so that making new identities gains nothing against them.
 * Strangers share a tenth, and among equals the lot decides: a hash of the newest final block and the peer, the same on
 * every peer, another one in every round. It is no defence of the strangers against each other: who makes identities by
 * the thousand draws by the thousand. Who must get in asks for an invitation.
 */
import { type Cid, encodeCbor, type PeerId } from '@murmuration/base';
import { lotsMax } from './defaults.ts';
import type { Guest, LedgerState } from './ledger-state.ts';
import { keepAtMost, type Machine, tipOf } from './machine.ts';
import type { Hash } from './statement.ts';

/** How well the ledger knows a peer. */
export type PeerClass = 'member' | 'guest' | 'stranger';

type Known = 'member' | Guest;

const indexes = new WeakMap<LedgerState, ReadonlyMap<PeerId, Known>>();

/** Whom a state knows; made once per state, since every message asks. */
function knownIn(state: LedgerState): ReadonlyMap<PeerId, Known> {
  const known = indexes.get(state);
  if (known) return known;
  const index = new Map<PeerId, Known>([
    ...state.guests.map((guest) => [guest.peer, guest] as const),
    ...state.members.map(({ peer }) => [peer, 'member'] as const),
  ]);
  indexes.set(state, index);
  return index;
}

const isInvited = (machine: Machine, peer: PeerId): boolean =>
  machine.changes.size > 0 && machine.changes.has(`admit/${peer}`);

/** The class of a peer by the newest final block and the invitations that wait for a block. */
export function classOf(machine: Machine, peer: PeerId): PeerClass {
  const known = knownIn(tipOf(machine).state).get(peer);
  if (known === 'member') return known;
  return known || isInvited(machine, peer) ? 'guest' : 'stranger';
}

/** A peer's lot in the round after a block: 64 hex digits; the smallest wins. */
export const lotOf = (block: Cid, peer: PeerId, hash: Hash): string =>
  Array.from(hash(encodeCbor([block, peer])), (byte) => byte.toString(16).padStart(2, '0')).join('');

interface Rank {
  /** 0: the founders vouched for it; 1: others that the ledger knows; 2: strangers. */
  readonly tier: number;
  readonly rounds: number;
  readonly lot: string;
}

function lotIn({ budget, settled, rules }: Machine, peer: PeerId): string {
  const lot = budget.lots.get(peer) ?? lotOf(settled.block.id, peer, rules.hash);
  budget.lots.set(peer, lot);
  keepAtMost(budget.lots, lotsMax);
  return lot;
}

/** Where a peer that is no member comes among the others: vouched for, then longest certified, then by lot. */
export function rankOf(machine: Machine, peer: PeerId): Rank {
  const known = knownIn(tipOf(machine).state).get(peer);
  const guest = known === 'member' ? undefined : known;
  const isVouched = guest?.vouched || isInvited(machine, peer);
  return {
    tier: isVouched ? 0 : guest ? 1 : 2,
    rounds: guest?.rounds ?? 0,
    lot: lotIn(machine, peer),
  };
}

/** Sorts ranks, the best first. */
const byRank = (a: Rank, b: Rank): number =>
  a.tier - b.tier || b.rounds - a.rounds || (a.lot < b.lot ? -1 : a.lot > b.lot ? 1 : 0);

/** Things of peers in the order of these peers' ranks. */
export const inOrder = <Item>(
  machine: Machine,
  items: readonly Item[],
  peerOf: (item: Item) => PeerId,
): Item[] =>
  items
    .map((item) => ({ item, rank: rankOf(machine, peerOf(item)) }))
    .sort((a, b) => byRank(a.rank, b.rank))
    .map(({ item }) => item);
