/**
 * When a round closes: which members we wait for, and how long. Ready latches per head.
 *
 * Who may be late and who is gone? A late member's delta is timed, also when it comes after the round: next time it is
 * waited for a bit longer than that, or not at all where that is more than the run's grace. Whoever did not come is not
 * waited for again until something of it has come. A voter votes in every round, so one of which nothing new was heard
 * since the round before closed is silent: it does not count among those of whom two thirds must be there, and gets no
 * time to propose. So who dies costs the round in which it dies, and not the next ones. Who is slow and votes still
 * counts.
 */
import type { PeerId } from '@murmuration/base';
import { derived } from './counted-map.ts';
import { depthMax, graceMargin, graceMinMs, membersMax, recoveryBlocksMax } from './defaults.ts';
import type { Contribution } from './index.ts';
import { recentAuthors } from './ledger-state.ts';
import { epochOf, headOf, keepAtMost, type Machine, membersOf, tipOf, votersOf } from './machine.ts';
import type { Opening } from './opening.ts';
import { includable } from './pool.ts';

/** Members that contributed to one of the last blocks; all of them where there are too few blocks to tell. */
export const expectedMembers: (machine: Machine) => readonly PeerId[] = derived(
  (machine) => [headOf(machine), membersOf(machine)],
  expectedNow,
);

function expectedNow(machine: Machine): readonly PeerId[] {
  const { state } = headOf(machine);
  if (machine.provisional) return expectedInRecovery(machine, machine.provisional);
  const members = membersOf(machine);
  const lately = recentAuthors(state);
  const expected = members.filter((member) => lately.has(member));
  return state.recent.length < machine.rules.run.lateHeights || expected.length === 0 ? members : expected;
}

/** Those who vote in a recovery, at first; then whoever contributed to one of its last blocks. */
function expectedInRecovery(machine: Machine, { height, listed }: Opening): readonly PeerId[] {
  const since = headOf(machine).state.recent.filter((block) => block.height > height);
  const lately = new Set(since.flatMap(({ authors }) => authors));
  const expected = membersOf(machine).filter((member) => lately.has(member));
  return since.length < machine.rules.run.lateHeights || expected.length === 0 ? listed : expected;
}

/** Whether finality is so far behind, or an epoch so near its end, that there is nothing to wait for. */
export const isUrgent = (machine: Machine): boolean => {
  const head = headOf(machine);
  const depth = head.block.height - tipOf(machine).block.height;
  return depth >= depthMax || (depth > 0 && head.terminal);
};

/** Whether the run, or the recovery, has no block left to propose after the head. */
export function isOver(machine: Machine): boolean {
  const { rules, provisional } = machine;
  const { height } = tipOf(machine).block;
  if (!provisional) return height >= rules.run.rounds;
  return height >= Math.min(rules.run.rounds - 1, provisional.height + recoveryBlocksMax);
}

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
  if (!machine.readyUrgently) noteClosing(machine);
  return true;
}

/** Remembers when the round closed, and who did not come. */
function noteClosing(machine: Machine): void {
  machine.closings.push({ at: machine.now, voters: new Set(votersOf(machine)) });
  if (machine.closings.length > 2) machine.closings.shift();
  for (const member of missingMembers(machine)) noteLateness(machine, member, Number.POSITIVE_INFINITY);
}

/** Whether nothing new was heard of a voter since the round before closed, nor a vote for the head. */
export function isSilent(machine: Machine, voter: PeerId): boolean {
  const { closings, readyAt, readyUrgently, spokeAt, lastVote, init } = machine;
  const before = readyAt === undefined || readyUrgently ? closings.at(-1) : closings.at(-2);
  if (voter === init.self || !before?.voters.has(voter)) return false;
  const { epoch, view } = headOf(machine).block;
  const votedForIt = epoch === epochOf(machine) && (lastVote.get(voter) ?? -1) >= view;
  return !votedForIt && (spokeAt.get(voter) ?? Number.NEGATIVE_INFINITY) < before.at;
}

/** Authors of deltas that are held and fit for the next block. */
const arrivedMembers: (machine: Machine) => ReadonlySet<PeerId> = derived(
  (machine) => [includable(machine), membersOf(machine)],
  (machine) => {
    const members = new Set(membersOf(machine));
    const authors = includable(machine).map(({ contribution }) => contribution.author);
    return new Set(authors.filter((author) => members.has(author)));
  },
);

/** Members that are expected, and not there. */
const missingMembers: (machine: Machine) => readonly PeerId[] = derived(
  (machine) => [arrivedMembers(machine), expectedMembers(machine)],
  (machine) => expectedMembers(machine).filter((member) => !arrivedMembers(machine).has(member)),
);

/** Those of them that are waited for. */
const awaitedMembers = (machine: Machine): readonly PeerId[] =>
  missingMembers(machine).filter((member) => !isSilent(machine, member));

function hasEnough(machine: Machine): boolean {
  const arrived = arrivedMembers(machine);
  const missing = missingMembers(machine);
  const awaited = awaitedMembers(machine);
  const counted = expectedMembers(machine).length - missing.length + awaited.length;
  if (counted > 0 && 3 * awaited.length <= counted) noteTwoThirds(machine);
  const { twoThirdsAt, roundStartedAt, now } = machine;
  return (
    missing.length === 0 ||
    (awaited.length === 0 && arrived.size > 0) ||
    (twoThirdsAt !== undefined && now >= twoThirdsAt + graceFor(machine, awaited)) ||
    (arrived.size > 0 && now >= roundStartedAt + machine.rules.run.round.durationMaxMs)
  );
}

function noteTwoThirds(machine: Machine): void {
  if (machine.twoThirdsAt !== undefined) return;
  machine.twoThirdsAt = machine.now;
  machine.twoThirdsOf.set(headOf(machine).block.height, machine.now);
  keepAtMost(machine.twoThirdsOf, machine.rules.run.lateHeights);
}

/** Measures how late a member's delta is, also when the round has closed without it. */
export function noteArrival(machine: Machine, { author, baseHeight }: Contribution): void {
  if (!membersOf(machine).includes(author)) return;
  const since = machine.twoThirdsOf.get(baseHeight) ?? machine.now;
  noteLateness(machine, author, machine.now - since);
}

function noteLateness(machine: Machine, member: PeerId, lateMs: number): void {
  machine.lateness.delete(member);
  machine.lateness.set(member, lateMs);
  keepAtMost(machine.lateness, membersMax);
}

/**
 * How long members are waited for: as long as they took the last time and a bit more. Who took longer than the run's
 * grace would not come in time this time either: its delta enters a later block.
 */
function graceFor(machine: Machine, awaited: readonly PeerId[]): number {
  const { graceMs } = machine.rules.run.round;
  const graces = awaited.map((member) => {
    const late = machine.lateness.get(member);
    if (late === undefined) return graceMs;
    return late > graceMs ? graceMinMs : Math.max(graceMinMs, graceMargin * late);
  });
  return Math.min(graceMs, Math.max(...graces));
}

/** The next time at which waiting alone may make us ready. */
export function nextReadyCheck(machine: Machine): number | undefined {
  if (machine.readyAt !== undefined || isOver(machine)) return undefined;
  const times = [machine.roundStartedAt + machine.rules.run.round.durationMaxMs];
  if (machine.twoThirdsAt !== undefined)
    times.push(machine.twoThirdsAt + graceFor(machine, awaitedMembers(machine)));
  const ahead = times.filter((time) => time > machine.now);
  return ahead.length > 0 ? Math.min(...ahead) : undefined;
}
