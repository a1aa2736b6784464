import {
  type Attributes,
  type Graph,
  graphAttribute,
  ints,
  intsOf,
  type Model,
  type Node,
  usedValues,
} from '@murmuration/onnx';
import { repeats, scanParts } from '../scan-node.ts';

/** A Scan or Loop without the stacked outputs that nobody reads, nor what its body computes for them only. */
function withoutUnread(node: Node, read: ReadonlySet<string>): Node {
  const { body, states: carried, outputs: tracks } = scanParts(node);
  const states = carried.length;
  const given = body.outputs.length - states - tracks.length;
  const stays = [
    ...carried.map(() => true),
    ...tracks.map((_, index) => read.has(node.outputs[states + index] ?? '')),
  ];
  const kept = <T>(list: readonly T[], offset = 0): readonly T[] =>
    list.filter((_, index) => stays[index + offset] !== false);
  const shortened = (name: string): Attributes => {
    const list = intsOf(node, name);
    return list ? { [name]: ints(kept(list, states)) } : {};
  };
  return {
    ...node,
    outputs: kept(node.outputs),
    attributes: {
      ...node.attributes,
      ...shortened('scan_output_axes'),
      ...shortened('scan_output_directions'),
      body: graphAttribute(trimmed({ ...body, outputs: kept(body.outputs, -given) })),
    },
  };
}

/** A graph without what its outputs do not need. */
function trimmed(graph: Graph): Graph {
  const read = new Set(graph.outputs.map(({ name }) => name));
  const nodes: Node[] = [];
  for (const original of graph.nodes.toReversed()) {
    if (!original.outputs.some((output) => read.has(output))) continue;
    const node = repeats(original) ? withoutUnread(original, read) : original;
    nodes.push(node);
    for (const value of usedValues(node)) read.add(value);
  }
  return {
    ...graph,
    nodes: nodes.reverse(),
    initializers: graph.initializers.filter(({ name }) => read.has(name)),
  };
}

/** Takes away what `exposeSteps` made Scans give and no gradient came to need. */
export const dropSteps = (model: Model): Model => ({ ...model, graph: trimmed(model.graph) });
