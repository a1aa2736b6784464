import { describeNode } from '../describe-node.ts';
import { OnnxError } from '../errors.ts';
import type { KnownValue } from '../infer-shapes.ts';
import type { Attributes, Node, Tensor } from '../model.ts';

/** What a change may ask, and where it puts nodes beside the one that it changes. */
export interface ChangeContext {
  /** Adds a node of the newest version before the changed one and gives its output. */
  readonly op: (operator: string, inputs: readonly string[], attributes?: Attributes) => string;
  /** Adds a node of the newest version after the changed one, which gives `output`. */
  readonly after: (
    operator: string,
    inputs: readonly string[],
    output: string,
    attributes?: Attributes,
  ) => void;
  /** A constant list of integers, or a constant integer without dimensions. */
  readonly int64s: (values: readonly number[], shape?: readonly number[]) => string;
  /** A constant list of numbers, or a constant number without dimensions. */
  readonly float32s: (values: readonly number[], shape?: readonly number[]) => string;
  /** A name for a new value. */
  readonly fresh: (stem: string) => string;
  /** The data of a constant, if the value is one. */
  readonly constantOf: (value: string) => Tensor | undefined;
  /** Whether a node or an output of the model uses the value. */
  readonly isUsed: (value: string) => boolean;
  /** Type and shape of a value, as far as they are known. */
  readonly known: (value: string) => KnownValue | undefined;
}

/** What an opset version changed about an operator. */
export interface Change {
  /** The first opset with the new form. */
  readonly since: number;
  /** Whether a better result is possible when shapes are known: then the change waits until all others are made. */
  readonly late?: true;
  /** The node in the new form, which gives the same values. */
  readonly apply: (node: Node, context: ChangeContext) => Node;
}

/** A node without some of its attributes, with others. */
export function withAttributes(node: Node, without: readonly string[], more: Attributes = {}): Node {
  const kept = Object.entries(node.attributes).filter(([name]) => !without.includes(name));
  return { ...node, attributes: { ...Object.fromEntries(kept), ...more } };
}

/** A node's inputs with one more at an index; absent ones in between are empty. */
export function withInput(node: Node, index: number, value: string): Node {
  const inputs = Array.from({ length: Math.max(index + 1, node.inputs.length) }, (_, at) =>
    at === index ? value : (node.inputs[at] ?? ''),
  );
  return { ...node, inputs };
}

/** Throws `OnnxError` `unsupported` for an old form that has no counterpart. */
export function refuse(node: Node, expected: string): never {
  throw new OnnxError(`${describeNode(node)}: expected ${expected}`, {
    code: 'unsupported',
    node: node.name,
    operator: node.operator,
  });
}
