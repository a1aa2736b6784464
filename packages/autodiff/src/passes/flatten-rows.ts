import {
  createGraphBuilder,
  inferShapes,
  type Model,
  type Node,
  pruneModel,
  usedValues,
} from '@murmuration/onnx';
import { freshNames } from './fresh-names.ts';
import { expressionsOf } from './pattern.ts';

/**
 * Moves a Reshape that joins all rows of a product with a matrix before the product, as in [batch, context, width] ·
 * [width, vocabulary] whose result a loss reads as [batch·context, vocabulary]. Then the gradient of the largest value
 * of a step is read by products of matrices, and by nothing else.
 */
export function flattenRows(model: Model): Model {
  const known = inferShapes(model);
  const { producerOf } = expressionsOf(model);
  const builder = createGraphBuilder(model.graph.name, { ...model, graph: { ...model.graph, nodes: [] } });
  const fresh = freshNames(model.graph);
  const readers = new Map<string, number>();
  const outputs = model.graph.outputs.map(({ name }) => name);
  for (const value of [...model.graph.nodes.flatMap(usedValues), ...outputs])
    readers.set(value, (readers.get(value) ?? 0) + 1);

  const moved = (node: Node): readonly Node[] | undefined => {
    const [product = '', shape = ''] = node.inputs;
    const inner = producerOf(product);
    if (node.operator !== 'Reshape' || inner?.operator !== 'MatMul' || inner.domain !== '') return undefined;
    if (readers.get(product) !== 1) return undefined;
    const [x = '', weight = ''] = inner.inputs;
    const to = node.outputs[0] ?? '';
    const [from, matrix, result] = [x, weight, to].map((value) => known.get(value)?.shape);
    const [width, columns] = matrix ?? [];
    const isMatrix = matrix?.length === 2 && result?.length === 2 && result[1] === columns && columns !== '?';
    if (!isMatrix || !from || from.length < 3 || typeof width !== 'number' || shape === '') return undefined;
    const rows = fresh(`${to}.rows`);
    return [
      { ...node, name: rows, inputs: [x, builder.int64s([-1, width])], outputs: [rows], attributes: {} },
      { ...inner, name: node.name, inputs: [rows, weight], outputs: node.outputs },
    ];
  };

  let found = false;
  const nodes = model.graph.nodes.flatMap((node) => {
    const replacement = moved(node);
    if (replacement) found = true;
    return replacement ?? [node];
  });
  if (!found) return model;
  const { initializers } = builder.model().graph;
  return pruneModel({ ...model, graph: { ...model.graph, nodes, initializers } }, outputs);
}
