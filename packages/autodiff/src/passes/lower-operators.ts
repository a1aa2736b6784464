/**
 * Replaces operators by smaller ones before a model is differentiated: an LSTM by a product and a Scan, attention by
 * two products and a softmax. Only nodes that a parameter reaches are replaced, so that whatever is frozen keeps its
 * fused kernel. A lowering (src/lowerings/, one entry per operator) appends nodes and names the values that take the
 * place of the node's outputs; the nodes are then moved to where the node was, and those values get the outputs'
 * names, so that nobody else notices.
 */
import {
  type Dimension,
  describeNode,
  type Model,
  type Node,
  renameValues,
  usedValues,
} from '@murmuration/onnx';
import { type Backward, createBackward } from '../backward.ts';
import { AutodiffError } from '../errors.ts';
import { plainNode } from '../plain-node.ts';
import { unsupported } from '../rules/rule.ts';

/** What a lowering sees of its node. */
export interface LoweringContext {
  readonly node: Node;
  /** Appends to the graph, and knows what every value is. */
  readonly backward: Backward;
  readonly op: Backward['op'];
  readonly ops: Backward['ops'];
  /** The name of the node's input at an index; the empty name if it is left out. */
  input(index: number): string;
  /** Whether a parameter reaches the input at an index. */
  isReached(index: number): boolean;
  /** Whether the node has an output at an index. */
  has(output: number): boolean;
  shapeOf(value: string): readonly Dimension[];
  /** A dimension that must be a number. Throws `AutodiffError` `unknown-shape`. */
  sizeOf(value: string, axis: number): number;
  /** A constant without dimensions, of the float type of the node's first input. */
  number(value: number): string;
  /** A value that several lowered nodes share: made when first asked for. */
  once(key: string, make: () => string): string;
  /** Ends the lowering: something about the node is not supported. Throws `AutodiffError` `unsupported`. */
  refuse(reason: string): never;
}

/**
 * Gives the values that take the place of a node's outputs, in order; an output without one must have no reader.
 * Gives undefined to leave the node as it is.
 */
export type Lowering = (context: LoweringContext) => readonly (string | undefined)[] | undefined;

/** Lowerings by operator; `domain:operator` for those outside ONNX's own domain. */
export type Lowerings = Readonly<Record<string, Lowering>>;

/** How tables of lowerings call a node's operator. */
export const operatorKey = ({ domain, operator }: Node): string =>
  domain === '' ? operator : `${domain}:${operator}`;

/** Values that depend on one of the parameters. */
function reachedValues(model: Model, parameters: readonly string[]): ReadonlySet<string> {
  const reached = new Set(parameters);
  for (const node of model.graph.nodes)
    if (usedValues(node).some((value) => reached.has(value)))
      for (const output of node.outputs) if (output !== '') reached.add(output);
  return reached;
}

function createContext(
  node: Node,
  backward: Backward,
  shared: Map<string, string>,
  reached: ReadonlySet<string>,
): LoweringContext {
  return {
    node,
    backward,
    op: backward.op,
    ops: backward.ops,
    input: (index) => node.inputs[index] ?? '',
    isReached: (index) => reached.has(node.inputs[index] ?? ''),
    has: (output) => (node.outputs[output] ?? '') !== '',
    shapeOf: backward.shapeOf,
    sizeOf(value, axis) {
      const size = backward.shapeOf(value).at(axis);
      if (typeof size === 'number') return size;
      throw new AutodiffError(
        `${describeNode(node)}: expected a number as dimension ${axis} of ${value}, got ${size}`,
        { code: 'unknown-shape', node: node.name, value },
      );
    },
    number: (value) => backward.number(value, node.inputs[0] ?? ''),
    once(key, make) {
      const known = shared.get(key) ?? make();
      shared.set(key, known);
      return known;
    },
    refuse(reason) {
      throw unsupported(node, reason);
    },
  };
}

/** The nodes that replace one, the last ones giving its outputs under their own names. */
function fitted(
  node: Node,
  nodes: readonly Node[],
  values: readonly (string | undefined)[],
): readonly Node[] {
  const own = new Set(nodes.flatMap(({ outputs }) => outputs));
  const renamed = new Map<string, string>();
  const copies: Node[] = [];
  node.outputs.forEach((output, index) => {
    const value = values[index];
    if (output === '' || value === undefined) return;
    if (own.has(value) && !renamed.has(value)) renamed.set(value, output);
    else copies.push(plainNode('Identity', [renamed.get(value) ?? value], output));
  });
  const rename = (value: string): string => renamed.get(value) ?? value;
  return [...nodes.map((each) => ({ ...renameValues(each, rename), name: rename(each.name) })), ...copies];
}

/**
 * The model with every node that has a lowering, and that one of the parameters reaches, replaced. What it computes
 * stays the same. Throws `AutodiffError` `unsupported` or `unknown-shape` for a node that cannot be replaced.
 */
export function lowerOperators(model: Model, parameters: readonly string[], lowerings: Lowerings): Model {
  const reached = reachedValues(model, parameters);
  const loweringOf = (node: Node): Lowering | undefined => {
    const key = operatorKey(node);
    const wanted = Object.hasOwn(lowerings, key) && usedValues(node).some((value) => reached.has(value));
    return wanted ? lowerings[key] : undefined;
  };
  if (!model.graph.nodes.some(loweringOf)) return model;
  const backward = createBackward(model);
  const shared = new Map<string, string>();
  const pieces: { node: Node; values: readonly (string | undefined)[]; to: number }[] = [];
  const nodes: Node[] = [];
  for (const node of model.graph.nodes) {
    const values = loweringOf(node)?.(createContext(node, backward, shared, reached));
    if (values) pieces.push({ node, values, to: backward.graph.graph().nodes.length });
  }
  const whole = backward.graph.model();
  let from = model.graph.nodes.length;
  for (const node of model.graph.nodes) {
    const piece = pieces[0]?.node === node ? pieces.shift() : undefined;
    if (piece) nodes.push(...fitted(node, whole.graph.nodes.slice(from, piece.to), piece.values));
    else nodes.push(node);
    from = piece?.to ?? from;
  }
  return { ...whole, graph: { ...whole.graph, nodes } };
}
