/**
 * Graphs inside attributes. Such a graph sees every value that the graphs around it have computed before its node;
 * a name that it gives itself hides the same name outside. What it takes from outside is *captured*: to the node that
 * owns the graph, a captured value is as good as an input.
 */
import type { Attribute, Attributes, Graph, Model, Node } from './model.ts';

/** The graphs in a node's attributes, in the order of the attributes. */
export const subgraphsOf = (node: Node): readonly Graph[] =>
  Object.values(node.attributes).flatMap((attribute) =>
    attribute.kind === 'graph' ? [attribute.value] : [],
  );

/** The names that a graph gives itself: inputs, initializers and outputs of nodes, in this order. */
export const givenNames = (graph: Graph): readonly string[] => [
  ...graph.inputs.map(({ name }) => name),
  ...graph.initializers.map(({ name }) => name),
  ...graph.nodes.flatMap(({ outputs }) => outputs.filter((output) => output !== '')),
];

/** The names that a graph gives or that the graphs inside it give. */
export function allNames(graph: Graph): ReadonlySet<string> {
  const names = new Set(givenNames(graph));
  for (const node of graph.nodes)
    for (const inner of subgraphsOf(node)) for (const name of allNames(inner)) names.add(name);
  return names;
}

/** Nodes, inputs, outputs and constants of a graph and of those inside it. */
export function sizeOf(graph: Graph): number {
  let size = graph.inputs.length + graph.outputs.length + graph.initializers.length;
  for (const node of graph.nodes) {
    size += 1 + node.inputs.length + node.outputs.length;
    for (const inner of subgraphsOf(node)) size += sizeOf(inner);
  }
  return size;
}

/** The values that a graph uses and does not give, each once. */
export function capturedValues(graph: Graph): readonly string[] {
  const given = new Set(givenNames(graph));
  const used = new Set([...graph.nodes.flatMap(usedValues), ...graph.outputs.map(({ name }) => name)]);
  return [...used].filter((name) => !given.has(name));
}

/** The values that a node needs, each once: its inputs, and what the graphs in its attributes capture. */
export function usedValues(node: Node): readonly string[] {
  const used = new Set(node.inputs);
  for (const graph of subgraphsOf(node)) for (const name of capturedValues(graph)) used.add(name);
  used.delete('');
  return [...used];
}

function renameCaptured(graph: Graph, rename: (name: string) => string): Graph {
  const given = new Set(givenNames(graph));
  return renameInside(graph, (name) => (given.has(name) ? name : rename(name)));
}

function renameInside(graph: Graph, rename: (name: string) => string): Graph {
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renameValues(node, rename)),
    inputs: graph.inputs.map((input) => ({ ...input, name: rename(input.name) })),
    outputs: graph.outputs.map((output) => ({ ...output, name: rename(output.name) })),
    initializers: graph.initializers.map((tensor) => ({ ...tensor, name: rename(tensor.name) })),
  };
}

/** A node's attributes with each graph replaced. */
export function mapSubgraphs(attributes: Attributes, change: (graph: Graph) => Graph): Attributes {
  const entries = Object.entries(attributes);
  if (!entries.some(([, { kind }]) => kind === 'graph')) return attributes;
  return Object.fromEntries(
    entries.map(([name, attribute]): [string, Attribute] => [
      name,
      attribute.kind === 'graph' ? { kind: 'graph', value: change(attribute.value) } : attribute,
    ]),
  );
}

/**
 * The node with `rename` applied to its inputs, its outputs and the values that its graphs capture; `rename` gives
 * every other name back as it is. A new name must not be given inside the node's graphs (see `allNames`).
 */
export function renameValues(node: Node, rename: (name: string) => string): Node {
  const each = (name: string): string => (name === '' ? '' : rename(name));
  return {
    ...node,
    inputs: node.inputs.map(each),
    outputs: node.outputs.map(each),
    attributes: mapSubgraphs(node.attributes, (graph) => renameCaptured(graph, rename)),
  };
}

/** The graph with `rename` applied to every name that it gives or captures, also inside nested graphs. */
export const renameGraph = (graph: Graph, rename: (name: string) => string): Graph =>
  renameInside(graph, rename);

/** All nodes of a model, those of nested graphs included, each before what is inside it. */
export function allNodes(model: Model): readonly Node[] {
  const nodes: Node[] = [];
  const visit = (graph: Graph): void => {
    for (const node of graph.nodes) {
      nodes.push(node);
      for (const inner of subgraphsOf(node)) visit(inner);
    }
  };
  visit(model.graph);
  return nodes;
}
