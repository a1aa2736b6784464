/** Question `overlap`: does a peer go on training while its rounds are certified over a slow link? */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { lossCostOfOverlap } from '../../../engine/bench/convergence/convergence.ts';
import { prepareCorpus } from '../../src/demo/corpus.ts';
import { languages, model, training } from '../../src/demo/defaults.ts';
import { CliError } from '../../src/errors.ts';
import { formatBytes, formatCount, formatShare } from '../../src/format.ts';
import { formatTable } from '../../src/table.ts';
import { whyNoNamespaces } from '../namespaces/lan.ts';
import * as defaults from './defaults.ts';
import { type Case, playCase } from './play-case.ts';
import type { Span } from './span.ts';

/** What is said as JSON. */
export interface Figures {
  /** Share of wall time in which a peer's engine trained, mean over the peers of the shaped, overlapped case. */
  readonly utilisationPercent: number;
  readonly lossCostPercent: number;
}

/** What one row of the table says. */
interface Row {
  readonly utilisation: { readonly lowest: number; readonly mean: number };
  /** Shares of wall time, means over the peers. */
  readonly calls: number;
  readonly evaluation: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly tokensPerSecond: number;
  readonly sentBytesPerRound: number;
  readonly certificationMs: number;
}

const mean = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0) / values.length;

const median = (values: readonly number[]): number =>
  values.toSorted((left, right) => left - right)[values.length >> 1] ?? Number.NaN;

/** All peers of a case together. */
export function summarize(spans: readonly Span[]): Row {
  const shares = spans.map(({ trainingSeconds, seconds }) => trainingSeconds / seconds);
  const tokensPerStep = training.batch * model.context;
  return {
    utilisation: { lowest: Math.min(...shares), mean: mean(shares) },
    calls: mean(spans.map(({ callsSeconds, seconds }) => callsSeconds / seconds)),
    evaluation: mean(spans.map(({ evaluationSeconds, seconds }) => evaluationSeconds / seconds)),
    rounds: Math.min(...spans.map(({ rounds }) => rounds)),
    seconds: mean(spans.map(({ seconds }) => seconds)),
    tokensPerSecond: spans.reduce((sum, { steps, seconds }) => sum + (steps * tokensPerStep) / seconds, 0),
    sentBytesPerRound: mean(spans.map(({ sentBytes, rounds }) => sentBytes / rounds)),
    certificationMs: median(spans.flatMap(({ certificationMs }) => certificationMs)),
  };
}

function describe(rows: readonly { readonly name: string; readonly row: Row }[]): string {
  return formatTable(
    [
      ...['case', 'utilisation: lowest', 'mean', 'calls', 'waiting', 'rounds', 's', 'tokens/s'],
      ...['sent per round', 'encoded to certified'],
    ],
    rows.map(({ name, row }) => [
      name,
      formatShare(row.utilisation.lowest),
      formatShare(row.utilisation.mean),
      formatShare(row.calls),
      formatShare(1 - row.utilisation.mean - row.calls - row.evaluation),
      String(row.rounds),
      row.seconds.toFixed(0),
      formatCount(row.tokensPerSecond),
      formatBytes(row.sentBytesPerRound),
      `${row.certificationMs.toFixed(0)} ms`,
    ]),
  );
}

interface Plan {
  readonly rounds: number;
  readonly overlapSteps: number;
  /** Only the case that the figures are from. */
  readonly isShort: boolean;
}

function readPlan(options: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...options],
    options: {
      rounds: { type: 'string', default: String(defaults.rounds) },
      overlap: { type: 'string', default: String(defaults.overlapSteps) },
      short: { type: 'boolean', default: false },
    },
  });
  const count = (name: 'rounds' | 'overlap', min: number): number => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= min) return value;
    throw new CliError(`--${name}: expected a whole number of at least ${min}, got ${values[name]}`, {
      code: 'bad-option',
    });
  };
  return { rounds: count('rounds', 4), overlapSteps: count('overlap', 1), isShort: values.short };
}

const casesOf = ({ overlapSteps, isShort }: Plan): Case[] => {
  const { delayMs, bitsPerSecond } = defaults.link;
  const shaped = `${delayMs} ms, ${bitsPerSecond / 1e6} Mb/s`;
  const cases = [
    { name: `${shaped}, overlap`, isShaped: true, overlapSteps },
    { name: `${shaped}, waits`, isShaped: true, overlapSteps: 0 },
    { name: 'loopback, overlap', isShaped: false, overlapSteps },
    { name: 'loopback, waits', isShaped: false, overlapSteps: 0 },
  ];
  return isShort ? cases.slice(0, 1) : cases;
};

export async function bench(options: readonly string[] = []): Promise<Figures> {
  const plan = readPlan(options);
  const reason = whyNoNamespaces();
  if (reason) throw new CliError(reason, { code: 'bad-option' });
  const directory = mkdtempSync(join(tmpdir(), 'murmuration-overlap-'));
  try {
    const texts = join(directory, 'text');
    await prepareCorpus(texts, languages.founders);
    const rows: { name: string; row: Row }[] = [];
    for (const [index, each] of casesOf(plan).entries()) {
      const stores = join(directory, `case-${index}`);
      const spans = await playCase(each, {
        directory: stores,
        rounds: plan.rounds,
        textOf: (language) => join(texts, language),
      });
      rmSync(stores, { recursive: true, force: true });
      rows.push({ name: each.name, row: summarize(spans) });
      console.log(`${each.name}: ${formatShare(summarize(spans).utilisation.mean)}`);
    }
    console.log(describe(rows));
    return {
      utilisationPercent: 100 * (rows[0]?.row.utilisation.mean ?? Number.NaN),
      lossCostPercent: await lossCostOfOverlap(),
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
