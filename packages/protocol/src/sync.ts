/** Catching up by ledger entries, which are verified before anything else happens. */
import type { PeerId } from '@murmuration/base';
import { type BlockRecord, buildRecord } from './block-record.ts';
import { checkCertificate } from './certificate.ts';
import { syncDelayMs, syncRetryMaxMs, syncRetryMs, syncTimeoutMs } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import type { LedgerEntry } from './index.ts';
import { type DecodedEntry, decodeEntry } from './ledger-entry.ts';
import { epochOf, type Machine, tipOf } from './machine.ts';
import { extendDecided } from './settle.ts';
import { aheadOf, mayHave } from './standing.ts';

/** The highest final height that somebody (of these peers) claims. */
export const claimedFinal = (machine: Machine, of?: readonly PeerId[]): number =>
  Math.max(
    0,
    ...[...machine.peers]
      .filter(([peer, standing]) => mayHave(machine, standing) && (!of || of.includes(peer)))
      .map(([, { final }]) => final),
  );

/** Asks for entries when others are ahead: at once when by more than one block, else after a moment. Returns the next check. */
export function considerSync(machine: Machine): number | undefined {
  const next = tipOf(machine).block.height + 1;
  const claimed = claimedFinal(machine);
  if (machine.syncing) {
    const until = machine.syncing.askedAt + syncTimeoutMs;
    if (machine.now < until) return until;
    markEmpty(machine, machine.syncing.from.slice(0, 1));
    machine.syncing = undefined;
  }
  if (claimed < next || machine.diverged) {
    machine.behindSince = undefined;
    return machine.diverged ? undefined : nextRetry(machine, next);
  }
  machine.behindSince ??= machine.now;
  const at = claimed > next ? machine.now : machine.behindSince + syncDelayMs;
  if (machine.now < at) return at;
  const from = aheadOf(machine, next);
  if (from.length === 0) return undefined;
  machine.syncing = { askedAt: machine.now, from };
  machine.behindSince = undefined;
  machine.out.rest.push({ kind: 'sync', fromHeight: next, from });
  return machine.now + syncTimeoutMs;
}

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

/** When a peer that claims more than we have may be asked again, if time alone brings that. */
const nextRetry = (machine: Machine, height: number): number | undefined => {
  const times = [...machine.peers.values()]
    .filter(({ final, retryAt }) => final >= height && retryAt > machine.now)
    .map(({ retryAt }) => retryAt);
  return times.length > 0 ? Math.min(...times) : undefined;
};

/** Verifies entries that a peer sent and takes in those that a certificate covers. */
export function onSynced(machine: Machine, from: PeerId, entries: readonly LedgerEntry[]): void {
  machine.syncing = undefined;
  const before = tipOf(machine).block.height;
  const known = new Set(machine.records.keys());
  for (const entry of entries) if (!connect(machine, entry)) break;
  for (const [id, { block }] of machine.records)
    if (!known.has(id) && block.height > tipOf(machine).block.height) machine.records.delete(id);
  if (tipOf(machine).block.height === before) markEmpty(machine, [from]);
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
  const parent = machine.records.get(entry.header.parent);
  const ofEpoch = entry.header.epoch === epochOf(machine);
  if (!ofEpoch || !parent || parent.block.height < tip.block.height) return false;
  const record = recordOf(machine, parent, entry);
  if (!record) return false;
  const { certificate } = entry;
  if (!certificate) return true;
  return certifies(machine, record, parent, certificate) && takeIn(machine, record, certificate);
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

/** Whether a certificate proves that the block is final: a quorum of its epoch, at its view or (proposed again) later. */
function certifies(
  machine: Machine,
  record: BlockRecord,
  parent: BlockRecord,
  certificate: NonNullable<BlockRecord['finality']>,
): boolean {
  const { runDigest, run, verify } = machine.rules;
  return (
    certificate.choice === 'finalize' &&
    certificate.block === record.block.id &&
    certificate.epoch === record.block.epoch &&
    certificate.view >= record.block.view &&
    checkCertificate(certificate, runDigest, parent.state.roster, run.quorum, verify) === undefined
  );
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
