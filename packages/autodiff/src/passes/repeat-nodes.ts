import { type Model, type Node, subgraphsOf, usedValues } from '@murmuration/onnx';
import { freshNames } from './fresh-names.ts';

/** A training graph in its two parts. */
export interface TrainingParts {
  /** What the loss needs, in order. */
  readonly forward: readonly Node[];
  /** All else, in order. */
  readonly backward: readonly Node[];
  /** The forward node that gives a value. */
  readonly producers: ReadonlyMap<string, Node>;
  /** Values of forward nodes that backward nodes read: what lies in memory between the two. */
  readonly held: ReadonlySet<string>;
}

/** Splits a training graph whose first output is the loss. */
export function splitTraining(model: Model): TrainingParts {
  const { nodes, outputs } = model.graph;
  const needed = new Set(outputs.slice(0, 1).map(({ name }) => name));
  const isForward = new Set<Node>();
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    isForward.add(node);
    for (const value of usedValues(node)) needed.add(value);
  }
  const forward = nodes.filter((node) => isForward.has(node));
  const backward = nodes.filter((node) => !isForward.has(node));
  const producers = new Map<string, Node>();
  for (const node of forward) for (const output of node.outputs) if (output) producers.set(output, node);
  const held = new Set(backward.flatMap(usedValues).filter((value) => producers.has(value)));
  return { forward, backward, producers, held };
}

/** Operators that give something else each time, even with equal inputs. */
const random: ReadonlySet<string> = new Set([
  ...['RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike', 'Multinomial'],
  ...['Bernoulli', 'Dropout'],
]);

/** Whether a node run a second time gives the same. Nodes that hold graphs are not asked to. */
export const isRepeatable = (node: Node): boolean =>
  !random.has(node.operator) && subgraphsOf(node).length === 0;

/**
 * Lets the backward nodes compute forward values again instead of reading them: everything but the values in `kept`,
 * and whatever a node gives that cannot be repeated. Each repeated node is one copy of the forward node, shared by all
 * backward nodes, right before the first of them.
 *
 * The copies do the same as the originals, so whoever merges equal nodes afterwards undoes this.
 */
export function repeatNodes(model: Model, parts: TrainingParts, kept: ReadonlySet<string>): Model {
  const { forward, backward, producers } = parts;
  const fresh = freshNames(model.graph);
  const again = (value: string): string => fresh(`again.${value}`);
  const nodes: Node[] = [...forward];
  const positions = new Map(forward.map((node, index) => [node, index]));
  const copied = new Set<Node>();
  const copies = new Map<string, string>();
  const mapped = (value: string): string => (kept.has(value) ? value : (copies.get(value) ?? value));

  /** The nodes that must be copied for a value, with those that they need. */
  const missing = (value: string): readonly Node[] => {
    const found = new Set<Node>();
    const open = [value];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const producer = producers.get(next);
      if (!producer || kept.has(next) || copied.has(producer) || found.has(producer)) continue;
      if (!isRepeatable(producer)) continue;
      found.add(producer);
      open.push(...producer.inputs);
    }
    return [...found].toSorted((left, right) => (positions.get(left) ?? 0) - (positions.get(right) ?? 0));
  };

  const repeated = (value: string): string => {
    for (const node of missing(value)) {
      const inputs = node.inputs.map(mapped);
      const outputs = node.outputs.map((output) => (output === '' ? '' : again(output)));
      node.outputs.forEach((output, index) => {
        if (output !== '') copies.set(output, outputs[index] as string);
      });
      copied.add(node);
      nodes.push({ ...node, name: again(node.name), inputs, outputs });
    }
    return mapped(value);
  };
  for (const node of backward)
    nodes.push(subgraphsOf(node).length > 0 ? node : { ...node, inputs: node.inputs.map(repeated) });
  return { ...model, graph: { ...model.graph, nodes } };
}
