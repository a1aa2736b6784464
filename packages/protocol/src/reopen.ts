/** A founders' opening: the regular chain goes on from its newest final block with another roster, and says so. */
import { undoAll } from './follow.ts';
import { reportRecovery } from './gather.ts';
import { noteOpening } from './known-openings.ts';
import { type Machine, report } from './machine.ts';
import { noteRekeys } from './memory.ts';
import {
  encodeOpening,
  misplacedOpening,
  type Opening,
  openedRecord,
  openingName,
  signaturesMissing,
} from './opening.ts';
import { openViews } from './settle.ts';

const founded = (machine: Machine): Opening | undefined =>
  [...machine.openings.values()].find(
    (opening) =>
      opening.authority === 'founders' &&
      signaturesMissing(opening, machine.rules.run) === 0 &&
      !misplacedOpening(opening, machine.settled),
  );

/** Takes what the driver was given, once we stand at its block; tells when the run has gone on without it. */
function takeGiven(machine: Machine): void {
  const { given, settled } = machine;
  if (!given || given.height > settled.block.height) return;
  machine.given = undefined;
  if (misplacedOpening(given, settled) === undefined) {
    noteOpening(machine, given);
    return;
  }
  const name = openingName(given);
  if (settled.state.recoveries.some(({ opening }) => opening === name)) return;
  reportRecovery(machine, given, 'overtaken', given.height);
}

/** Goes on by an opening that enough founders signed. Returns whether it did. */
export function reopen(machine: Machine): boolean {
  if (machine.decided.length > 0 || machine.installing || machine.diverged || machine.provisional)
    return false;
  takeGiven(machine);
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
  noteRekeys(machine, machine.settled);
  machine.plan = undefined;
  openViews(machine, before.next.epoch, -1);
  machine.progressAt = machine.now;
  reportRecovery(machine, opening, 'reopened', height);
  for (const { peer } of before.state.members)
    if (!opening.listed.includes(peer))
      report(machine, { kind: 'retired', peer, epoch: machine.settled.state.epoch, reason: 'reopened' });
  return true;
}
