/** The own contributions: which one is pending, which will never enter a block. */
import { assert } from '@murmuration/base';
import { ancestorAt, type BlockRecord } from './block-record.ts';
import type { Contribution } from './index.ts';
import { headOf, type Machine, report } from './machine.ts';
import type { OwnContribution } from './machine-parts.ts';

/**
 * Whether an announcement is of this own work. Its delta tells: where a backup was put back, one delta may have two
 * announcements, of which only the newer one is known here.
 */
const isOf =
  ({ contribution: own }: OwnContribution) =>
  ({ author, blob }: Contribution): boolean =>
    author === own.author && blob === own.blob;

/** The own contribution that a block carries; an expired one, too: others may have kept what we gave up. */
export const ownIn = (machine: Machine, { block }: BlockRecord): Contribution | undefined =>
  block.contributions.find((contribution) =>
    [...machine.own.contributions.values()].some((own) => isOf(own)(contribution)),
  );

/**
 * Whether these blocks carry more own work than a snapshot in their place could take out of the local parameters: one
 * contribution that is still pending.
 */
export function carryMoreOwn(machine: Machine, records: readonly BlockRecord[]): boolean {
  const taken = [...machine.own.contributions.values()].filter((own) =>
    records.some(({ block }) => block.contributions.some(isOf(own))),
  );
  return taken.length > 1 || taken.some(({ expired }) => expired);
}

/** Whether a contribution is in a block of the chain that ends in `head`. */
export function isIncluded(head: BlockRecord, own: OwnContribution): boolean {
  let at: BlockRecord | undefined = head;
  while (at && at.block.height > own.contribution.baseHeight) {
    if (at.block.contributions.some(isOf(own))) return true;
    at = at.parent;
  }
  return false;
}

/** The oldest own contribution that waits for a block. */
export function pendingOwn(machine: Machine): OwnContribution | undefined {
  const head = headOf(machine);
  return [...machine.own.contributions.values()]
    .filter((own) => !own.expired && !isIncluded(head, own))
    .sort((a, b) => a.contribution.sequence - b.contribution.sequence)[0];
}

export function expireOwn(machine: Machine, own: OwnContribution): void {
  if (own.expired || isIncluded(headOf(machine), own)) return;
  own.expired = true;
  machine.out.rest.push({ kind: 'expire', contribution: own.contribution.cid, blob: own.contribution.blob });
  report(machine, { kind: 'expired', contribution: own.contribution.cid });
}

/**
 * After a block became final: own contributions that are in the final chain are done, those that cannot follow expire.
 */
export function settleOwn(machine: Machine): void {
  const { settled } = machine;
  for (const [sequence, own] of machine.own.contributions) {
    const { base, baseHeight } = own.contribution;
    if (baseHeight > settled.block.height) continue;
    const included = isIncluded(settled, own);
    const late = settled.block.height >= baseHeight + machine.rules.run.lateHeights;
    const ancestor = ancestorAt(settled, baseHeight);
    const forked = ancestor !== undefined && ancestor.block.id !== base;
    if (!included && (late || forked)) expireOwn(machine, own);
    if (!included && !late && !forked) continue;
    assert(included || own.expired, 'G4: own work is certified, or stays in the local parameters');
    machine.own.contributions.delete(sequence);
  }
}
