/**
 * Samples for a model of which nobody has any: random floats, and integers in the range that the graph shows them to
 * have, as the rows of the table that they pick; 0 and 1 where it shows none.
 */
import { classesOf, fixDimensions } from '@murmuration/autodiff';
import { createRandom } from '@murmuration/base';
import { inferShapes, intOf, type Model, type Node, type Tensor, type ValueInfo } from '@murmuration/onnx';
import { EngineError } from './errors.ts';
import { createInput, isArrayType } from './samples.ts';
import { reshaping, sourcesOf } from './value-rules.ts';

/** Integers from `from` on, below `below`. */
interface IntegerRange {
  readonly from: number;
  readonly below: number;
}

/** What an operator wants of the integers at one of its inputs. */
interface IntegerInput {
  readonly position: number;
  /** By the sizes of its first input. */
  range(sizes: readonly unknown[], node: Node): IntegerRange;
}

const rowOnAxis = (sizes: readonly unknown[], node: Node): IntegerRange => ({
  from: 0,
  below: Number(sizes.at(intOf(node, 'axis', 0))),
});

const lengthOfSequence = ([longest]: readonly unknown[]): IntegerRange => ({
  from: 1,
  below: Number(longest) + 1,
});

const integerInputs: Readonly<Record<string, IntegerInput>> = {
  Gather: { position: 1, range: rowOnAxis },
  GatherElements: { position: 1, range: rowOnAxis },
  GRU: { position: 4, range: lengthOfSequence },
  LSTM: { position: 4, range: lengthOfSequence },
  RNN: { position: 4, range: lengthOfSequence },
};

/** Operators whose first output is integers of their first input. */
const passing: ReadonlySet<string> = new Set([...reshaping, 'Expand', 'Slice', 'TopK']);

/** The integers that all readers of an input take, where the graph says. */
function integerRanges(
  model: Model,
  inputs: readonly ValueInfo[],
  sizes: Readonly<Record<string, number>>,
): ReadonlyMap<string, IntegerRange> {
  const known = inferShapes(fixDimensions(model, sizes));
  const sources = sourcesOf(model.graph, inputs, passing);
  const ranges = new Map<string, IntegerRange>();
  for (const node of model.graph.nodes) {
    const wanted = Object.hasOwn(integerInputs, node.operator) ? integerInputs[node.operator] : undefined;
    const source = wanted && sources.get(node.inputs[wanted.position] ?? '');
    const shape = known.get(node.inputs[0] ?? '')?.shape;
    if (!wanted || source === undefined || !shape) continue;
    const { from, below } = wanted.range(shape, node);
    const before = ranges.get(source) ?? { from, below };
    if (from < below)
      ranges.set(source, { from: Math.max(from, before.from), below: Math.min(below, before.below) });
  }
  const classes = classesOf(model);
  if (classes) ranges.set('targets', { from: 0, below: classes.count });
  return ranges;
}

function sampleOf(
  { name, type, shape }: ValueInfo,
  sizes: Readonly<Record<string, number>>,
  { from, below }: IntegerRange,
): Tensor {
  const bad = (expected: string, got: string): EngineError =>
    new EngineError(`input ${name}: expected ${expected}, got ${got}`, { code: 'bad-samples', input: name });
  if (!shape) throw bad('a declared rank', 'none');
  if (!isArrayType(type)) throw bad('float32, int64, int32, uint8 or bool', type);
  const dimensions = shape.map((dimension) =>
    typeof dimension === 'number' ? dimension : (sizes[dimension] ?? 1),
  );
  const { data } = createInput(type, dimensions);
  const random = createRandom(`sample/${name}`);
  const integer = (): number => from + random.below(Math.max(1, below - from));
  for (let i = 0; i < data.length; i++)
    if (data instanceof Float32Array) data[i] = 2 * random.unit() - 1;
    else data[i] = data instanceof BigInt64Array ? BigInt(integer()) : integer();
  return { name, type, shape: dimensions, data };
}

/**
 * Makes samples up. Throws `EngineError` `bad-samples` for an input that cannot be made up or is too large,
 * `OnnxError`.
 */
export function madeUpSamples(
  model: Model,
  inputs: readonly ValueInfo[],
  sizes: Readonly<Record<string, number>>,
): readonly Tensor[] {
  const ranges = integerRanges(model, inputs, sizes);
  return inputs.map((input) => sampleOf(input, sizes, ranges.get(input.name) ?? { from: 0, below: 2 }));
}
