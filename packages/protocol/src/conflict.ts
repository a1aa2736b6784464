/**
 * Two histories. A final block that contradicts ours is shown by a quorum's certificate over it; or, where that is of
 * an epoch that we do not know, by so many voters who name another final block that one of them is honest. Neither
 * history is chosen: the peer says what it saw and stops.
 */
import type { PeerId } from '@murmuration/base';
import { ancestorAt, isSameBlock } from './block-record.ts';
import { checkCertificate } from './certificate.ts';
import { ProtocolError } from './errors.ts';
import type { BlockId, LedgerEntry } from './index.ts';
import { type DecodedEntry, decodeEntry } from './ledger-entry.ts';
import { epochIdOf, type Machine, report, tipOf, votersOf } from './machine.ts';
import { witnessesOf } from './roster.ts';
import { isSameEpoch } from './vote.ts';

/** Stops for good: two final blocks of one height. */
function stop(
  machine: Machine,
  height: number,
  ours: BlockId,
  theirs: BlockId,
  from: readonly PeerId[],
): void {
  if (machine.conflicted) return;
  machine.conflicted = true;
  report(machine, { kind: 'conflict', height, ours, theirs, from });
}

/** Whether voters, too many to be all liars, name another final block than ours. In `crash` runs nobody lies. */
export function noticeConflict(machine: Machine): boolean {
  const { run } = machine.rules;
  if (run.quorum !== 'byzantine' || machine.conflicted || machine.provisional) return false;
  const tip = tipOf(machine);
  const against = new Map<BlockId, PeerId[]>();
  for (const voter of votersOf(machine)) {
    const standing = machine.peers.get(voter);
    const ours = standing && ancestorAt(tip, standing.final);
    if (!ours || ours.block.id === standing.block) continue;
    against.set(standing.block, [...(against.get(standing.block) ?? []), voter]);
  }
  for (const [theirs, from] of against) {
    if (from.length < witnessesOf(run.quorum, votersOf(machine).length)) continue;
    const { height, id } =
      ancestorAt(tip, machine.peers.get(from[0] as PeerId)?.final ?? -1)?.block ?? tip.block;
    stop(machine, height, id, theirs, from);
    return true;
  }
  return false;
}

/** Looks whether entries that do not continue our chain are final all the same, by the voters of its epoch. */
export function noticeFork(machine: Machine, from: PeerId, entries: readonly LedgerEntry[]): void {
  const tip = tipOf(machine);
  const decoded = decodeAll(machine, entries);
  const start = decoded.findIndex(({ header }) => header.height === tip.block.height + 1);
  const first = decoded[start];
  if (!first || first.header.parent === tip.block.id) return;
  let parent = first.header.parent;
  for (const { header, id, certificate, opening } of decoded.slice(start)) {
    if (header.parent !== parent || opening) return;
    parent = id;
    if (!certificate) continue;
    const counts =
      certificate.choice === 'finalize' &&
      certificate.block === id &&
      isSameEpoch(certificate, epochIdOf(machine)) &&
      checkCertificate(certificate, machine.rules, tip.state) === undefined;
    if (counts) stop(machine, tip.block.height, tip.block.id, first.header.parent, [from]);
    return;
  }
}

/** Looks whether a checked finalize certificate of our epoch is over a known block that is not on our chain. */
export function noticeRival(machine: Machine, block: BlockId | undefined): void {
  const rival = block && machine.records.get(block);
  const tip = tipOf(machine);
  if (!rival || isSameBlock(rival, tip)) return;
  const height = Math.min(rival.block.height, tip.block.height);
  const ours = ancestorAt(tip, height);
  const theirs = ancestorAt(rival, height);
  if (ours && theirs && !isSameBlock(ours, theirs)) stop(machine, height, ours.block.id, theirs.block.id, []);
}

function decodeAll(machine: Machine, entries: readonly LedgerEntry[]): DecodedEntry[] {
  const decoded: DecodedEntry[] = [];
  for (const { bytes } of entries)
    try {
      decoded.push(decodeEntry(bytes, machine.rules.runDigest, machine.rules.hash));
    } catch (error) {
      if (error instanceof ProtocolError) break;
      throw error;
    }
  return decoded;
}
