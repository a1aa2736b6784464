/** When a round closes: which members we wait for, and how long. Ready latches per head. */
import type { PeerId } from '@murmuration/base';
import { depthMax } from './defaults.ts';
import { headOf, type Machine, rosterOf, tipOf } from './machine.ts';
import { includable } from './pool.ts';

/** Members that contributed to one of the last blocks; all of them where there are too few blocks to tell. */
export function expectedMembers(machine: Machine): readonly PeerId[] {
  const { recent } = headOf(machine).state;
  const roster = rosterOf(machine);
  const lately = new Set(recent.flatMap(({ authors }) => authors));
  const expected = roster.filter((member) => lately.has(member));
  return recent.length < machine.rules.run.lateHeights || expected.length === 0 ? roster : expected;
}

/** Whether finality is so far behind, or an epoch so near its end, that there is nothing to wait for. */
export const isUrgent = (machine: Machine): boolean => {
  const head = headOf(machine);
  const depth = head.block.height - tipOf(machine).block.height;
  return depth >= depthMax || (depth > 0 && head.terminal);
};

/** Whether the run has no block left to propose after the head. */
export const isOver = (machine: Machine): boolean => tipOf(machine).block.height >= machine.rules.run.rounds;

function restart(machine: Machine): void {
  machine.roundOf = headOf(machine).block.id;
  machine.roundStartedAt = machine.now;
  machine.twoThirdsAt = undefined;
  machine.readyAt = undefined;
  machine.viewDeadline = undefined;
  machine.plan = undefined;
}

/** Latches readiness for the current head. Returns whether it did so now. */
export function latchReady(machine: Machine): boolean {
  const behind = machine.decided.length > 0 || machine.installing !== undefined;
  const eased = machine.readyAt !== undefined && machine.readyUrgently && !isUrgent(machine);
  if (eased || machine.roundOf !== headOf(machine).block.id) restart(machine);
  if (machine.readyAt !== undefined || behind || isOver(machine)) return false;
  if (!isUrgent(machine) && !hasEnough(machine)) return false;
  machine.readyAt = machine.now;
  machine.readyUrgently = isUrgent(machine);
  return true;
}

function hasEnough(machine: Machine): boolean {
  const { graceMs, durationMaxMs } = machine.rules.run.round;
  const expected = expectedMembers(machine);
  const roster = rosterOf(machine);
  const authors = new Set(
    includable(machine, headOf(machine))
      .map(({ contribution }) => contribution.author)
      .filter((author) => roster.includes(author)),
  );
  const arrived = expected.filter((member) => authors.has(member)).length;
  if (3 * arrived >= 2 * expected.length) machine.twoThirdsAt ??= machine.now;
  return (
    arrived === expected.length ||
    (machine.twoThirdsAt !== undefined && machine.now >= machine.twoThirdsAt + graceMs) ||
    (authors.size > 0 && machine.now >= machine.roundStartedAt + durationMaxMs)
  );
}

/** The next time at which waiting alone may make us ready. */
export function nextReadyCheck(machine: Machine): number | undefined {
  if (machine.readyAt !== undefined || isOver(machine)) return undefined;
  const { graceMs, durationMaxMs } = machine.rules.run.round;
  const times = [machine.roundStartedAt + durationMaxMs];
  if (machine.twoThirdsAt !== undefined) times.push(machine.twoThirdsAt + graceMs);
  const ahead = times.filter((time) => time > machine.now);
  return ahead.length > 0 ? Math.min(...ahead) : undefined;
}
