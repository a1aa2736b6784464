/** Catching up by ledger entries, which are verified before anything else happens. */
import { assert, type PeerId } from '@murmuration/base';
import { type BlockRecord, buildRecord, electorOf } from './block-record.ts';
import { checkFinality } from './certificate.ts';
import { noticeConflict, noticeFork } from './conflict.ts';
import { derived } from './counted-map.ts';
import { syncDelayMs, syncRetryMaxMs, syncRetryMs, syncTimeoutMs } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import type { LedgerEntry } from './index.ts';
import { type DecodedEntry, decodeEntry } from './ledger-entry.ts';
import { classOf } from './lottery.ts';
import { epochOf, isStopped, type Machine, tipOf } from './machine.ts';
import { noticeOwnIn } from './memory.ts';
import { parentOf } from './opening.ts';
import { extendDecided } from './settle.ts';
import { aheadOf, mayHave, witnessedFinal } from './standing.ts';
import { descends } from './views.ts';

/**
 * The newest block of a recovery that goes on from our newest final block, while the block that adopts it is not here
 * yet.
 */
const bridgeOf = (machine: Machine): BlockRecord | undefined => {
  const { bridge } = machine;
  return bridge && descends(bridge, tipOf(machine)) ? bridge : undefined;
};

/** The highest final height that anybody ever claimed. */
const highestFinal: (machine: Machine) => number = derived(
  (machine) => [machine.peers.revision],
  ({ peers }) => {
    let highest = 0;
    for (const { final } of peers.values()) highest = Math.max(highest, final);
    return highest;
  },
);

/**
 * The highest final height that a member claims, or two others, and the highest that anybody does; without those that
 * just failed to show theirs.
 */
function claimedFinal(machine: Machine): { readonly likely: number; readonly highest: number } {
  let likely = 0;
  let highest = 0;
  for (const [peer, standing] of machine.peers) {
    if (standing.final <= likely || !mayHave(machine, standing)) continue;
    if (classOf(machine, peer) === 'member') likely = standing.final;
    else likely = Math.max(likely, Math.min(highest, standing.final));
    highest = Math.max(highest, standing.final);
  }
  return { likely, highest };
}

/**
 * Asks for entries when others are ahead: at once when by more than one block, else after a moment. What one peer alone
 * claims that is no member is asked for, too, but gives way to what others say. Returns the next check.
 */
export function considerSync(machine: Machine): number | undefined {
  const next = (bridgeOf(machine)?.block.height ?? tipOf(machine).block.height) + 1;
  const nobody = { likely: 0, highest: 0 };
  const { likely, highest } = highestFinal(machine) < next ? nobody : claimedFinal(machine);
  const { syncing } = machine;
  if (syncing) {
    const until = syncing.askedAt + syncTimeoutMs;
    const givesWay = !syncing.isLikely && likely >= next;
    if (machine.now < until && !givesWay) return until;
    if (machine.now >= until) markEmpty(machine, syncing.from.slice(0, 1));
    machine.syncing = undefined;
    if (machine.now >= until) return considerSync(machine);
  }
  if (highest < next || isStopped(machine)) {
    machine.behindSince = undefined;
    return isStopped(machine) ? undefined : nextRetry(machine, next);
  }
  machine.behindSince ??= machine.now;
  const at = highest > next ? machine.now : machine.behindSince + syncDelayMs;
  if (machine.now < at) return at;
  const from = aheadOf(machine, next);
  assert(from.length > 0, 'G7: who is behind asks somebody');
  machine.syncing = { askedAt: machine.now, from, isLikely: likely >= next };
  machine.behindSince = undefined;
  machine.out.rest.push({ kind: 'sync', fromHeight: next, from });
  return machine.now + syncTimeoutMs;
}

/** Whether a peer that knows that it is behind has asked, or has a time at which it asks next. */
export const catchesUp = (machine: Machine): boolean =>
  witnessedFinal(machine) <= tipOf(machine).block.height ||
  machine.syncing !== undefined ||
  machine.timers.has('sync') ||
  machine.bridge !== undefined ||
  isStopped(machine);

/** These peers are not asked again until they claim a higher height or a while has passed, longer each time. */
function markEmpty(machine: Machine, peers: readonly PeerId[]): void {
  for (const peer of peers) {
    const standing = machine.peers.get(peer);
    if (!standing) continue;
    const { failures } = standing;
    standing.failures++;
    standing.retryAt = machine.now + Math.min(syncRetryMaxMs, syncRetryMs * 2 ** Math.min(failures, 16));
  }
}

/** These peers had nothing when another one had: they are asked after the others until they have. */
function passOver(machine: Machine, peers: readonly PeerId[]): void {
  for (const peer of peers) {
    const standing = machine.peers.get(peer);
    if (standing) standing.failures = Math.max(1, standing.failures);
  }
}

/** When a peer that claims more than we have may be asked again, if time alone brings that. */
function nextRetry(machine: Machine, height: number): number | undefined {
  if (highestFinal(machine) < height) return undefined;
  let next: number | undefined;
  for (const { final, retryAt } of machine.peers.values())
    if (final >= height && retryAt > machine.now) next = Math.min(next ?? retryAt, retryAt);
  return next;
}

/**
 * Verifies entries that a peer sent and takes in those that a certificate covers. Those asked before it had none.
 */
export function onSynced(machine: Machine, from: PeerId, entries: readonly LedgerEntry[]): void {
  const asked = machine.syncing?.from ?? [];
  machine.syncing = undefined;
  const before = tipOf(machine).block.height;
  const bridgeBefore = bridgeOf(machine)?.block.height ?? before;
  const known = new Set(machine.records.keys());
  for (const entry of entries) if (!connect(machine, entry)) break;
  for (const [id, { block }] of machine.records)
    if (!known.has(id) && block.height > highestOf(machine)) machine.records.delete(id);
  passOver(machine, asked.slice(0, Math.max(0, asked.indexOf(from))));
  if (highestOf(machine) > bridgeBefore) forgive(machine, from);
  else {
    machine.bridge = undefined;
    noticeFork(machine, from, entries);
    markEmpty(machine, [from]);
  }
  noticeConflict(machine);
}

const highestOf = (machine: Machine): number => (bridgeOf(machine) ?? tipOf(machine)).block.height;

function forgive(machine: Machine, peer: PeerId): void {
  const standing = machine.peers.get(peer);
  if (standing) standing.failures = 0;
}

/** Entries that connect but have no certificate wait here, as records, for a later entry that has one. */
function connect(machine: Machine, { bytes }: LedgerEntry): boolean {
  let entry: DecodedEntry;
  try {
    entry = decodeEntry(bytes, machine.rules.runDigest, machine.rules.hash);
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
  const tip = tipOf(machine);
  if (entry.header.height <= tip.block.height) return true;
  const before = machine.records.get(entry.header.parent);
  if (!before || !descends(before, tip)) return false;
  const parent = parentOf(machine.rules, before, entry);
  if (typeof parent === 'string') return false;
  const ofEpoch = entry.header.epoch === epochOf(machine) || parent.fork || parent.opening;
  if (!ofEpoch) return false;
  const record = recordOf(machine, parent, entry);
  if (!record) return false;
  const { certificate } = entry;
  if (!certificate) return true;
  const { next, state } = electorOf(parent, record.block.epoch);
  if (checkFinality(certificate, machine.rules, record.block, next, state)) return false;
  noticeOwnIn(machine, certificate);
  const isProvisional = record.fork !== undefined && machine.provisional === undefined;
  if (!isProvisional) return takeIn(machine, record, certificate);
  machine.bridge = record;
  return true;
}

function recordOf(machine: Machine, parent: BlockRecord, entry: DecodedEntry): BlockRecord | undefined {
  const known = machine.records.get(entry.id);
  if (known) return known;
  const { record } = buildRecord(
    machine.rules,
    parent,
    entry.id,
    entry.header,
    entry.headerBytes,
    entry.announcements,
  );
  if (record) machine.records.set(entry.id, record);
  return record;
}

function takeIn(
  machine: Machine,
  record: BlockRecord,
  certificate: NonNullable<BlockRecord['finality']>,
): boolean {
  record.finality = certificate;
  extendDecided(machine, record, certificate.view);
  return true;
}
