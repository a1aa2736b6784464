import {
  type Dimension,
  inferShapes,
  ints,
  intsOf,
  type Model,
  type Node,
  pruneModel,
} from '@murmuration/onnx';
import { expressionsOf } from './pattern.ts';

interface Transposed {
  readonly value: string;
  readonly permutation: readonly number[];
}

const isIdentity = (permutation: readonly number[]): boolean => permutation.every((from, to) => from === to);

const sameShape = (left: readonly Dimension[], right: readonly Dimension[]): boolean =>
  left.length === right.length && left.every((size, axis) => size === right[axis] && size !== '?');

/**
 * Makes one transposition of several: of one after another, and of the last two axes alone with the axes before them
 * joined by a Reshape and parted again, as exporters write a transposition of rank 4 in terms of rank 3.
 */
export function mergeTransposes(model: Model): Model {
  const { producerOf } = expressionsOf(model);
  const known = inferShapes(model);
  const shapeOf = (value: string): readonly Dimension[] | undefined => known.get(value)?.shape;

  const plainTransposition = (node: Node | undefined): Transposed | undefined => {
    if (node?.operator !== 'Transpose' || node.domain !== '') return undefined;
    const value = node.inputs[0] ?? '';
    const rank = shapeOf(value)?.length;
    if (rank === undefined) return undefined;
    const reversed = Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
    return { value, permutation: intsOf(node, 'perm') ?? reversed };
  };

  /** Reshape(Transpose(Reshape(x))) that only swaps the last two axes of x. */
  const hiddenTransposition = (node: Node | undefined): Transposed | undefined => {
    if (node?.operator !== 'Reshape') return undefined;
    const inner = plainTransposition(producerOf(node.inputs[0] ?? ''));
    const joining = inner && producerOf(inner.value);
    if (!inner || joining?.operator !== 'Reshape' || inner.permutation.join() !== '0,2,1') return undefined;
    const value = joining.inputs[0] ?? '';
    const [from, joined, to] = [shapeOf(value), shapeOf(inner.value), shapeOf(node.outputs[0] ?? '')];
    if (!from || !joined || !to || from.length < 3) return undefined;
    const [rows, columns] = from.slice(-2) as [Dimension, Dimension];
    const leading = from.slice(0, -2);
    if (!sameShape([rows, columns], joined.slice(1)) || !sameShape([...leading, columns, rows], to))
      return undefined;
    const rank = from.length;
    const axes = Array.from({ length: rank - 2 }, (_, axis) => axis);
    return { value, permutation: [...axes, rank - 1, rank - 2] };
  };

  const transpositionOf = (node: Node | undefined): Transposed | undefined =>
    plainTransposition(node) ?? hiddenTransposition(node);

  /** Values as one transposition of what was not transposed before. */
  const whole = new Map<string, Transposed>();
  let found = false;
  const merged = (node: Node): Node => {
    const own = transpositionOf(node);
    if (!own) return node;
    const inner = whole.get(own.value);
    const value = inner?.value ?? own.value;
    const permutation = inner
      ? own.permutation.map((axis) => inner.permutation[axis] as number)
      : own.permutation;
    whole.set(node.outputs[0] ?? '', { value, permutation });
    if (value === node.inputs[0]) return node;
    found = true;
    const same = { ...node, inputs: [value] };
    return isIdentity(permutation)
      ? { ...same, operator: 'Identity', attributes: {} }
      : { ...same, operator: 'Transpose', attributes: { perm: ints(permutation) } };
  };
  const nodes = model.graph.nodes.map(merged);
  if (!found) return model;
  return pruneModel(
    { ...model, graph: { ...model.graph, nodes } },
    model.graph.outputs.map(({ name }) => name),
  );
}
