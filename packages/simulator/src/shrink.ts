/**
 * A failing scenario made smaller while it still breaks the same guarantee: fewer faults, liars, guests, peers and
 * rounds, shorter windows, a quieter network. Greedy: the first smaller scenario that still fails is taken, then all
 * changes are tried again, up to a number of simulations.
 */
import type { Outcome } from './outcome.ts';
import type { Fault, Scenario } from './scenario.ts';
import { simulate } from './simulate.ts';

export interface Shrunk {
  readonly scenario: Scenario;
  readonly problems: readonly string[];
  readonly simulations: number;
}

const simulationsMax = 300;

const without = <Item>(items: readonly Item[], index: number): Item[] =>
  items.filter((_, at) => at !== index);

/** The same fault over half of its time, or of its peers. */
function shorter(fault: Fault): Fault | undefined {
  switch (fault.kind) {
    case 'partition':
    case 'away':
    case 'pause':
    case 'restore': {
      if (fault.untilMs === undefined || fault.untilMs - fault.fromMs < 200) return undefined;
      return { ...fault, untilMs: Math.round((fault.fromMs + fault.untilMs) / 2) };
    }
    case 'crashes':
      if (fault.times > 1) return { ...fault, times: fault.times - 1 };
      return fault.peers.length > 1 ? { ...fault, peers: fault.peers.slice(1) } : undefined;
    case 'crash':
    case 'reopening':
    case 'bit-flip':
      return undefined;
  }
}

const touches = (fault: Fault, peer: number): boolean => {
  if (fault.kind === 'partition') return fault.side.includes(peer);
  if (fault.kind === 'reopening') return [...fault.founders, ...fault.listed].includes(peer);
  return fault.kind === 'crashes' ? fault.peers.includes(peer) : fault.peer === peer;
};

/** Nothing is said of this peer any more, so that a scenario without it can be read. */
const unnamed = (scenario: Scenario, peer: number): Scenario => ({
  ...scenario,
  liars: scenario.liars.filter((liar) => liar.peer !== peer),
  excused: scenario.excused.filter((index) => index !== peer),
  traits: Object.fromEntries(
    Object.entries(scenario.traits).filter(([index]) => index !== String(peer)),
  ) as Scenario['traits'],
});

/** Without the last founder, where nothing speaks of it and nobody's index moves. */
function fewerMembers(scenario: Scenario): Scenario[] {
  const last = scenario.members - 1;
  const isNamed =
    scenario.faults.some((fault) => touches(fault, last)) ||
    scenario.liars.some(({ peer }) => peer === last) ||
    scenario.guests.length > 0;
  return last < 1 || isNamed ? [] : [{ ...unnamed(scenario, last), members: last }];
}

function fewerGuests(scenario: Scenario): Scenario[] {
  const last = scenario.members + scenario.guests.length - 1;
  const isNamed = scenario.faults.some((fault) => touches(fault, last));
  return scenario.guests.length === 0 || isNamed
    ? []
    : [{ ...unnamed(scenario, last), guests: scenario.guests.slice(0, -1) }];
}

function fewerRounds(scenario: Scenario): Scenario[] {
  const { rounds } = scenario;
  return [Math.ceil(rounds / 2), rounds - 1]
    .filter((fewer) => fewer >= 1 && fewer < rounds)
    .map((fewer) => ({ ...scenario, rounds: fewer }));
}

/** Values that a quieter network has; those that are there already are left out. */
const quiet: readonly Partial<Scenario>[] = [
  { loss: 0 },
  { duplication: 0 },
  { reordering: 0 },
  { churn: [] },
  { traits: {} },
  { gossip: 'full' },
  { latency: [5, 30] },
  { training: [300, 600] },
];

const quieter = (scenario: Scenario): Scenario[] => quiet.map((change) => ({ ...scenario, ...change }));

const smaller = (scenario: Scenario): Scenario[] => [
  ...scenario.faults.map((_, index) => ({ ...scenario, faults: without(scenario.faults, index) })),
  ...scenario.liars.map((_, index) => ({ ...scenario, liars: without(scenario.liars, index) })),
  ...quieter(scenario),
  ...fewerGuests(scenario),
  ...fewerMembers(scenario),
  ...fewerRounds(scenario),
  ...scenario.faults.flatMap((fault, index) => {
    const less = shorter(fault);
    return less ? [{ ...scenario, faults: scenario.faults.with(index, less) }] : [];
  }),
];

const guaranteeOf = (problem: string): string => problem.split(':')[0] as string;

const withoutNumbers = (problem: string): string => problem.replaceAll(/\d+(\.\d+)?/g, '#');

/** An error that the code under test throws; an assertion that names a guarantee is a problem of that guarantee. */
export function problemOf(error: unknown): string {
  const { message } = error as Error;
  const asserted = /^assertion failed: (G\d: .*)$/.exec(message)?.[1];
  return asserted ? `${asserted} (asserted)` : `threw: ${message}`;
}

/** What is wrong with an outcome: what the judge saw, or more. */
type Find = (outcome: Outcome) => readonly string[];

const judged: Find = ({ problems }) => problems;

/** What breaks a scenario; an error that the code under test throws is one problem. */
function problemsOf(scenario: Scenario, find: Find): readonly string[] {
  try {
    return find(simulate(scenario));
  } catch (error) {
    return [problemOf(error)];
  }
}

export interface ShrinkOptions {
  /** Simulations that it may run. */
  readonly budget?: number;
  /** What a plan asks beside the judge. */
  readonly find?: Find;
}

/**
 * Returns the scenario itself when it does not fail. What only `find` asks is about all of the scenario (how many are
 * members at its end, how much is certified), so it is not made shorter or smaller then, only its network quieter.
 */
export function shrink(
  scenario: Scenario,
  { budget = simulationsMax, find = judged }: ShrinkOptions = {},
): Shrunk {
  let best: Shrunk = { scenario, problems: problemsOf(scenario, find), simulations: 1 };
  const [first] = best.problems;
  if (first === undefined) return best;
  const isAsked = find !== judged && problemsOf(scenario, judged).length === 0;
  const kindOf = isAsked ? withoutNumbers : guaranteeOf;
  const candidatesOf = isAsked ? quieter : smaller;
  let simulations = isAsked ? 2 : 1;
  for (let progress = true; progress && simulations < budget; ) {
    progress = false;
    const size = JSON.stringify(best.scenario);
    for (const candidate of candidatesOf(best.scenario)) {
      if (simulations >= budget || JSON.stringify(candidate) === size) continue;
      simulations++;
      const problems = problemsOf(candidate, find);
      if (problems[0] === undefined || kindOf(problems[0]) !== kindOf(first)) continue;
      best = { scenario: candidate, problems, simulations };
      progress = true;
      break;
    }
  }
  return { ...best, simulations };
}
