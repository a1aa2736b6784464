/** Trainings that are done lie in a folder, a file each; what is missing is trained, some at a time. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nameOf, type TrainingPlan } from './plan.ts';
import type { Assignment, Outcome } from './train.ts';

const entry = fileURLToPath(new URL('./train.ts', import.meta.url));

function train(assignment: Assignment): Promise<void> {
  const child = spawn(
    process.execPath,
    ['--conditions=murmuration-source', entry, JSON.stringify(assignment)],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      process.off('exit', kill);
      if (code === 0) resolve();
      else
        reject(new Error(`${nameOf(assignment.plan)}: the training ended with ${signal ?? `code ${code}`}`));
    });
  });
}

/**
 * The outcomes of the plans, in their order. A plan whose result file is in the folder is not trained again; the others
 * are trained in processes of their own, `workers` at a time.
 */
export async function outcomesOf(
  plans: readonly TrainingPlan[],
  settings: Omit<Assignment, 'plan'>,
  workers: number,
): Promise<Outcome[]> {
  mkdirSync(settings.results, { recursive: true });
  const pathOf = (plan: TrainingPlan): string => join(settings.results, `${nameOf(plan)}.json`);
  const missing = new Map(
    plans.filter((plan) => !existsSync(pathOf(plan))).map((plan) => [nameOf(plan), plan]),
  );
  const waiting = [...missing.values()];
  const work = async (): Promise<void> => {
    for (let plan = waiting.shift(); plan; plan = waiting.shift()) await train({ ...settings, plan });
  };
  await Promise.all(Array.from({ length: workers }, work));
  return plans.map((plan) => JSON.parse(readFileSync(pathOf(plan), 'utf8')) as Outcome);
}
