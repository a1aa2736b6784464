import { availableParallelism } from 'node:os';
import { FactError, second } from '@murmuration/base';
import type { inspectFile } from '@murmuration/engine';
import type { Dimension, Model, ValueInfo } from '@murmuration/onnx';
import { type Command, InvalidArgumentError } from 'commander';
import { settledDataPaths } from '../data-paths.ts';
import { CliError } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';
import { formatBytes, formatCount, formatDuration } from '../format.ts';
import { stopOnSignals } from '../signals.ts';
import { formatTable } from '../table.ts';
import { printable, printableLines } from '../text-width.ts';
import { collect, decimalNumber, wholeNumber, withJson } from './options.ts';
import { type TrainingOptions, tieText, trainingRequest, withTrainingOptions } from './training-options.ts';

interface ModelOptions extends TrainingOptions {
  readonly json: boolean;
}

interface CheckOptions extends ModelOptions {
  readonly size?: Readonly<Record<string, number>>;
  readonly batch: number;
  readonly context: number;
  readonly threads: number;
  readonly data?: string[];
  readonly timeLimit?: number;
}

/** For commander: `name=count`, collected into a record. */
function collectSize(text: string, earlier: Readonly<Record<string, number>> = {}): Record<string, number> {
  const [name = '', count = ''] = text.split('=');
  if (name === '') throw new InvalidArgumentError(`expected NAME=COUNT, got ${JSON.stringify(text)}`);
  return { ...earlier, [name]: wholeNumber(1, 65_536)(count) };
}

export function addModel(program: Command): void {
  const model = program.command('model').description('look into an ONNX file before it is trained or shared');
  withJson(withTrainingOptions(model.command('show')))
    .argument('<file>', 'ONNX model')
    .description('inputs, outputs, operators, and what would train')
    .action(showModel);
  withJson(withTrainingOptions(model.command('check')))
    .argument('<file>', 'ONNX model')
    .description('gradients against finite differences, operators without a rule, memory and time of a step')
    .option('--batch <count>', 'samples of the step', wholeNumber(1, 65_536), 2)
    .option(
      '--context <tokens>',
      'tokens per sample, and size of other symbolic dimensions',
      wholeNumber(1, 65_536),
      32,
    )
    .option('--size <name=count>', 'size of one symbolic dimension; may be repeated', collectSize)
    .option('--threads <count>', 'threads', wholeNumber(1, 256), availableParallelism())
    .option(
      '-d, --data <path>',
      'samples as a run would train on, which show more than made-up ones; may be repeated',
      collect,
    )
    .option(
      '--time-limit <seconds>',
      'the check ends after this long (default: 1800)',
      decimalNumber(1, 86_400),
    )
    .addHelpText(
      'after',
      `
Example:
  murmur model show resnet18.onnx --loss cross-entropy
  murmur model check gpt2.onnx --samples text --loss cross-entropy --train lora:r=8,targets=c_attn

Exit code 1: a gradient is wrong, an operator on the way to the loss has none, or the check came to no end.`,
    )
    .action(checkModel);
}

const shapeText = (shape: readonly Dimension[] | undefined): string =>
  shape ? `[${shape.join(', ')}]` : 'any shape';

const listed = (title: string, values: readonly ValueInfo[]): string =>
  values
    .map(({ name, type, shape }, index) =>
      printable(`${(index === 0 ? title : '').padEnd(10)}${name}  ${type} ${shapeText(shape)}`),
    )
    .join('\n');

const supportWords = {
  rule: 'gradient',
  none: 'no gradient by nature',
  unsupported: 'no rule',
  foreign: 'unknown: a run would refuse it',
} as const;

async function operatorRows(model: Model) {
  const { operatorSupport } = await import('@murmuration/autodiff');
  const { allNodes } = await import('@murmuration/onnx');
  const counts = new Map<string, { operator: string; domain: string; count: number }>();
  for (const { operator, domain } of allNodes(model)) {
    const key = `${domain}:${operator}`;
    const row = counts.get(key) ?? { operator, domain, count: 0 };
    counts.set(key, { ...row, count: row.count + 1 });
  }
  return [...counts.values()]
    .map((row) => ({ ...row, support: operatorSupport(row) }))
    .toSorted((left, right) => right.count - left.count || (left.operator < right.operator ? -1 : 1));
}

async function prepare(file: string, options: ModelOptions) {
  const { prepareTraining } = await import('@murmuration/autodiff');
  const { readModelFile } = await import('@murmuration/engine');
  const { checkModel: checkValidity, parametersOf } = await import('@murmuration/onnx');
  const model = readModelFile(file);
  checkValidity(model);
  const request = trainingRequest(options);
  const attempt = (): { prepared: ReturnType<typeof prepareTraining> } | { reason: string } => {
    try {
      return { prepared: prepareTraining(model, request) };
    } catch (error) {
      if (!(error instanceof FactError)) throw error;
      return { reason: error.message };
    }
  };
  return { model, parametersOf, ...attempt() };
}

/** How many nodes read each weight: several where the file shares it. */
async function readersOf(model: Model): Promise<ReadonlyMap<string, number>> {
  const { usedValues } = await import('@murmuration/onnx');
  const readers = new Map<string, number>();
  for (const node of model.graph.nodes)
    for (const name of usedValues(node)) readers.set(name, (readers.get(name) ?? 0) + 1);
  return readers;
}

/** Names come from the file, which may be anybody's. */
const say = (text: string): void => console.log(printableLines(text));

const operatorTable = (operators: Awaited<ReturnType<typeof operatorRows>>): string =>
  formatTable(
    ['operator', 'nodes', 'gradient'],
    operators.map(({ operator, domain, count, support }) => [
      domain === '' ? operator : `${domain}:${operator}`,
      String(count),
      supportWords[support],
    ]),
    ['left', 'right', 'left'],
  );

async function showModel(file: string, options: ModelOptions): Promise<void> {
  const { model, parametersOf, ...attempt } = await prepare(file, options);
  const operators = await operatorRows(model);
  const trains = 'prepared' in attempt ? parametersOf(attempt.prepared.model) : [];
  const tied = 'prepared' in attempt ? attempt.prepared.tied : [];
  const readers = 'prepared' in attempt ? await readersOf(attempt.prepared.model) : new Map<string, number>();
  const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
  const trained = trains.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const { inputs, outputs, initializers } = model.graph;
  const weights = initializers.filter(({ type }) => type === 'float32');
  const values = weights.reduce((sum, { data }) => sum + data.length, 0);
  const opset = model.opsets[''] ?? 0;
  if (options.json) {
    const shown = trains.map(({ name, shape, update }) => ({
      name,
      shape,
      readers: readers.get(name) ?? 0,
      ...(update && { update: update.kind }),
    }));
    const reason = 'reason' in attempt ? { reason: attempt.reason } : {};
    console.log(
      JSON.stringify({
        producer: model.producer,
        opset,
        inputs,
        outputs,
        weights: weights.length,
        values,
        trains: shown,
        trained,
        tied,
        operators,
        ...reason,
      }),
    );
    return;
  }
  say(printable(`file      ${file}, opset ${opset}${model.producer ? `, by ${model.producer}` : ''}`));
  say(listed('inputs', inputs));
  say(listed('outputs', outputs));
  say(`weights   ${weights.length} tensors, ${formatCount(values)} values\n`);
  say(operatorTable(operators));
  if ('reason' in attempt) {
    say(`\nnothing would train: ${attempt.reason}`);
    return;
  }
  say(`\nwould train ${formatCount(trained)} values in ${trains.length} tensors:`);
  say(
    formatTable(
      ['parameter', 'shape', 'values', ''],
      trains.map(({ name, shape, update }) => [
        update ? `${name} (running statistic)` : name,
        shapeText(shape),
        formatCount(sizeOf(shape)),
        (readers.get(name) ?? 0) > 1 ? `read by ${readers.get(name)} nodes` : '',
      ]),
      ['left', 'right', 'right', 'left'],
    ).replaceAll(/ +$/gm, ''),
  );
  for (const tie of tied) say(tieText(tie));
}

type Gradients = Awaited<ReturnType<typeof inspectFile>>['gradients'];

/** What was found of the gradients, in a line, and what is not as it should be. */
function gradientLines(gradients: Gradients): readonly string[] {
  const count = (verdict: Gradients[number]['verdict']): number =>
    gradients.filter((gradient) => gradient.verdict === verdict).length;
  const parts = [`${count('agrees')} agree with finite differences`];
  if (count('no-gradient') > 0) parts.push(`${count('no-gradient')} had no gradient on these samples`);
  if (count('uncertain') > 0) parts.push(`${count('uncertain')} uncertain: a kink`);
  if (count('wrong') > 0) parts.push(`${count('wrong')} wrong`);
  const odd = gradients.filter(({ verdict }) => verdict === 'wrong' || verdict === 'uncertain');
  return [
    parts.join(', '),
    ...odd.map(
      ({ parameter, verdict, relativeError, norm }) =>
        `  ${parameter}: ${verdict}, relative error ${relativeError.toExponential(1)}, norm ${norm.toExponential(1)}`,
    ),
  ];
}

async function inspect(file: string, options: CheckOptions) {
  const { inspectFile } = await import('@murmuration/engine');
  const { batch, context, threads, size = {}, data, samples, timeLimit } = options;
  const stopped = new AbortController();
  const watch = stopOnSignals(() => stopped.abort());
  try {
    return await inspectFile(
      {
        path: file,
        request: trainingRequest(options),
        sizes: { batch, context, named: size },
        threads,
        ...(data && { data: settledDataPaths(data), dataKind: samples ?? 'arrays' }),
      },
      { ...(timeLimit !== undefined && { timeoutMs: timeLimit * second }), signal: stopped.signal },
    );
  } catch (error) {
    if (!(error instanceof FactError) || error instanceof CliError) throw error;
    return { reason: error.message, code: error.code };
  } finally {
    watch.dispose();
  }
}

async function checkModel(file: string, options: CheckOptions): Promise<void> {
  const { readModelFile } = await import('@murmuration/engine');
  const found = await inspect(file, options);
  const operators = await operatorRows(readModelFile(file));
  const without = operators.filter(({ support }) => support === 'unsupported' || support === 'foreign');
  if ('reason' in found) {
    process.exitCode ??= exitCodes.failure;
    if (options.json) console.log(JSON.stringify({ ok: false, ...found, without }));
    else say(`cannot be checked: ${found.reason}`);
    return;
  }
  const { gradients, memory, stepMs, loss } = found;
  const isWrong = gradients.some(({ verdict }) => verdict === 'wrong');
  if (isWrong) process.exitCode = exitCodes.failure;
  if (options.json) {
    console.log(JSON.stringify({ ok: !isWrong, ...found, without }));
    return;
  }
  say(`loss        ${loss.toFixed(4)} on ${options.data ? options.data.join(', ') : 'made-up samples'}`);
  say(`gradients   ${gradientLines(gradients).join('\n')}`);
  say(
    `operators   ${without.length === 0 ? 'all have a gradient, or none by nature' : `without a rule, and not on the way to the loss: ${without.map(({ operator }) => operator).join(', ')}`}`,
  );
  say(
    `memory      about ${formatBytes(memory.activations + memory.vectors)}: activations ${formatBytes(memory.activations)}, parameters, gradients and optimizer ${formatBytes(memory.vectors)}${memory.unknown > 0 ? ` (${memory.unknown} values of unknown size not counted)` : ''}`,
  );
  say(
    `step        ${stepMs < 1_000 ? `${stepMs.toFixed(1)} ms` : formatDuration(stepMs)} forward and backward, ${options.threads} threads`,
  );
}
