import type { Model, Node } from '@murmuration/onnx';
import { batchNormalization } from '../lowerings/batch-normalization.ts';
import { convolution } from '../lowerings/convolution.ts';
import { type Lowerings, lowerOperators } from './lower-operators.ts';

/**
 * Operators that have a gradient rule of their own but no kernel for training in stock onnxruntime, or a slow one.
 */
const lowerings: Lowerings = { BatchNormalization: batchNormalization, Conv: convolution };

/** Nodes are told apart by the names of what they give, which are unique. */
const namedByOutput = (node: Node): Node => ({
  ...node,
  name: node.outputs.find((output) => output !== '') ?? node.name,
});

/** Replaces what only gradient rules understand; run on a training graph, when all rules have been asked. */
export function lowerTraining(model: Model): Model {
  const { graph } = model;
  return lowerOperators(
    { ...model, graph: { ...graph, nodes: graph.nodes.map(namedByOutput) } },
    [...graph.inputs, ...graph.initializers].map(({ name }) => name),
    lowerings,
  );
}
