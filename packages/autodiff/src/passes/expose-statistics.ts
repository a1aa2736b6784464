import type { Model, Node } from '@murmuration/onnx';

/** Makes every LayerNormalization give its mean and inverse deviation too, which its gradient needs. */
export function exposeStatistics(model: Model): Model {
  const expose = (node: Node): Node => {
    if (node.operator !== 'LayerNormalization') return node;
    const [y = '', mean, inverse] = node.outputs;
    return { ...node, outputs: [y, mean || `${y}.mean`, inverse || `${y}.inverseDeviation`] };
  };
  return { ...model, graph: { ...model.graph, nodes: model.graph.nodes.map(expose) } };
}
