/**
 * `npm run -s simulate -- --suite sample|nightly [--only NAME] [--seeds A..B] [--resume FILE] [--workers N] [--json]`:
 * runs the simulator's suite. Progress goes to stderr. A resume file gets one line of JSON per finished task; what is
 * in it already is not run again, so a long suite may be stopped at any time, and a file of another source is refused. A
 * failing seed is shrunk and printed with the command that replays it. The exit code is 1 when something broke, or a
 * mutant was not caught.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import {
  commandOf,
  findIdle,
  type Patch,
  patchesOf,
  planOf,
  runTask,
  type SuiteName,
  type SuiteSelection,
  shrinkSeed,
  summarize,
  type Task,
  type TaskResult,
  tasksOf,
} from '@murmuration/simulator';
import { hashSource, openResumeFile } from './resume-file.ts';

const usage =
  'usage: npm run -s simulate -- --suite sample|nightly [--only NAME] [--seeds A..B] [--resume FILE] [--workers N] [--json]';
/** Failing seeds that are shrunk: each costs hundreds of simulations. */
const shrunkMax = 3;
const progressEveryMs = 2_000;

interface Settings {
  readonly selection: SuiteSelection;
  readonly resume: string | undefined;
  readonly workers: number;
  readonly json: boolean;
}

function readSettings(): Settings {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string', default: 'sample' },
      only: { type: 'string' },
      seeds: { type: 'string' },
      resume: { type: 'string' },
      workers: { type: 'string', default: String(Math.min(8, availableParallelism())) },
      json: { type: 'boolean', default: false },
    },
  });
  const { suite, only, resume, json } = values;
  const seeds = values.seeds === undefined ? undefined : /^(\d+)(?:\.\.(\d+))?$/.exec(values.seeds);
  const workers = Number(values.workers);
  const isNamed = only === undefined || planOf(only) !== undefined;
  if (!['sample', 'nightly'].includes(suite) || seeds === null || !isNamed || !(workers >= 1))
    throw new Error(usage);
  const range = seeds && { from: Number(seeds[1]), to: Number(seeds[2] ?? seeds[1]) };
  return { selection: { suite: suite as SuiteName, only, seeds: range }, resume, workers, json };
}

const keyOf = ({ kind, name, seed }: Task): string => `${kind} ${name} ${seed}`;

/** Runs one task in a worker of its own whose production code is changed. */
const runPatched = (task: Task, patches: readonly Patch[]): Promise<TaskResult> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('patched-worker.ts', import.meta.url), { workerData: patches });
    worker.on('error', reject);
    worker.on('message', (result: TaskResult) => void worker.terminate().then(() => resolve(result)));
    worker.postMessage(task);
  });

/** Gives each worker the next task until none is left. */
async function runAll(
  tasks: readonly Task[],
  count: number,
  done: (result: TaskResult) => void,
): Promise<void> {
  const left = [...tasks];
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url));
      const next = (): void => {
        const task = left.shift();
        const patches = task ? patchesOf(task) : [];
        if (task && patches.length > 0) void runPatched(task, patches).then(take, fail);
        else if (task) worker.postMessage(task);
        else void worker.terminate().then(() => resolve());
      };
      const take = (result: TaskResult): void => {
        done(result);
        next();
      };
      const fail = (error: unknown): void => {
        left.length = 0;
        void worker.terminate().then(() => reject(error));
      };
      worker.on('message', take);
      worker.on('error', fail);
      next();
    });
  await Promise.all(Array.from({ length: Math.min(count, tasks.length) }, work));
}

function explain(failed: readonly TaskResult[]): void {
  for (const { name, seed, problems } of failed) console.error(`BROKEN ${name} seed ${seed}: ${problems[0]}`);
  for (const { name, seed } of failed.slice(0, shrunkMax)) {
    const plan = planOf(name);
    if (!plan) continue;
    const { scenario, problems, simulations } = shrinkSeed(plan, seed);
    console.error(`\n${name} seed ${seed}, made smaller in ${simulations} simulations:`);
    for (const problem of problems) console.error(`  ${problem}`);
    console.error(`  the whole:   murmur simulate ${name} --seed ${seed}`);
    console.error(`  the smaller: ${commandOf(scenario)}`);
  }
}

/** Which seeds of which scenarios run. */
function announce(tasks: readonly Task[]): void {
  const seeds = new Map<string, number[]>();
  for (const { kind, name, seed } of tasks)
    if (kind === 'seed') seeds.set(name, [...(seeds.get(name) ?? []), seed]);
  const ranges = [...seeds].map(([name, own]) => `${name} ${Math.min(...own)}..${Math.max(...own)}`);
  console.error(`seeds: ${ranges.join(', ')}`);
}

async function main(): Promise<void> {
  const { selection, resume, workers, json } = readSettings();
  const tasks = tasksOf(selection);
  announce(tasks);
  const chosen = new Set(tasks.map(keyOf));
  const file = resume === undefined ? undefined : openResumeFile(resume, hashSource());
  const results = (file?.results ?? []).filter((result) => chosen.has(keyOf(result)));
  const known = new Set(results.map(keyOf));
  const left = tasks.filter((task) => !known.has(keyOf(task)));
  let toldAt = 0;
  const tell = (force: boolean): void => {
    if (!force && performance.now() - toldAt < progressEveryMs) return;
    toldAt = performance.now();
    const broken = results.filter(({ problems }) => problems.length > 0).length;
    const seconds = Math.round(toldAt / 1_000);
    console.error(`${results.length} of ${tasks.length} tasks, ${broken} broken, ${seconds} s`);
  };
  await runAll(left, workers, (result) => {
    results.push(result);
    file?.add(result);
    tell(false);
  });
  tell(true);
  const failed = results.filter(({ problems }) => problems.length > 0);
  const missed = results.filter(({ isCaught }) => isCaught === false);
  const idle = selection.only || selection.seeds ? [] : findIdle(results);
  for (const { name, caughtBy } of results)
    if (caughtBy) console.error(`mutant caught: ${name} (${caughtBy})`);
  for (const { name } of missed) console.error(`BROKEN mutant not caught: ${name}`);
  for (const what of idle) console.error(`BROKEN nothing tested: ${what}`);
  explain(failed);
  const summary = summarize(results);
  console.log(
    json
      ? JSON.stringify(summary)
      : Object.entries(summary)
          .map(([key, value]) => `${key.padEnd(18)}${value}`)
          .join('\n'),
  );
  if (failed.length + missed.length + idle.length > 0) process.exitCode = 1;
}

if (isMainThread)
  await main().catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 2;
  });
else parentPort?.on('message', (task: Task) => parentPort?.postMessage(runTask(task)));
