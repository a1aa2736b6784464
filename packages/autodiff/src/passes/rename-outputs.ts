import { type Model, type Node, pruneModel, renameValues, type ValueInfo } from '@murmuration/onnx';
import { plainNode } from '../plain-node.ts';

/** A value of the graph that becomes an output. */
export interface Gradient {
  readonly value: string;
  readonly output: ValueInfo;
}

/**
 * Declares gradients as graph outputs by renaming the values that hold them, so that the node that computes a
 * gradient writes it straight into the output. A value that is two gradients at once, or no node's, is copied.
 */
export function renameOutputs(model: Model, loss: string, gradients: readonly Gradient[]): Model {
  const { graph } = model;
  const produced = new Set(graph.nodes.flatMap((node) => node.outputs));
  const renamed = new Map<string, string>();
  const copies: Node[] = [];
  for (const {
    value,
    output: { name },
  } of gradients) {
    if (produced.has(value) && !renamed.has(value) && value !== loss) renamed.set(value, name);
    else copies.push(plainNode('Identity', [renamed.get(value) ?? value], name));
  }
  const nodes = graph.nodes.map((node) => renameValues(node, (value) => renamed.get(value) ?? value));
  const outputs = [
    ...graph.outputs.filter(({ name }) => name === loss),
    ...gradients.map(({ output }) => output),
  ];
  const whole = { ...model, graph: { ...graph, nodes: [...nodes, ...copies], outputs } };
  return pruneModel(whole, [loss, ...gradients.map(({ output }) => output.name)]);
}
