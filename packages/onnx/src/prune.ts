import { OnnxError } from './errors.ts';
import type { Model, Node } from './model.ts';
import { usedValues } from './subgraphs.ts';

/**
 * The part of a model that the named outputs need: other nodes, inputs and initializers are left out. Outputs that
 * the model does not declare but computes are declared without a shape of float32. Throws `OnnxError` when nothing
 * gives an output.
 */
export function pruneModel(model: Model, outputs: readonly string[]): Model {
  const { graph } = model;
  const needed = new Set(outputs);
  const kept: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    kept.push(node);
    for (const value of usedValues(node)) needed.add(value);
  }
  const given = new Set([
    ...kept.flatMap((node) => node.outputs),
    ...graph.inputs.map(({ name }) => name),
    ...graph.initializers.map(({ name }) => name),
  ]);
  const missing = outputs.find((output) => !given.has(output));
  if (missing !== undefined)
    throw new OnnxError(`output ${missing}: expected a node, input or initializer of that name`, {
      code: 'invalid-model',
      output: missing,
    });
  return {
    ...model,
    graph: {
      ...graph,
      nodes: kept.reverse(),
      inputs: graph.inputs.filter(({ name }) => needed.has(name)),
      outputs: outputs.map(
        (name) => graph.outputs.find((output) => output.name === name) ?? { name, type: 'float32' as const },
      ),
      initializers: graph.initializers.filter(({ name }) => needed.has(name)),
    },
  };
}
