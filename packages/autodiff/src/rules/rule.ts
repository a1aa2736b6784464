import type { Node } from '@murmuration/onnx';
import type { Backward } from '../backward.ts';

/** What a gradient rule sees of its node. */
export interface RuleContext {
  readonly node: Node;
  /** The gradient of the loss by the node's first output. */
  readonly gradient: string;
  /** The gradients by each output; absent where the loss does not depend on it. */
  readonly gradients: readonly (string | undefined)[];
  readonly backward: Backward;
  /** Adds a node to the backward graph. */
  readonly op: Backward['op'];
  /** A constant without dimensions, of the type of the node's first input. */
  number(value: number): string;
  /** The name of the node's input at an index; the empty name if it is left out. */
  input(index: number): string;
  output(index: number): string;
  /** Whether the gradient by this input is wanted. */
  needs(index: number): boolean;
  /** Sums a gradient of the first output's shape down to the shape of an input that was broadcast. */
  undo(gradient: string, index: number): string;
}

/** An axis that may count from the back, counted from the front. */
export const fromFront = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** Gives the gradient by each input, in order; absent where none is wanted or none exists. */
export type GradientRule = (context: RuleContext) => readonly (string | undefined)[];

/** Rules by the names of their operators. */
export type GradientRules = Readonly<Record<string, GradientRule>>;
