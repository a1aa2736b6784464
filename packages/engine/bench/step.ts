/**
 * How long is one inner step (sample, forward, backward, clip, AdamW) in our engine, in PyTorch eager and under
 * torch.compile, and how much memory does each process need? The three run in turn, a few steps each, with a pause
 * between, so that all meet the same machine; a ratio is the median over the neighbouring turns. See README.md.
 */
import { availableParallelism } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type EngineRun, startEngine } from './engine-run.ts';
import { median, pauseMs } from './measure.ts';
import { childPids, peakMB } from './peak-memory.ts';
import { PyTorch } from './pytorch.ts';
import { type StepCase, stepCases } from './step-cases.ts';

/** Figures of one case; null is what this machine could not run. `ratio` is ours over PyTorch's. */
export interface StepFigures {
  readonly oursMs: number;
  readonly pytorchMs: number | null;
  readonly ratio: number | null;
  readonly compileRatio: number | null;
  readonly oursPeakMB: number | null;
  readonly pytorchPeakMB: number | null;
}

const round = (value: number | undefined, digits: number): number | null =>
  value === undefined ? null : Number(value.toFixed(digits));

/** A process of PyTorch that has taken its first steps; undefined when it cannot. */
async function startPyTorch(step: StepCase, threads: number, compile: boolean): Promise<PyTorch | undefined> {
  const pytorch = new PyTorch();
  const built = await pytorch.build(step.pytorch, threads, compile);
  if (built && (await pytorch.train(step.steps)) !== undefined) return pytorch;
  pytorch.close();
  return undefined;
}

interface Sides {
  readonly ours: EngineRun;
  readonly eager: PyTorch | undefined;
  readonly compiled: PyTorch | undefined;
}

async function takeTurns({ ours, eager, compiled }: Sides, { steps, pairs }: StepCase) {
  const times = { ours: [] as number[], eager: [] as number[], compiled: [] as number[] };
  for (let pair = 0; pair < pairs; pair++) {
    await setTimeout(pauseMs);
    times.ours.push(await ours.train(steps));
    for (const [name, side] of [['eager', eager] as const, ['compiled', compiled] as const]) {
      if (!side) continue;
      await setTimeout(pauseMs);
      times[name].push((await side.train(steps)) ?? Number.NaN);
    }
  }
  return times;
}

async function measure(step: StepCase, threads: number): Promise<StepFigures> {
  const start = await step.start(() => new PyTorch());
  const before = new Set(childPids());
  const ours = await startEngine({ start, samples: step.samples, batch: step.batch, threads });
  const enginePid = childPids().find((pid) => !before.has(pid));
  const eager = await startPyTorch(step, threads, false);
  const compiled = eager && step.counts ? await startPyTorch(step, threads, true) : undefined;
  try {
    await ours.train(step.steps);
    const times = await takeTurns({ ours, eager, compiled }, step);
    const ratio = (theirs: readonly number[]): number | undefined =>
      theirs.length === 0 ? undefined : median(times.ours.map((ms, pair) => ms / (theirs[pair] as number)));
    return {
      oursMs: round(median(times.ours), 1) as number,
      pytorchMs: eager ? round(median(times.eager), 1) : null,
      ratio: round(ratio(times.eager), 3),
      compileRatio: round(ratio(times.compiled), 3),
      oursPeakMB: round(peakMB(enginePid), 0),
      pytorchPeakMB: round(peakMB(eager?.pid), 0),
    };
  } finally {
    compiled?.close();
    eager?.close();
    await ours.close();
  }
}

const header = [
  'model',
  'ours ms',
  'PyTorch ms',
  'ratio',
  'ratio to compile',
  'ours MB',
  'PyTorch MB',
  'ratio',
];
const widths = [16, 9, 12, 7, 18, 9, 12, 7] as const;

const row = (cells: readonly string[]): string =>
  cells
    .map((cell, index) => (index === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[index] ?? 0)))
    .join('');

function tableRow(name: string, figures: StepFigures): string {
  const cell = (value: number | null, digits: number): string => value?.toFixed(digits) ?? '–';
  const { oursPeakMB, pytorchPeakMB } = figures;
  return row([
    name,
    cell(figures.oursMs, 1),
    cell(figures.pytorchMs, 1),
    cell(figures.ratio, 2),
    cell(figures.compileRatio, 2),
    cell(oursPeakMB, 0),
    cell(pytorchPeakMB, 0),
    cell(oursPeakMB && pytorchPeakMB && oursPeakMB / pytorchPeakMB, 2),
  ]);
}

/** The cases that the options ask for: `--size NAME` is one of them, `--pairs N` takes fewer or more turns. */
function chosenCases(options: readonly string[]): readonly StepCase[] {
  const { values } = parseArgs({
    args: [...options],
    options: { size: { type: 'string' }, pairs: { type: 'string' } },
  });
  const { size, pairs } = values;
  const chosen = stepCases.filter(({ name }) => size === undefined || name === size);
  if (chosen.length === 0)
    throw new Error(`--size: expected one of ${stepCases.map(({ name }) => name).join(', ')}, got ${size}`);
  if (pairs !== undefined && !(Number.isSafeInteger(Number(pairs)) && Number(pairs) > 0))
    throw new Error(`--pairs: expected a number of at least 1, got ${pairs}`);
  return chosen.map((step) => (pairs === undefined ? step : { ...step, pairs: Number(pairs) }));
}

/** Answers the question `step`: prints a table, returns its figures. Options: `--size NAME`, `--pairs N`. */
export async function bench(options: readonly string[] = []): Promise<object> {
  const cases = chosenCases(options);
  const threads = availableParallelism();
  console.log(`one inner step, ${threads} threads, medians of neighbouring turns`);
  console.log(row(header));
  const figures: Record<string, StepFigures> = {};
  for (const step of cases) {
    try {
      const found = await measure(step, threads);
      console.log(tableRow(step.name, found));
      if (step.counts) figures[step.name] = found;
    } catch (error) {
      if (step.counts) throw error;
      console.log(`${step.name}: ${(error as Error).message}`);
    }
  }
  if (Object.values(figures).some(({ ratio }) => ratio === null))
    console.log(
      'PyTorch is missing, so only ours was timed. To compare: pip install torch (CPU build), then again.',
    );
  return { step: figures };
}
