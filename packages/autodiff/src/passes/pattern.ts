/**
 * Finds expressions in a graph. A pattern is a tree of operators over names; it matches a value when the nodes that
 * give the value and what it is made of are those operators, and every name stands for one value throughout.
 */
import type { Model, Node, Tensor } from '@murmuration/onnx';

/** What a value must be. */
export type Pattern =
  /** Any value; the same one wherever the name occurs. */
  | string
  /** A constant of one element with this value. */
  | number
  /** A constant of one element, whose value gets the name. */
  | { readonly constant: string }
  /** One of several. */
  | { readonly either: readonly Pattern[] }
  | {
      readonly operator: string;
      readonly inputs: readonly Pattern[];
      /** Gives the node a name, under which its attributes can be looked at. */
      readonly as?: string;
    };

/** What the names of a pattern stand for. */
export interface Match {
  readonly values: ReadonlyMap<string, string>;
  readonly constants: ReadonlyMap<string, number>;
  readonly nodes: ReadonlyMap<string, Node>;
}

/** Operators whose two inputs may be in either order. */
const commutative: ReadonlySet<string> = new Set(['Add', 'Mul']);

/** float32 constants are compared to this relative difference: exporters round in float32 or in float64. */
const constantTolerance = 1e-5;

/** A graph as patterns see it. */
export interface Expressions {
  producerOf(value: string): Node | undefined;
  /** The single element of a constant. */
  scalarOf(value: string): number | undefined;
  tensorOf(value: string): Tensor | undefined;
}

/** Looks at the nodes and initializers of a model. */
export function expressionsOf({ graph }: Model): Expressions {
  const producers = new Map<string, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) producers.set(output, node);
  const overridable = new Set(graph.inputs.map(({ name }) => name));
  const tensors = new Map(
    graph.initializers.filter(({ name }) => !overridable.has(name)).map((tensor) => [tensor.name, tensor]),
  );
  return {
    producerOf: (value) => producers.get(value),
    tensorOf: (value) => tensors.get(value),
    scalarOf(value) {
      const data = tensors.get(value)?.data;
      return data?.length === 1 ? Number(data[0]) : undefined;
    },
  };
}

const nothing: Match = { values: new Map(), constants: new Map(), nodes: new Map() };

/** Every order of a node's inputs that its pattern may be compared with. */
const orders = ({ operator, inputs }: Node): readonly (readonly string[])[] =>
  commutative.has(operator) && inputs.length === 2 ? [inputs, inputs.toReversed()] : [inputs];

function* matches(pattern: Pattern, value: string, expressions: Expressions, match: Match): Generator<Match> {
  if (typeof pattern === 'string') {
    const known = match.values.get(pattern);
    if (known === undefined) yield { ...match, values: new Map([...match.values, [pattern, value]]) };
    else if (known === value) yield match;
    return;
  }
  if (typeof pattern === 'number') {
    const scalar = expressions.scalarOf(value);
    if (scalar !== undefined && Math.abs(scalar - pattern) <= constantTolerance * Math.abs(pattern))
      yield match;
    return;
  }
  if ('constant' in pattern) {
    const scalar = expressions.scalarOf(value);
    if (scalar !== undefined)
      yield { ...match, constants: new Map([...match.constants, [pattern.constant, scalar]]) };
    return;
  }
  if ('either' in pattern) {
    for (const one of pattern.either) yield* matches(one, value, expressions, match);
    return;
  }
  const node = expressions.producerOf(value);
  if (node?.operator !== pattern.operator || node.domain !== '' || node.outputs[0] !== value) return;
  if (node.inputs.length !== pattern.inputs.length) return;
  const named = pattern.as ? { ...match, nodes: new Map([...match.nodes, [pattern.as, node]]) } : match;
  for (const order of orders(node)) yield* matchAll(pattern.inputs, order, expressions, named);
}

function* matchAll(
  patterns: readonly Pattern[],
  values: readonly string[],
  expressions: Expressions,
  match: Match,
): Generator<Match> {
  const [pattern, ...morePatterns] = patterns;
  const [value, ...moreValues] = values;
  if (pattern === undefined || value === undefined) {
    yield match;
    return;
  }
  for (const found of matches(pattern, value, expressions, match))
    yield* matchAll(morePatterns, moreValues, expressions, found);
}

/** The first way in which a pattern matches a value, if there is one. */
export function matchPattern(pattern: Pattern, value: string, expressions: Expressions): Match | undefined {
  for (const match of matches(pattern, value, expressions, nothing)) return match;
  return undefined;
}
