import { availableParallelism } from 'node:os';
import { FactError } from '@murmuration/base';
import type { Dimension, Model, ValueInfo } from '@murmuration/onnx';
import { type Command, InvalidArgumentError } from 'commander';
import { exitCodes } from '../exit-codes.ts';
import { formatBytes, formatCount, formatDuration } from '../format.ts';
import { formatTable } from '../table.ts';
import { printable, printableLines } from '../text-width.ts';
import { wholeNumber, withJson } from './options.ts';
import { type TrainingOptions, trainingRequest, withTrainingOptions } from './training-options.ts';

interface ModelOptions extends TrainingOptions {
  readonly json: boolean;
}

interface CheckOptions extends ModelOptions {
  readonly size?: Readonly<Record<string, number>>;
  readonly batch: number;
  readonly context: number;
  readonly threads: number;
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
    .addHelpText(
      'after',
      `
Example:
  murmur model show resnet18.onnx --loss cross-entropy
  murmur model check gpt2.onnx --samples text --loss cross-entropy --train lora:r=8,targets=c_attn

Exit code 1: a gradient is wrong, or an operator on the way to the loss has none.`,
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

/** Names come from the file, which may be anybody's. */
const say = (text: string): void => console.log(printableLines(text));

async function showModel(file: string, options: ModelOptions): Promise<void> {
  const { model, parametersOf, ...attempt } = await prepare(file, options);
  const operators = await operatorRows(model);
  const trains = 'prepared' in attempt ? parametersOf(attempt.prepared.model) : [];
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
  say(
    formatTable(
      ['operator', 'nodes', 'gradient'],
      operators.map(({ operator, domain, count, support }) => [
        domain === '' ? operator : `${domain}:${operator}`,
        String(count),
        supportWords[support],
      ]),
      ['left', 'right', 'left'],
    ),
  );
  if ('reason' in attempt) {
    say(`\nnothing would train: ${attempt.reason}`);
    return;
  }
  say(`\nwould train ${formatCount(trained)} values in ${trains.length} tensors:`);
  say(
    formatTable(
      ['parameter', 'shape', 'values'],
      trains.map(({ name, shape, update }) => [
        update ? `${name} (running statistic)` : name,
        shapeText(shape),
        formatCount(sizeOf(shape)),
      ]),
    ),
  );
}

/** As `checkGradients`: float32 forwards lose half of their digits in a difference. */
const tolerance = 2e-2;

async function checkModel(file: string, options: CheckOptions): Promise<void> {
  const { model, ...attempt } = await prepare(file, options);
  const operators = await operatorRows(model);
  const without = operators.filter(({ support }) => support === 'unsupported' || support === 'foreign');
  if ('reason' in attempt) {
    process.exitCode = exitCodes.failure;
    if (options.json) console.log(JSON.stringify({ ok: false, reason: attempt.reason, without }));
    else say(`cannot be trained: ${attempt.reason}`);
    return;
  }
  const { inspectModel } = await import('@murmuration/engine');
  const { batch, context, threads } = options;
  const found = await inspectModel(attempt.prepared, {
    sizes: { batch, context, named: options.size ?? {} },
    threads,
  });
  const wrong = found.gradients.filter(({ relativeError }) => !(relativeError <= tolerance));
  if (wrong.length > 0) process.exitCode = exitCodes.failure;
  if (options.json) {
    console.log(JSON.stringify({ ok: wrong.length === 0, ...found, without }));
    return;
  }
  const { gradients, memory, stepMs, loss } = found;
  const worst = Math.max(0, ...gradients.map(({ relativeError }) => relativeError));
  say(`loss        ${loss.toFixed(4)} on made-up samples`);
  say(
    `gradients   ${gradients.length - wrong.length} of ${gradients.length} parameters agree with finite differences, largest relative error ${worst.toExponential(1)} beyond rounding`,
  );
  for (const { parameter, norm, relativeError } of wrong)
    say(`  ${parameter}: relative error ${relativeError.toExponential(1)}, norm ${norm.toExponential(1)}`);
  say(
    `operators   ${without.length === 0 ? 'all have a gradient, or none by nature' : `without a rule, and not on the way to the loss: ${without.map(({ operator }) => operator).join(', ')}`}`,
  );
  say(
    `memory      about ${formatBytes(memory.activations + memory.vectors)}: activations ${formatBytes(memory.activations)}, parameters, gradients and optimizer ${formatBytes(memory.vectors)}${memory.unknown > 0 ? ` (${memory.unknown} values of unknown size not counted)` : ''}`,
  );
  say(
    `step        ${stepMs < 1_000 ? `${stepMs.toFixed(1)} ms` : formatDuration(stepMs)} forward and backward, ${threads} threads`,
  );
}
