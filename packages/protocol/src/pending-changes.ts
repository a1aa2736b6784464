/** Changes of the roster that somebody signed, or that the ledger itself calls for, until a block carries them. */
import { convictions } from './accuse.ts';
import type { BlockRecord } from './block-record.ts';
import { type Change, checkChanges, decodeChange, encodeChange, staleChange } from './change.ts';
import { changesMax, keepUpBlocks, rekeyEvery, requestsMax } from './defaults.ts';
import type { DurableRecord } from './index.ts';
import { inOrder } from './lottery.ts';
import { headOf, type Machine, tipOf } from './machine.ts';
import { parseRequest } from './request.ts';
import { ownRekey, ownRequests } from './sign.ts';

const keyOfChange = ({ kind, peer }: Change): string => `${kind}/${peer}`;

/** Why a change cannot be in the block after the newest final one. */
export const stalenessOf = (machine: Machine, change: Change): string | undefined => {
  const { state, block } = tipOf(machine);
  return staleChange(change, machine.rules, state, block.height + 1);
};

export const knowsChange = (machine: Machine, change: Change): boolean =>
  machine.changes.has(keyOfChange(change));

/** Keeps a checked change until a block carries it. Returns whether there was room. */
export function noteChange(machine: Machine, change: Change, statement: Uint8Array): boolean {
  if (machine.changes.size >= requestsMax) return false;
  machine.changes.set(keyOfChange(change), { change, statement });
  if (change.kind === 'rekey') {
    const height = tipOf(machine).block.height + 2 * rekeyEvery;
    const record = { key: `rekey/${change.peer}`, height, bytes: statement };
    machine.out.persist.push({ kind: 'persist', record });
  }
  return true;
}

/** Renewals of vote keys that earlier lives heard of: founders who reopen a run with this peer's folder need them. */
export function restoreRenewals(machine: Machine, records: readonly DurableRecord[]): void {
  for (const { key, bytes } of records) {
    if (!key.startsWith('rekey/')) continue;
    const change = changeOf('rekey', bytes);
    if (!stalenessOf(machine, change)) noteChange(machine, change, bytes);
  }
}

/** All known renewals that wait for a block, ours among them. */
export function renewalsOf(machine: Machine): readonly Uint8Array[] {
  const own = ownRekey(machine);
  const heard = [...machine.changes.values()].flatMap(({ change }) =>
    change.kind === 'rekey' && change.peer !== machine.init.self ? [change.request.bytes] : [],
  );
  return own ? [own.bytes, ...heard] : heard;
}

/** Drops what a settled block has made needless or impossible. */
export function sweepChanges(machine: Machine): void {
  for (const [key, { change }] of machine.changes)
    if (stalenessOf(machine, change)) machine.changes.delete(key);
}

/** Members that were silent for too long. */
function silentIn(machine: Machine, { state, block }: BlockRecord): Change[] {
  const { silentAfter } = machine.rules.run.membership;
  return state.members
    .filter(({ contributed }) => silentAfter > 0 && block.height + 1 - contributed > silentAfter)
    .map(({ peer }) => ({ kind: 'silent', peer, value: peer }));
}

/** Guests that have earned membership, the best in rank first. */
function earnedIn(machine: Machine, { state, block }: BlockRecord): Change[] {
  const changes = state.guests
    .map(({ peer }): Change => ({ kind: 'earned', peer, value: peer }))
    .filter((change) => !staleChange(change, machine.rules, state, block.height + 1));
  return inOrder(machine, changes, ({ peer }) => peer);
}

/** What we ask for ourselves, when it is our turn to propose. */
const ownChanges = (machine: Machine): Change[] =>
  ownRequests(machine).map((bytes) => changeOf(parseRequest(bytes).kind, bytes));

/** Who is invited and still catching up would only slow the epoch down. Who has earned it shows that it is there. */
const isReadyFor = (machine: Machine, { kind, peer }: Change): boolean =>
  kind !== 'admit' || (machine.peers.get(peer)?.final ?? -1) >= machine.settled.block.height - keepUpBlocks;

/** The changes that the next block on the head may carry in `bytesMax`: one per peer, sorted, only on a final head. */
export function chooseChanges(machine: Machine, bytesMax: number): readonly Change[] {
  const head = headOf(machine);
  const height = head.block.height + 1;
  if (machine.provisional || head !== tipOf(machine) || height >= machine.rules.run.rounds) return [];
  const signed = [...machine.changes.values()].map(({ change }) => change);
  let chosen: readonly Change[] = [];
  const take = (added: readonly Change[]): boolean => {
    const together = sorted([...chosen, ...added]);
    const bytes = together.reduce((sum, change) => sum + encodeChange(change).length, 0);
    const fits = together.length <= changesMax && bytes <= bytesMax;
    if (!fits || checkChanges(together, machine.rules, head.state, height)) return false;
    chosen = together;
    return true;
  };
  for (const change of [
    ...convictions(machine),
    ...ownChanges(machine),
    ...signed,
    ...silentIn(machine, head),
  ])
    if (isReadyFor(machine, change)) take([change]);
  const earned = earnedIn(machine, head).slice(0, changesMax);
  for (let count = earned.length; count > 0 && !take(earned.slice(0, count)); count--);
  return chosen;
}

const sorted = (changes: readonly Change[]): Change[] =>
  [...changes].sort((a, b) => (a.peer < b.peer ? -1 : 1));

/** Reads the change that a statement asks for. */
export const changeOf = (kind: 'admit' | 'leave' | 'rekey' | 'convict', value: Uint8Array): Change =>
  decodeChange(encodeChange({ kind, value } as Change));
