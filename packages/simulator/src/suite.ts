/**
 * The suite: every plan with every one of its seeds, and every mutant with the seed that catches it. Each task is
 * small, independent and named, so that whoever runs it can spread tasks over processes, stop, and go on where it
 * stopped.
 */
import type { Patch } from './mutant.ts';
import { mutantCases, mutantSeeds } from './mutants.ts';
import { type Outcome, quantile } from './outcome.ts';
import { type Plan, seeded } from './plan.ts';
import { planOf, plans } from './scenarios/index.ts';
import { problemOf, type Shrunk, shrink } from './shrink.ts';
import { type SimulateOptions, simulate } from './simulate.ts';

export type SuiteName = 'sample' | 'nightly';

export interface Task {
  readonly kind: 'seed' | 'mutant';
  /** Plan of a seed, or mutant. */
  readonly name: string;
  readonly seed: number;
}

/** What a task found: plain data, to be kept as a line of JSON. */
export interface TaskResult extends Task {
  readonly problems: readonly string[];
  readonly falseConvictions: number;
  readonly commitMs: readonly number[];
  readonly tokensTrained: number;
  readonly tokensCertified: number;
  readonly pieces: number;
  readonly disputed: number;
  /** Effects and reports that happened. */
  readonly performed: readonly string[];
  /** A mutant: whether the guarantee that it breaks was seen broken, and the command that shows the seed it was. */
  readonly isCaught?: boolean;
  readonly caughtBy?: string;
}

export interface SuiteSelection {
  readonly suite: SuiteName;
  /** One plan only. */
  readonly only?: string | undefined;
  /** These seeds of each plan instead of the suite's. */
  readonly seeds?: { readonly from: number; readonly to: number } | undefined;
}

export interface Summary {
  readonly scenarios: number;
  readonly seeds: number;
  readonly violations: number;
  readonly falseConvictions: number;
  readonly mutants: number;
  readonly mutantsCaught: number;
  readonly commitMsMedian: number;
  readonly commitMsP99: number;
  readonly goodputPercent: number;
}

const seedsOf = ({ seeds }: Plan, { suite, only, seeds: asked }: SuiteSelection): number[] => {
  if (seeds[suite] === 0 && !only) return [];
  const { from, to } = asked ?? { from: 0, to: seeds[suite] - 1 };
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
};

/** All tasks of a suite, the first seed of every plan first. Mutants run with whole suites, not with a single plan. */
export function tasksOf(selection: SuiteSelection): Task[] {
  const chosen = selection.only ? plans.filter(({ name }) => name === selection.only) : plans;
  const seeds = chosen
    .flatMap((plan) =>
      seedsOf(plan, selection).map((seed): Task => ({ kind: 'seed', name: plan.name, seed })),
    )
    .sort((a, b) => a.seed - b.seed);
  const mutants = mutantCases.map(({ mutant }): Task => ({ kind: 'mutant', name: mutant.name, seed: 0 }));
  return selection.only ? seeds : [...mutants, ...seeds];
}

/** What a plan's outcome lacks, beside what the judge saw. */
export function findProblems(
  { membersAtEnd, certifiesAll, convicts, goodputPercent = 0, commitMsMax, disputedMax = 0 }: Plan,
  outcome: Outcome,
): string[] {
  const problems = [...outcome.problems];
  if (problems.length > 0) return problems;
  if (membersAtEnd !== undefined && outcome.members !== membersAtEnd)
    problems.push(`G3: expected ${membersAtEnd} members at the end, got ${outcome.members}`);
  if (certifiesAll && outcome.expired > 0)
    problems.push(`G4: expected every contribution in a block, ${outcome.expired} expired`);
  if (convicts && convicts.join() !== outcome.convictedByAll.join())
    problems.push(
      `G5: expected ${convicts} convicted by all, got ${outcome.convictedByAll} of ${outcome.convicted}`,
    );
  const goodput = (100 * outcome.tokensCertified) / Math.max(1, outcome.tokensTrained);
  if (goodput < goodputPercent)
    problems.push(`G3: expected ${goodputPercent} % of the tokens certified, got ${goodput.toFixed(1)}`);
  if (outcome.disputed > disputedMax)
    problems.push(`G4: expected at most ${disputedMax} disputed pieces of work, got ${outcome.disputed}`);
  const { commitMs } = outcome;
  const median = quantile(commitMs, 0.5);
  const mean = commitMs.reduce((sum, ms) => sum + ms, 0) / Math.max(1, commitMs.length);
  if (commitMsMax && (median > commitMsMax.median || mean > commitMsMax.mean))
    problems.push(
      `G3: expected rounds certified within ${commitMsMax.median} ms (median) and ${commitMsMax.mean} ms (mean), ` +
        `got ${Math.round(median)} and ${Math.round(mean)}`,
    );
  return problems;
}

/** All that is wrong with one seed of a plan; an error that the code under test throws is one problem. */
function problemsIn(plan: Plan, seed: number, options: SimulateOptions = {}): readonly string[] {
  try {
    return findProblems(plan, simulate(seeded(plan, seed), options));
  } catch (error) {
    return [problemOf(error)];
  }
}

/** A failing seed of a plan made smaller. */
export const shrinkSeed = (plan: Plan, seed: number): Shrunk =>
  shrink(seeded(plan, seed), { find: (outcome) => findProblems(plan, outcome) });

/** What must be changed in the production code before a task is run, if it is a mutant of that kind. */
export const patchesOf = (task: Task): readonly Patch[] =>
  (task.kind === 'mutant' && mutantCases.find(({ mutant }) => mutant.name === task.name)?.mutant.patches) ||
  [];

function runMutant(task: Task): TaskResult {
  const found = mutantCases.find(({ mutant }) => mutant.name === task.name);
  const plan = found && planOf(found.plan);
  if (!found || !plan) return { ...task, ...nothing, isCaught: false };
  const { mutant } = found;
  const others = Array.from({ length: mutantSeeds }, (_, index) => index).filter(
    (seed) => seed !== found.seed,
  );
  for (const seed of [found.seed, ...others]) {
    const problems = problemsIn(plan, seed, { mutant });
    const isCaught = problems.some((problem) => problem.startsWith(mutant.breaks));
    if (isCaught) return { ...task, ...nothing, isCaught, caughtBy: `${plan.name} seed ${seed}` };
  }
  return { ...task, ...nothing, isCaught: false };
}

const nothing = {
  problems: [],
  falseConvictions: 0,
  commitMs: [],
  tokensTrained: 0,
  tokensCertified: 0,
  pieces: 0,
  disputed: 0,
  performed: [],
};

/** Runs one task. An error that the code under test throws is a problem like any other. */
export function runTask(task: Task): TaskResult {
  if (task.kind === 'mutant') return runMutant(task);
  const plan = planOf(task.name);
  if (!plan) return { ...task, ...nothing, problems: [`no scenario is named ${task.name}`] };
  try {
    const outcome = simulate(seeded(plan, task.seed));
    const { falseConvictions, commitMs, tokensTrained, tokensCertified, pieces, disputed, performed } =
      outcome;
    return {
      ...task,
      problems: findProblems(plan, outcome),
      falseConvictions,
      commitMs,
      tokensTrained,
      tokensCertified,
      pieces,
      disputed,
      performed: Object.keys(performed),
    };
  } catch (error) {
    return { ...task, ...nothing, problems: [problemOf(error)] };
  }
}

/** Effects that a plan promises to exercise and that none of its seeds did. */
export function findIdle(results: readonly TaskResult[]): string[] {
  return plans.flatMap(({ name, exercises }) => {
    const own = results.filter((result) => result.kind === 'seed' && result.name === name);
    const performed = new Set(own.flatMap((result) => result.performed));
    return own.length === 0
      ? []
      : exercises.filter((kind) => !performed.has(kind)).map((kind) => `${name}: no ${kind}`);
  });
}

export function summarize(results: readonly TaskResult[]): Summary {
  const seeds = results.filter(({ kind }) => kind === 'seed');
  const mutants = results.filter(({ kind }) => kind === 'mutant');
  const commitMs = seeds.flatMap((result) => result.commitMs);
  const sum = (of: (result: TaskResult) => number): number =>
    seeds.reduce((total, result) => total + of(result), 0);
  const trained = sum(({ tokensTrained }) => tokensTrained);
  const certified = sum(({ tokensCertified }) => tokensCertified);
  return {
    scenarios: new Set(seeds.map(({ name }) => name)).size,
    seeds: seeds.length,
    violations: seeds.filter(({ problems }) => problems.length > 0).length,
    falseConvictions: sum(({ falseConvictions }) => falseConvictions),
    mutants: mutants.length,
    mutantsCaught: mutants.filter(({ isCaught }) => isCaught).length,
    commitMsMedian: Math.round(quantile(commitMs, 0.5)),
    commitMsP99: Math.round(quantile(commitMs, 0.99)),
    goodputPercent: trained > 0 ? Math.round((1_000 * certified) / trained) / 10 : 0,
  };
}
