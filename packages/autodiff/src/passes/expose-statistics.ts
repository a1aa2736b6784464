import type { Model, Node } from '@murmuration/onnx';

type Expose = (node: Node) => readonly string[];

/** A node's outputs with names for those that were left out. */
const named =
  (suffixes: readonly string[]): Expose =>
  ({ outputs }) => {
    const [y = ''] = outputs.filter((output) => output !== '');
    return suffixes.map((suffix, index) => outputs[index] || `${y}.${suffix}`);
  };

const parts: Expose = ({ outputs }) => {
  const [y = ''] = outputs.filter((output) => output !== '');
  return outputs.map((output, index) => output || `${y}.part${index}`);
};

/** What an operator can give besides its result, and what its gradient rule reads. */
const exposed: Readonly<Record<string, Expose>> = {
  LayerNormalization: named(['normal', 'mean', 'inverseDeviation']),
  MaxPool: named(['pooled', 'positions']),
  SoftmaxCrossEntropyLoss: named(['loss', 'logarithms']),
  Dropout: (node) => (node.inputs[2] ? named(['kept', 'mask'])(node) : node.outputs),
  TopK: named(['values', 'indices']),
  Split: parts,
};

/** Makes operators give what their gradients need: means and deviations, masks, indices, log-probabilities. */
export function exposeStatistics(model: Model): Model {
  const expose = (node: Node): Node => {
    const isExposed = node.domain === '' && Object.hasOwn(exposed, node.operator);
    const outputs = isExposed ? exposed[node.operator] : undefined;
    return outputs ? { ...node, outputs: outputs(node) } : node;
  };
  return { ...model, graph: { ...model.graph, nodes: model.graph.nodes.map(expose) } };
}
