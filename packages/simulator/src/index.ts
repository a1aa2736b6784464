/**
 * Many peers, one seed: the production replica and the production deltas in virtual time, with a lossy network, dead,
 * restarted and lying peers, and a judge that watches every statement and every final block. Equal scenarios give equal
 * outcomes.
 *
 * @example
 * const { problems } = simulate({ ...calm, seed: '7', loss: 0.1, rounds: 10 });
 */
export { type DrawOptions, draw } from './draw.ts';
export { SimulatorError } from './errors.ts';
export type { Lie } from './lies.ts';
export type { Mutant, Patch } from './mutant.ts';
export { type MutantCase, mutantCases } from './mutants.ts';
export { type Outcome, type PeerOutcome, quantile } from './outcome.ts';
export { type Plan, seeded } from './plan.ts';
export {
  type Churn,
  calm,
  type Distribution,
  type Fault,
  type LiarPlan,
  type Scenario,
  type Traits,
} from './scenario.ts';
export { changesOf, commandOf, scenarioOf } from './scenario-text.ts';
export { planOf, plans } from './scenarios/index.ts';
export { type ShrinkOptions, type Shrunk, shrink } from './shrink.ts';
export { type SimulateOptions, simulate } from './simulate.ts';
export {
  findIdle,
  findProblems,
  patchesOf,
  runTask,
  type SuiteName,
  type SuiteSelection,
  type Summary,
  shrinkSeed,
  summarize,
  type Task,
  type TaskResult,
  tasksOf,
} from './suite.ts';
export type { Happening, Mark } from './trace.ts';
