import { type BlockRecord, electorOf, isSameBlock } from './block-record.ts';
import { type Machine, tipOf } from './machine.ts';
import type { Proposal } from './statement.ts';
import { descends, notarizedAt } from './views.ts';

/**
 * The notarized block that a proposal builds on (or proposes again), if the proposal may be voted for: the view that it
 * names notarized that block, and every view between is skipped. `undefined` while a certificate is missing, too.
 */
export function justifiedBase(
  machine: Machine,
  proposal: Proposal,
  record: BlockRecord,
): BlockRecord | undefined {
  if (proposal.after < machine.floor) return undefined;
  for (let view = proposal.after + 1; view < proposal.view; view++)
    if (!machine.views.get(view)?.skipped) return undefined;
  const base = notarizedAt(machine, proposal.after);
  if (!base || !descends(base, tipOf(machine))) return undefined;
  const again = base.terminal && !isSameBlock(base, tipOf(machine));
  const followed = record.parent && electorOf(record.parent, record.block.epoch);
  return isSameBlock(again ? record : followed, base) ? base : undefined;
}
