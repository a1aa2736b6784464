import {
  createGraphBuilder,
  float,
  inferShapes,
  type Model,
  microsoft,
  type Node,
  pruneModel,
  usedValues,
} from '@murmuration/onnx';
import { type Expressions, expressionsOf } from './pattern.ts';

interface Scaled {
  readonly value: string;
  readonly scale: number;
}

/** A value as another one times a constant. */
function unscaled(value: string, { producerOf, scalarOf }: Expressions): Scaled {
  const node = producerOf(value);
  const [first = '', second = ''] = node?.inputs ?? [];
  if (node?.operator === 'Mul') {
    const [left, right] = [scalarOf(first), scalarOf(second)];
    if (right !== undefined) return { value: first, scale: right };
    if (left !== undefined) return { value: second, scale: left };
  }
  if (node?.operator === 'Div') {
    const by = scalarOf(second);
    if (by !== undefined && by !== 0) return { value: first, scale: 1 / by };
  }
  return { value, scale: 1 };
}

const isProduct = ({ operator, domain }: Node): boolean => operator === 'MatMul' && domain === '';

/**
 * Lets products of matrices multiply by constants themselves, where that costs nothing: attention's queries and keys
 * come divided by a root of the channels, or their scores do.
 */
export function foldScales(model: Model): Model {
  const expressions = expressionsOf(model);
  const known = inferShapes(model);
  const rankOf = (value: string): number | undefined => known.get(value)?.shape?.length;
  const readers = new Map<string, number>();
  for (const value of model.graph.nodes.flatMap(usedValues))
    readers.set(value, (readers.get(value) ?? 0) + 1);

  /** The product that a node is, or that it multiplies by a constant and nobody else reads. */
  const productOf = (node: Node): { readonly product: Node; readonly scale: number } | undefined => {
    if (isProduct(node)) return { product: node, scale: 1 };
    const [output = ''] = node.outputs;
    const { value, scale } = unscaled(output, expressions);
    const product = expressions.producerOf(value);
    const isOurs = readers.get(value) === 1 && rankOf(value) === rankOf(output);
    return product && isProduct(product) && isOurs ? { product, scale } : undefined;
  };

  let found = false;
  const folded = (node: Node): Node => {
    const whole = known.get(node.outputs[0] ?? '')?.type === 'float32' ? productOf(node) : undefined;
    if (!whole) return node;
    const factors = whole.product.inputs.map((input) => {
      const inner = unscaled(input, expressions);
      return rankOf(inner.value) === rankOf(input) ? inner : { value: input, scale: 1 };
    });
    const alpha = factors.reduce((product, { scale }) => product * scale, whole.scale);
    if (alpha === 1) return node;
    found = true;
    return {
      ...node,
      ...{ operator: 'FusedMatMul', domain: microsoft, attributes: { alpha: float(alpha) } },
      inputs: factors.map(({ value }) => value),
    };
  };
  const nodes = model.graph.nodes.map(folded);
  if (!found) return model;
  const whole = createGraphBuilder(model.graph.name, { ...model, graph: { ...model.graph, nodes } }).model();
  return pruneModel(
    whole,
    model.graph.outputs.map(({ name }) => name),
  );
}
