/** Question `plans`: what does certification cost in the suite's scenarios, and how much of the work is certified? */
import { findProblems, type Plan, planOf, plans, quantile, seeded, simulate } from '../src/index.ts';

interface PlanFigures {
  readonly seeds: number;
  readonly rounds: number;
  /** From the last contribution that a quorum holds to the block that a quorum has settled. */
  readonly commitMsMedian: number;
  /** Absent below a hundred rounds, of which it would be the largest. */
  readonly commitMsP99: number | undefined;
  readonly commitMsLargest: number;
  readonly roundMs: number;
  readonly goodputPercent: number;
  /** Pieces of work that are lost or there twice as PROTOCOL.md §10 allows it, and of how many. */
  readonly disputed: number;
  readonly pieces: number;
}

/** Plans of which the README has figures. */
const shown = [
  ...plans.filter(({ name }) => /^(all-there|third-dead|third-lying)-/.test(name)).map(({ name }) => name),
  'leaving-and-earning',
  'guest-churn',
  'large-churn',
  'survivors-alone',
  'two-recoveries',
  'recovery-crashes',
];
const roundsForP99 = 100;

function figuresOf(plan: Plan, seeds: number): PlanFigures {
  const commitMs: number[] = [];
  const sums = { elapsed: 0, trained: 0, certified: 0, disputed: 0, pieces: 0 };
  for (let seed = 0; seed < seeds; seed++) {
    const outcome = simulate(seeded(plan, seed));
    const problems = findProblems(plan, outcome);
    if (problems.length > 0) throw new Error(`${plan.name} seed ${seed}: ${problems.join('; ')}`);
    commitMs.push(...outcome.commitMs);
    sums.elapsed += outcome.elapsedMs;
    sums.trained += outcome.tokensTrained;
    sums.certified += outcome.tokensCertified;
    sums.disputed += outcome.disputed;
    sums.pieces += outcome.pieces;
  }
  const rounds = commitMs.length;
  return {
    seeds,
    rounds,
    commitMsMedian: Math.round(quantile(commitMs, 0.5)),
    commitMsP99: rounds < roundsForP99 ? undefined : Math.round(quantile(commitMs, 0.99)),
    commitMsLargest: Math.round(Math.max(...commitMs)),
    roundMs: Math.round(sums.elapsed / seeds / plan.scenario.rounds),
    goodputPercent: Math.round((1_000 * sums.certified) / sums.trained) / 10,
    disputed: sums.disputed,
    pieces: sums.pieces,
  };
}

/** Prints a table row by row. Options: `NAME=SEEDS`, instead of every shown plan with at most ten of its seeds. */
export async function bench(options: readonly string[]): Promise<{ plans: Record<string, PlanFigures> }> {
  const found: Record<string, PlanFigures> = {};
  console.log('| plan | seeds | rounds | median | 99 % | largest | time per round | certified | disputed |');
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- |');
  for (const option of options.length > 0 ? options : shown) {
    const [name = '', seeds] = option.split('=');
    const plan = planOf(name);
    if (!plan) throw new Error(`expected NAME=SEEDS with the name of a scenario, got ${option}`);
    const figures = figuresOf(plan, Number(seeds ?? Math.min(10, plan.seeds.nightly)));
    found[name] = figures;
    const { rounds, commitMsMedian, commitMsP99 = '–', commitMsLargest, roundMs } = figures;
    const times = [commitMsMedian, commitMsP99, commitMsLargest, roundMs];
    const work = [`${figures.goodputPercent} %`, `${figures.disputed} of ${figures.pieces}`];
    console.log(`| ${[`\`${name}\``, figures.seeds, rounds, ...times, ...work].join(' | ')} |`);
  }
  return { plans: found };
}
