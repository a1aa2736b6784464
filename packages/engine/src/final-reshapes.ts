import { inferShapes, type Model, type Node, usedValues } from '@murmuration/onnx';

/** The node before a last Reshape that may give the output by itself. */
interface Shortcut {
  readonly reshape: Node;
  readonly producer: Node;
}

function shortcutsOf({ graph }: Model): readonly Shortcut[] {
  const readers = new Map<string, number>();
  for (const node of graph.nodes)
    for (const value of usedValues(node)) readers.set(value, (readers.get(value) ?? 0) + 1);
  const producers = new Map(
    graph.nodes.flatMap((node): [string, Node][] => node.outputs.map((name) => [name, node])),
  );
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  return graph.nodes.flatMap((reshape): readonly Shortcut[] => {
    const [result = ''] = reshape.outputs;
    const [value = ''] = reshape.inputs;
    const producer = producers.get(value);
    const isLast = reshape.operator === 'Reshape' && outputs.has(result) && !readers.has(result);
    const isAlone = producer?.outputs.length === 1 && readers.get(value) === 1 && !outputs.has(value);
    return isLast && isAlone && producer ? [{ reshape, producer }] : [];
  });
}

/**
 * Leaves out each Reshape whose only purpose is an output's shape: whoever writes outputs where he wants them needs no
 * copy for that. The node before takes its place and its output's name, so that the order of the others stays.
 */
export function skipFinalReshapes(model: Model): Model {
  const known = inferShapes(model);
  const isNumeric = (value: string): boolean =>
    known.get(value)?.shape?.every((dimension) => typeof dimension === 'number') ?? false;
  const shortcuts = shortcutsOf(model).filter(({ reshape }) => isNumeric(reshape.inputs[0] ?? ''));
  const moved = new Set(shortcuts.map(({ producer }) => producer));
  const inPlace = new Map(
    shortcuts.map(({ reshape, producer }) => [reshape, { ...producer, outputs: reshape.outputs }]),
  );
  const shapes = new Map(
    shortcuts.map(({ reshape }) => [reshape.outputs[0], known.get(reshape.inputs[0] ?? '')?.shape]),
  );
  const { graph } = model;
  return {
    ...model,
    graph: {
      ...graph,
      nodes: graph.nodes.flatMap((node) => (moved.has(node) ? [] : [inPlace.get(node) ?? node])),
      outputs: graph.outputs.map((output) => {
        const shape = shapes.get(output.name);
        return shape ? { ...output, shape } : output;
      }),
    },
  };
}
