/** A founders' opening: the regular chain goes on from its newest final block with another roster, and says so. */
import { undoAll } from './follow.ts';
import { noteOpening, reportRecovery } from './gather.ts';
import { type Machine, report } from './machine.ts';
import { encodeOpening, misplacedOpening, type Opening, openedRecord, signaturesMissing } from './opening.ts';
import { openViews } from './settle.ts';

const founded = (machine: Machine): Opening | undefined =>
  [...machine.openings.values()].find(
    (opening) =>
      opening.authority === 'founders' &&
      signaturesMissing(opening, machine.rules.run) === 0 &&
      !misplacedOpening(opening, machine.settled),
  );

/** Goes on by an opening that enough founders signed. Returns whether it did. */
export function reopen(machine: Machine): boolean {
  if (machine.decided.length > 0 || machine.installing || machine.diverged || machine.provisional)
    return false;
  const { given } = machine;
  if (given && !misplacedOpening(given, machine.settled)) {
    noteOpening(machine, given);
    machine.given = undefined;
  }
  const opening = machine.openings.size > 0 ? founded(machine) : undefined;
  if (!opening) return false;
  undoAll(machine);
  const bytes = encodeOpening(opening);
  const { height } = opening;
  const record = { key: 'reopened', height: height + 1, bytes };
  machine.out.persist.push({ kind: 'persist', record });
  const before = machine.settled;
  machine.settled = openedRecord(machine.rules, before, opening);
  machine.records.set(before.block.id, machine.settled);
  openViews(machine, before.next.epoch, -1);
  machine.progressAt = machine.now;
  reportRecovery(machine, opening, 'reopened', height);
  for (const { peer } of before.state.members)
    if (!opening.listed.includes(peer))
      report(machine, { kind: 'retired', peer, epoch: machine.settled.state.epoch, reason: 'reopened' });
  return true;
}
