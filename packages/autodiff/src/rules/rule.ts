/**
 * What gradient rules are: one function per operator. A rule reads its node through a `RuleContext`, appends nodes with
 * `op` (one output) or `ops` (several), both with an optional domain, and returns the gradients by the node's inputs
 * in order. The shape of whatever it appends is known at once (`backward.shapeOf`).
 *
 * A node with a subgraph (Scan) reads values of the outer graph that are not among its inputs; its rule hands their
 * gradients to `contribute`. To differentiate the subgraph it makes a model of the body, in which the outer values are
 * declared as inputs, starts `createBackward` on it and calls `appendGradients` of `reverse.ts` with `context.table`.
 */
import { type Attributes, type Dimension, describeNode, type Node } from '@murmuration/onnx';
import type { Backward } from '../backward.ts';
import { AutodiffError } from '../errors.ts';

/** What a gradient rule sees of its node. */
export interface RuleContext {
  readonly node: Node;
  /** The node's attributes, to be passed on to a node of the same kind. */
  readonly attributes: Attributes;
  /** The gradient of the loss by the node's first output; by the first that has one, if that has none. */
  readonly gradient: string;
  /** The gradients by each output; absent where the loss does not depend on it. */
  readonly gradients: readonly (string | undefined)[];
  readonly backward: Backward;
  /** The rules in force, for operators that contain a graph. */
  readonly table: RuleTable;
  /** Adds a node to the backward graph. */
  readonly op: Backward['op'];
  /** Adds a node with several outputs to the backward graph. */
  readonly ops: Backward['ops'];
  /** A constant without dimensions, of the type of the node's first input. */
  number(value: number): string;
  /** The name of the node's input at an index; the empty name if it is left out. */
  input(index: number): string;
  output(index: number): string;
  /** The shape of an input. */
  shape(index: number): readonly Dimension[];
  /** Whether the gradient by this input is wanted. */
  needs(index: number): boolean;
  /** Whether the gradient by a value is wanted, also by one that only a subgraph of the node reads. */
  isWanted(value: string): boolean;
  /** Adds to the gradient of a wanted value that is not among the node's inputs. */
  contribute(value: string, gradient: string): void;
  /** Sums a gradient of the first output's shape down to the shape of an input that was broadcast. */
  undo(gradient: string, index: number): string;
}

/** Gives the gradient by each input, in order; absent where none is wanted or none exists. */
export type GradientRule = (context: RuleContext) => readonly (string | undefined)[];

/** Rules by the names of their operators. */
export type GradientRules = Readonly<Record<string, GradientRule>>;

/** Which operators have which rule, and which have no gradient by nature. */
export interface RuleTable {
  readonly rules: GradientRules;
  readonly withoutGradient: ReadonlySet<string>;
}

/** An axis that may count from the back, counted from the front. */
export const fromFront = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** The error of a rule that cannot differentiate its node as it is set: says what was expected and what came. */
export const unsupported = (node: Node, what: string): AutodiffError =>
  new AutodiffError(`${describeNode(node)}: ${what}`, {
    code: 'unsupported',
    operator: node.operator,
    node: node.name,
  });
