import { type Dimension, type Model, type Node, pruneModel } from '@murmuration/onnx';

/**
 * Declares gradients as graph outputs by renaming the values that hold them, so that the node that computes a
 * gradient writes it straight into the output. A value that is two gradients at once, or no node's, is copied.
 */
export function renameOutputs(
  model: Model,
  loss: string,
  gradients: readonly (readonly [string, string])[],
  shapes: ReadonlyMap<string, readonly Dimension[]>,
): Model {
  const produced = new Set(model.graph.nodes.flatMap((node) => node.outputs));
  const renamed = new Map<string, string>();
  const copies: Node[] = [];
  for (const [name, value] of gradients) {
    if (produced.has(value) && !renamed.has(value) && value !== loss) renamed.set(value, name);
    else
      copies.push({
        name,
        operator: 'Identity',
        domain: '',
        inputs: [renamed.get(value) ?? value],
        outputs: [name],
        attributes: {},
      });
  }
  const rename = (value: string): string => renamed.get(value) ?? value;
  const nodes = model.graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
  }));
  const names = gradients.map(([name]) => name);
  const lossOutput = model.graph.outputs.filter(({ name }) => name === loss);
  const types = new Map(
    [...model.graph.inputs, ...model.graph.initializers].map(({ name, type }) => [name, type]),
  );
  const outputs = names.map((name) => ({
    name,
    type: types.get(name.slice(name.indexOf(':') + 1)) ?? 'float32',
    shape: shapes.get(name) ?? [],
  }));
  return pruneModel(
    {
      ...model,
      graph: { ...model.graph, nodes: [...nodes, ...copies], outputs: [...lossOutput, ...outputs] },
    },
    [loss, ...names],
  );
}
