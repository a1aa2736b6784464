/**
 * Question `convergence`: how much worse than data-parallel training do peers learn that exchange deltas, and how many
 * bytes do they save? See README.md.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { prepareCorpus } from '../../../cli/src/demo/corpus.ts';
import { formatTable } from '../../../cli/src/table.ts';
import { drawChart } from './chart.ts';
import { outcomesOf } from './results.ts';
import { languages, studies, type Trial } from './studies.ts';
import type { Outcome, Point } from './train.ts';

export interface ConvergenceFigures {
  /** Peers, and inner steps of each. */
  readonly R: number;
  readonly steps: number;
  /** Final losses on held-out text, nats per byte; of the first two the mean over the seeds. */
  readonly dataParallelLoss: number;
  readonly oursLoss: number;
  readonly gapPercent: number;
  /** Bytes that a peer sends, data-parallel to ours. */
  readonly bytesTimesFewer: number;
  readonly dilocoLoss: number;
  readonly soloLoss: number;
}

/** Of each language's held-out text. */
const heldOutBytes = 24_000;
const points = 40;
const kept = fileURLToPath(
  new URL('../../../../node_modules/.cache/murmuration-convergence', import.meta.url),
);

interface Done {
  readonly trial: Trial;
  readonly outcome: Outcome;
}

const lastOf = ({ outcome }: Done): Point => outcome.curve.at(-1) as Point;

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Of several seeds: the mean, and how far the furthest is from it. */
function spread(values: readonly number[]): string {
  const middle = mean(values);
  const furthest = Math.max(...values.map((value) => Math.abs(value - middle)));
  return values.length > 1 ? `${middle.toFixed(4)} ± ${furthest.toFixed(4)}` : middle.toFixed(4);
}

/** Trials of one label, its seeds, in the order of the study. */
function grouped(done: readonly Done[]): ReadonlyMap<string, readonly Done[]> {
  const groups = new Map<string, Done[]>();
  for (const each of done) groups.set(each.trial.label, [...(groups.get(each.trial.label) ?? []), each]);
  return groups;
}

/** Each label against the one that its study names as its reference. */
function tableOf(done: readonly Done[]): string {
  const groups = grouped(done);
  const rows = [...groups].map(([label, runs]) => {
    const [first] = runs as [Done];
    const reference = groups.get(first.trial.reference) ?? runs;
    const loss = mean(runs.map((run) => lastOf(run).loss));
    const compared = mean(reference.map((run) => lastOf(run).loss));
    const { bytes, tokens } = lastOf(first);
    const { parameters, plan } = first.outcome;
    const parallel = parameters * Float32Array.BYTES_PER_ELEMENT * plan.steps;
    return [
      label,
      spread(runs.map((run) => lastOf(run).loss)),
      `${(100 * (loss / compared - 1)).toFixed(1)} %`,
      (tokens / 1e6).toFixed(1),
      (bytes / 1e6).toFixed(2),
      bytes > 0 ? (parallel / bytes).toFixed(0) : '',
      mean(runs.map(({ outcome }) => outcome.seconds)).toFixed(0),
    ];
  });
  const header = ['training', 'loss', 'above', 'M tokens', 'MB sent', 'times fewer', 's'];
  return formatTable(header, rows);
}

function writeCharts(folder: string, name: string, done: readonly Done[]): void {
  const firstOfEach = [...grouped(done).values()].map(([first]) => first as Done);
  const chartOf = (title: string, xLabel: string, x: (point: Point) => number): string =>
    drawChart({
      ...{ title, xLabel, yLabel: 'held-out loss, nats per byte' },
      series: firstOfEach.map(({ trial, outcome }) => ({
        label: trial.label,
        points: outcome.curve.map((point): [number, number] => [x(point), point.loss]),
      })),
    });
  mkdirSync(folder, { recursive: true });
  const write = (against: string, svg: string): void =>
    writeFileSync(join(folder, `${name}-${against}.svg`), svg);
  write(
    'tokens',
    chartOf('Loss against tokens of all peers', 'tokens', ({ tokens }) => tokens),
  );
  write(
    'bytes',
    chartOf('Loss against bytes that a peer sends', 'bytes', ({ bytes }) => bytes),
  );
}

function figuresOf(done: readonly Done[]): ConvergenceFigures {
  const groups = grouped(done);
  const of = (label: string): readonly Done[] => groups.get(label) ?? [];
  const lossOf = (label: string): number => mean(of(label).map((run) => lastOf(run).loss));
  const [ours] = of('ours') as [Done];
  const { plan, parameters } = ours.outcome;
  const [dataParallelLoss, oursLoss] = [lossOf('data-parallel'), lossOf('ours')];
  return {
    ...{ R: plan.peers, steps: plan.steps, dataParallelLoss, oursLoss },
    gapPercent: 100 * (oursLoss / dataParallelLoss - 1),
    bytesTimesFewer: (parameters * Float32Array.BYTES_PER_ELEMENT * plan.steps) / lastOf(ours).bytes,
    dilocoLoss: lossOf('DiLoCo'),
    soloLoss: lossOf('alone'),
  };
}

/** The trials of a study, those trained that `keep` does not hold. */
async function play(trials: readonly Trial[], keep: string, workers: number): Promise<Done[]> {
  const texts = (await prepareCorpus(join(keep, 'texts'), languages)).map(({ folder }) => folder);
  const settings = { results: join(keep, 'results'), texts, heldOutBytes, points };
  const outcomes = await outcomesOf(
    trials.map(({ plan }) => plan),
    settings,
    workers,
  );
  return trials.map((trial, index) => ({ trial, outcome: outcomes[index] as Outcome }));
}

/**
 * By how many percent the held-out loss is higher after the same tokens when peers train a whole round on top of what
 * is being certified than when they wait.
 */
export async function lossCostOfOverlap(): Promise<number> {
  const [waits, ...overlaps] = await play(studies.overlap ?? [], kept, 1);
  const whole = overlaps.at(-1);
  return waits && whole ? 100 * (lastOf(whole).loss / lastOf(waits).loss - 1) : Number.NaN;
}

/** Which studies, where their trainings are kept, where curves go, and how many trainings run at a time. */
function readOptions(options: readonly string[]) {
  const { values } = parseArgs({
    args: [...options],
    options: {
      study: { type: 'string', default: 'final' },
      keep: { type: 'string', default: kept },
      charts: { type: 'string', default: join(dirname(fileURLToPath(import.meta.url)), 'curves') },
      workers: { type: 'string', default: '2' },
    },
  });
  const { study, keep, charts } = values;
  const workers = Number(values.workers);
  if (!Number.isInteger(workers) || workers < 1)
    throw new Error(`--workers: expected a whole number of at least 1, got ${values.workers}`);
  const names = study === 'all' ? Object.keys(studies) : [study];
  if (!names.every((name) => Object.hasOwn(studies, name)))
    throw new Error(`--study: expected all or one of ${Object.keys(studies).join(', ')}, got ${study}`);
  return { names, keep, charts, workers };
}

export async function bench(options: readonly string[]): Promise<ConvergenceFigures> {
  const { names, keep, charts, workers } = readOptions(options);
  for (const name of names) {
    const done = await play(studies[name] ?? [], keep, workers);
    console.log(`\n${name}\n\n${tableOf(done)}`);
  }
  const final = await play(studies.final ?? [], keep, workers);
  writeCharts(charts, 'final', final);
  return figuresOf(final);
}
