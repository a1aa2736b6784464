/**
 * A failing scenario made smaller while it still breaks the same guarantee: fewer faults, liars, guests, peers and
 * rounds, shorter windows, a quieter network. Greedy: the first smaller scenario that still fails is taken, then all
 * changes are tried again, up to a number of simulations.
 */
import type { Fault, Scenario } from './scenario.ts';
import { type SimulateOptions, simulate } from './simulate.ts';

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

/** Without the last founder, where nothing speaks of it and nobody's index moves. */
function fewerMembers(scenario: Scenario): Scenario[] {
  const last = scenario.members - 1;
  const isNamed =
    scenario.faults.some((fault) => touches(fault, last)) ||
    scenario.liars.some(({ peer }) => peer === last) ||
    scenario.guests.length > 0;
  return last < 1 || isNamed ? [] : [{ ...scenario, members: last }];
}

function fewerGuests(scenario: Scenario): Scenario[] {
  const last = scenario.members + scenario.guests.length - 1;
  const isNamed = scenario.faults.some((fault) => touches(fault, last));
  return scenario.guests.length === 0 || isNamed
    ? []
    : [{ ...scenario, guests: scenario.guests.slice(0, -1) }];
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

const smaller = (scenario: Scenario): Scenario[] => [
  ...scenario.faults.map((_, index) => ({ ...scenario, faults: without(scenario.faults, index) })),
  ...scenario.liars.map((_, index) => ({ ...scenario, liars: without(scenario.liars, index) })),
  ...quiet.map((change) => ({ ...scenario, ...change })),
  ...fewerGuests(scenario),
  ...fewerMembers(scenario),
  ...fewerRounds(scenario),
  ...scenario.faults.flatMap((fault, index) => {
    const less = shorter(fault);
    return less ? [{ ...scenario, faults: scenario.faults.with(index, less) }] : [];
  }),
];

const guaranteeOf = (problem: string | undefined): string | undefined => problem?.split(':')[0];

/** What breaks a scenario; an error that the code under test throws is one problem. */
export function problemsOf(scenario: Scenario, options: SimulateOptions = {}): readonly string[] {
  try {
    return simulate(scenario, options).problems;
  } catch (error) {
    return [`threw: ${(error as Error).message}`];
  }
}

/** Returns the scenario itself when it does not fail. */
export function shrink(scenario: Scenario, budget: number = simulationsMax): Shrunk {
  let best: Shrunk = { scenario, problems: problemsOf(scenario), simulations: 1 };
  const broken = guaranteeOf(best.problems[0]);
  let simulations = 1;
  for (let progress = broken !== undefined; progress && simulations < budget; ) {
    progress = false;
    const size = JSON.stringify(best.scenario);
    for (const candidate of smaller(best.scenario)) {
      if (simulations >= budget || JSON.stringify(candidate) === size) continue;
      simulations++;
      const problems = problemsOf(candidate);
      if (guaranteeOf(problems[0]) !== broken) continue;
      best = { scenario: candidate, problems, simulations };
      progress = true;
      break;
    }
  }
  return { ...best, simulations };
}
