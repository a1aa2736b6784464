import { graphDepthMax, inferenceElementsMax, rankMax } from './defaults.ts';
import { describeNode } from './describe-node.ts';
import { canonicalDimension, unknown } from './dimension.ts';
import { OnnxError } from './errors.ts';
import type { Graph, Model, Node, ValueInfo } from './model.ts';
import { type KnownValue, knownTensor } from './shape-rules/rule.ts';
import { shapeRuleOf } from './shape-rules/table.ts';

export type { KnownValue } from './shape-rules/rule.ts';

/** What is known of values by name; a map is one. */
export type KnownValues = Pick<ReadonlyMap<string, KnownValue>, 'get'>;

/** A graph that is being inferred: its own values, and those of the graphs around it. */
class Scope implements KnownValues {
  readonly own = new Map<string, KnownValue>();
  readonly #outer: KnownValues | undefined;

  constructor(outer?: KnownValues) {
    this.#outer = outer;
  }

  get(name: string): KnownValue | undefined {
    return this.own.get(name) ?? this.#outer?.get(name);
  }
}

/** Refuses absurd ranks, forgets long lists: a hostile graph could double both with every node. */
function bounded(value: KnownValue, where: string): KnownValue {
  const { type, shape, elements } = value;
  if (shape && shape.length > rankMax)
    throw new OnnxError(`${where}: expected at most ${rankMax} dimensions, got ${shape.length}`, {
      code: 'invalid-model',
    });
  if (shape?.some((size) => typeof size === 'number' && !(Number.isSafeInteger(size) && size >= 0)))
    throw new OnnxError(`${where}: expected dimensions from 0 to 2^53, got [${shape}]`, {
      code: 'invalid-model',
    });
  return elements && elements.length > inferenceElementsMax ? { type, shape } : value;
}

/** Infers a graph inside an attribute, its inputs given, and gives its outputs. */
function inferBody(
  graph: Graph,
  inputs: readonly KnownValue[],
  outer: KnownValues,
  depth: number,
): readonly KnownValue[] {
  if (depth > graphDepthMax) return graph.outputs.map(({ type }) => ({ type }));
  const scope = new Scope(outer);
  graph.inputs.forEach((input, index) => {
    scope.own.set(input.name, inputs[index] ?? declared(input));
  });
  inferGraph(graph, scope, depth);
  return graph.outputs.map(({ name, type, shape }) => scope.get(name) ?? { type, shape });
}

function inferGraph(graph: Graph, scope: Scope, depth: number): void {
  for (const tensor of graph.initializers) scope.own.set(tensor.name, knownTensor(tensor));
  for (const node of graph.nodes)
    inferAt(node, scope, depth).forEach((value, index) => {
      const output = node.outputs[index];
      if (output) scope.own.set(output, value);
    });
}

function inferAt(node: Node, known: KnownValues, depth: number): readonly KnownValue[] {
  const where = describeNode(node);
  const inputs = node.inputs.map((input) => (input === '' ? undefined : known.get(input)));
  const missing = node.inputs.find((input, index) => input !== '' && !inputs[index]);
  if (missing !== undefined)
    throw new OnnxError(`${where}: expected input ${missing} to be given before`, {
      code: 'invalid-model',
      input: missing,
    });
  const rule = shapeRuleOf(node);
  if (!rule) return node.outputs.map(() => ({ type: inputs[0]?.type ?? 'float32' }));
  const values = rule({
    node,
    inputs,
    where,
    depth,
    inferBody: (graph, given) => inferBody(graph, given, known, depth + 1),
  });
  return values.map((value) => bounded(value, where));
}

/** A graph input as declared; a dimension without a name gets one, for it has one size. */
function declared({ name, type, shape }: ValueInfo): KnownValue {
  return {
    type,
    shape: shape?.map((size, axis) =>
      size === unknown ? canonicalDimension(`${name}[${axis}]`) : canonicalDimension(size),
    ),
  };
}

/**
 * What is known of a node's outputs, in order, from what is known of its inputs; the step of which `inferShapes` is
 * the loop, for those who append nodes to a graph and want their shapes at once. `known` must hold every input of the
 * node; it is not changed. Throws `OnnxError` `invalid-model` when shapes contradict each other.
 */
export const inferNode = (node: Node, known: KnownValues): readonly KnownValue[] => inferAt(node, known, 0);

/**
 * What is known of all values of a graph inside an attribute (the body of Loop or Scan), from what is known of its
 * inputs, in order, and of the values around it. Throws as `inferShapes`.
 */
export function inferSubgraph(
  graph: Graph,
  inputs: readonly KnownValue[],
  outer: KnownValues,
): ReadonlyMap<string, KnownValue> {
  const scope = new Scope(outer);
  graph.inputs.forEach((input, index) => {
    scope.own.set(input.name, inputs[index] ?? declared(input));
  });
  inferGraph(graph, scope, 1);
  return scope.own;
}

/**
 * Type and shape of every value of a model, symbolic dimensions included; values of operators without a rule have no
 * shape. Symbols are sizes of at least 1, and bounds of slices that are symbols, or cut symbols, lie inside. Throws
 * `OnnxError` `invalid-model` when shapes contradict each other.
 */
export function inferShapes(model: Model): ReadonlyMap<string, KnownValue> {
  const scope = new Scope();
  for (const input of model.graph.inputs) scope.own.set(input.name, declared(input));
  inferGraph(model.graph, scope, 0);
  return scope.own;
}
