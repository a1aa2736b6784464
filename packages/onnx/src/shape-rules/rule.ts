import { inferenceElementsMax, rankMax } from '../defaults.ts';
import { unknown } from '../dimension.ts';
import { OnnxError } from '../errors.ts';
import { type Dimension, type ElementType, type Graph, intsOf, type Node, type Tensor } from '../model.ts';

/** What is known of a value before the graph runs. */
export interface KnownValue {
  readonly type: ElementType;
  /** Absent when not even the rank is known. */
  readonly shape?: readonly Dimension[] | undefined;
  /** The elements of a small tensor (a shape, axes, an index, scales), row-major, as far as they are known. */
  readonly elements?: readonly Dimension[] | undefined;
}

/** What a shape rule sees of its node. */
export interface ShapeContext {
  readonly node: Node;
  /** `node.inputs` one by one; absent for an optional input left out. */
  readonly inputs: readonly (KnownValue | undefined)[];
  /** How an error names the node. */
  readonly where: string;
  /** Infers a graph in an attribute from what is known of its inputs and gives what is known of its outputs. */
  readonly inferBody: (graph: Graph, inputs: readonly KnownValue[]) => readonly KnownValue[];
  /** How many graphs in attributes are around the node. */
  readonly depth: number;
}

/** Gives the outputs of a node in order. */
export type ShapeRule = (context: ShapeContext) => readonly KnownValue[];

/** Rules by the names of their operators. */
export type ShapeRules = Readonly<Record<string, ShapeRule>>;

/** Refuses a node whose shapes contradict each other. */
export function refuse({ where }: Pick<ShapeContext, 'where'>, message: string): never {
  throw new OnnxError(`${where}: ${message}`, { code: 'invalid-model' });
}

/** The element type of an input. */
export const typeOf = ({ inputs }: ShapeContext, index = 0): ElementType => inputs[index]?.type ?? 'float32';

/** An axis counted from the front. Throws `OnnxError` for one that a value of this rank does not have. */
export function axisOf(context: Pick<ShapeContext, 'where'>, axis: number, rank: number): number {
  const index = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(index) || index < 0 || index >= rank)
    refuse(context, `expected an axis of ${rank} dimensions, got ${axis}`);
  return index;
}

/** Refuses an input of another rank. */
export function requireRank(
  context: ShapeContext,
  shape: readonly Dimension[] | undefined,
  least: number,
  most = rankMax,
): void {
  if (shape && (shape.length < least || shape.length > most))
    refuse(context, `expected ${least === most ? least : `${least} to ${most}`} dimensions, got [${shape}]`);
}

/** Known elements as numbers, when all are. */
export function numbersOf(value: KnownValue | undefined): readonly number[] | undefined {
  const elements = value?.elements;
  return elements?.every((element) => typeof element === 'number')
    ? (elements as readonly number[])
    : undefined;
}

/** As many unknown dimensions as a rank says. */
export const unknownOfRank = (rank: number): readonly Dimension[] =>
  Array.from({ length: rank }, () => unknown);

/** A shape given by a value's elements, or as many unknown dimensions as it has elements. */
export function shapeFrom(value: KnownValue | undefined): readonly Dimension[] | undefined {
  if (value?.elements)
    return value.elements.map((element) =>
      typeof element === 'number' && !Number.isSafeInteger(element) ? unknown : element,
    );
  const rank = value?.shape?.[0];
  return typeof rank === 'number' && rank <= rankMax ? unknownOfRank(rank) : undefined;
}

/** Integers by an input (newer operator sets) or by an attribute (older ones). */
export function integersBy(
  { inputs, node }: ShapeContext,
  index: number,
  attribute: string,
): readonly number[] | undefined {
  const input = inputs[index];
  return input ? numbersOf(input) : intsOf(node, attribute);
}

/**
 * The number of elements of a shape without symbols, unless it is beyond what inference follows; a 0 does not make up
 * for the other dimensions.
 */
export function smallCount(shape: readonly Dimension[] | undefined): number | undefined {
  let [count, bound] = [1, 1];
  for (const dimension of shape ?? [unknown]) {
    if (typeof dimension !== 'number') return undefined;
    count *= dimension;
    bound *= Math.max(1, dimension);
  }
  return bound <= inferenceElementsMax ? count : undefined;
}

/** What is known of a constant. Half-precision elements are not followed. */
export function knownTensor({ type, shape, data }: Tensor): KnownValue {
  const readable = type !== 'float16' && type !== 'bfloat16' && data.length <= inferenceElementsMax;
  return {
    type,
    shape,
    elements: readable ? Array.from(data as ArrayLike<number | bigint>, Number) : undefined,
  };
}
