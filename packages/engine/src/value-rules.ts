/**
 * What the values of samples must be, beyond their type. A graph would not always notice: a value that is not finite
 * spoils a whole step, and negative classes and rows of tables are counted from the end, which PyTorch refuses.
 */
import { classesOf, type TargetClasses } from '@murmuration/autodiff';
import { type Graph, intOf, type ValueInfo } from '@murmuration/onnx';
import type { RunModel } from './model.ts';
import type { InputArray } from './samples.ts';

/** A rule for each value of an input. */
export interface ValueRule {
  /** In words. */
  readonly expected: string;
  /** The index of the first of some values that breaks it; −1 if none does. */
  firstWrong(values: InputArray, start: number, end: number): number;
}

/** Rules by input name. */
export type ValueRules = ReadonlyMap<string, ValueRule>;

function ruleOf(expected: string, holds: (value: number) => boolean): ValueRule {
  return {
    expected,
    firstWrong(values, start, end) {
      for (let i = start; i < end; i++) if (!holds(Number(values[i]))) return i;
      return -1;
    },
  };
}

const finite = ruleOf('finite values', Number.isFinite);

const classes = ({ count, ignore }: TargetClasses): ValueRule =>
  ruleOf(
    `classes from 0 to ${count - 1}${ignore === undefined ? '' : `, or ${ignore}, which does not count`}`,
    (value) => (value >= 0 && value < count) || value === ignore,
  );

/** A matrix of which an input says which rows to take. */
interface Table {
  readonly name: string;
  readonly rows: number;
}

const rowsOf = ({ name, rows }: Table): ValueRule =>
  ruleOf(`0 to ${rows - 1} for the ${rows} rows of ${name}`, (value) => value >= 0 && value < rows);

/** Operators that give the integers of their first input, in another shape or width. */
export const reshaping: ReadonlySet<string> = new Set([
  ...['Identity', 'Cast', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose'],
]);

/** Values that are an integer input, as operators pass it on, each with that input's name. */
export function sourcesOf(
  { nodes }: Graph,
  inputs: readonly ValueInfo[],
  passing: ReadonlySet<string>,
): ReadonlyMap<string, string> {
  const sources = new Map(
    inputs.filter(({ type }) => /^int/.test(type)).map(({ name }): [string, string] => [name, name]),
  );
  for (const { operator, inputs: from, outputs } of nodes) {
    const source = passing.has(operator) ? sources.get(from[0] ?? '') : undefined;
    if (source !== undefined) sources.set(outputs[0] ?? '', source);
  }
  return sources;
}

/** What of a run's model says what its inputs may be. */
type FedModel = Pick<RunModel, 'model' | 'inputs' | 'layout' | 'frozen'>;

/** The smallest table that each input picks rows of. */
function tablesOf({ model: { graph }, inputs, layout, frozen }: FedModel): ReadonlyMap<string, Table> {
  const weights = [
    ...layout.slots,
    ...frozen.slots,
    ...graph.initializers.filter(({ type }) => type === 'float32'),
  ];
  const matrices = new Map(
    weights.filter(({ shape }) => shape.length === 2).map(({ name, shape }) => [name, shape]),
  );
  const sources = sourcesOf(graph, inputs, reshaping);
  const tables = new Map<string, Table>();
  for (const node of graph.nodes) {
    const [first = '', second = ''] = node.inputs;
    const source = node.operator === 'Gather' && intOf(node, 'axis', 0) === 0 && sources.get(second);
    const rows = matrices.get(first)?.[0];
    if (!source || rows === undefined) continue;
    if (rows < (tables.get(source)?.rows ?? Number.POSITIVE_INFINITY))
      tables.set(source, { name: first, rows });
  }
  return tables;
}

/**
 * The rules for a model's inputs: floats are finite, targets are classes, and what picks rows of a weight (a token of
 * its embedding) is one of them. Throws `AutodiffError` `bad-request` for metadata that says nothing readable.
 */
export function valueRulesOf(runModel: FedModel): ValueRules {
  const targets = classesOf(runModel.model);
  const tables = tablesOf(runModel);
  return new Map(
    runModel.inputs.flatMap(({ name, type }): [string, ValueRule][] => {
      if (type === 'float32') return [[name, finite]];
      if (name === 'targets' && type === 'int64' && targets) return [[name, classes(targets)]];
      const table = tables.get(name);
      return table ? [[name, rowsOf(table)]] : [];
    }),
  );
}
