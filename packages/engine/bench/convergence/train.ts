/**
 * One training in a process of its own: `train.ts PLAN` with a plan, the folder of results and the texts as JSON. The
 * result is one file, which appears when the training is complete.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Standing, trainBy } from './methods.ts';
import { nameOf, roundsOf, type TrainingPlan } from './plan.ts';
import { createWorld } from './world.ts';

/** A point of a curve. */
export interface Point {
  readonly steps: number;
  readonly tokens: number;
  /** Sent per peer. */
  readonly bytes: number;
  /** On held-out text, nats per byte, mean over the languages (and over the models, where each peer has its own). */
  readonly loss: number;
}

export interface Outcome {
  readonly plan: TrainingPlan;
  readonly parameters: number;
  readonly seconds: number;
  readonly curve: readonly Point[];
}

export interface Assignment {
  readonly plan: TrainingPlan;
  readonly results: string;
  /** Folders of text, one language each. */
  readonly texts: readonly string[];
  readonly heldOutBytes: number;
  /** Points of the curve beside the last. */
  readonly points: number;
}

/** Trains and measures now and then. */
export async function trainPlan(
  { plan, texts, heldOutBytes, points }: Omit<Assignment, 'results'>,
  onPoint: (point: Point) => void,
): Promise<Outcome> {
  const startedMs = performance.now();
  const world = await createWorld(plan, texts, heldOutBytes);
  const curve: Point[] = [];
  const every = Math.max(1, Math.floor(roundsOf(plan) / points));
  let seen = 0;

  const measure = async ({ models, ...standing }: Standing): Promise<void> => {
    seen++;
    if (seen % every !== 0 && standing.steps < plan.steps) return;
    let sum = 0;
    for (const model of models) sum += await world.evaluate(model);
    const point = { ...standing, loss: sum / models.length };
    curve.push(point);
    onPoint(point);
  };
  await trainBy(world, measure);
  const seconds = (performance.now() - startedMs) / 1_000;
  return { plan, parameters: world.setting.theta.length, seconds, curve };
}

if (import.meta.main) {
  const assignment = JSON.parse(process.argv[2] ?? '') as Assignment;
  const name = nameOf(assignment.plan);
  const outcome = await trainPlan(assignment, ({ steps, loss }) =>
    console.error(`${name}: step ${steps} of ${assignment.plan.steps}, loss ${loss.toFixed(4)}`),
  );
  const path = join(assignment.results, `${name}.json`);
  writeFileSync(`${path}.part`, `${JSON.stringify(outcome)}\n`);
  renameSync(`${path}.part`, path);
}
