import { intOf, type Model, type Node } from '@murmuration/onnx';
import {
  recomputeBytesMin,
  recomputeNodesMax,
  recomputeOperationsMax,
  recomputeSourceRatio,
} from '../defaults.ts';
import { repeatNodes, splitTraining, type TrainingParts } from './repeat-nodes.ts';
import { type ValueBytes, valueBytes } from './value-bytes.ts';

/** Arithmetic operations per element of the output, where they do not depend on shapes. */
const elementCosts: Readonly<Record<string, number>> = {
  ...{ Add: 1, Sub: 1, Mul: 1, Div: 2, Neg: 1, Abs: 1, Relu: 1, Clip: 1, Where: 1, Sum: 2, Max: 2, Min: 2 },
  ...{
    LeakyRelu: 2,
    HardSigmoid: 2,
    HardSwish: 3,
    Cast: 1,
    Not: 1,
    And: 1,
    Or: 1,
    Equal: 1,
    Greater: 1,
    Less: 1,
  },
  ...{ Sqrt: 2, Reciprocal: 2, Exp: 8, Log: 8, Sigmoid: 8, Tanh: 8, Erf: 8, Gelu: 12, Softplus: 12, Silu: 8 },
  ...{ LayerNormalization: 8, RMSNormalization: 6, Softmax: 10, LogSoftmax: 10 },
  ...{ Reshape: 0, Squeeze: 0, Unsqueeze: 0, Flatten: 0, Transpose: 3, Expand: 1, Slice: 1, Split: 1 },
  ...{ GreaterOrEqual: 1, LessOrEqual: 1, Identity: 0, Concat: 1 },
};

/** What one element of a node's output costs, or undefined for operators that are never cheap. */
function elementCost(node: Node, sizes: ValueBytes): number | undefined {
  if (Object.hasOwn(elementCosts, node.operator)) return elementCosts[node.operator];
  if (node.operator !== 'MatMul' && node.operator !== 'FusedMatMul') return undefined;
  const shape = sizes.shape(node.inputs[0] ?? '');
  const inner = shape?.at(node.operator === 'FusedMatMul' && intOf(node, 'transA', 0) === 1 ? -2 : -1);
  return typeof inner === 'number' ? 2 * inner : undefined;
}

interface Recipe {
  readonly operations: number;
  /** Values that it starts from. */
  readonly from: ReadonlySet<string>;
}

/**
 * How a value is made from values that are held anyway, or that are much smaller (a mask that all layers share);
 * undefined when something on the way is not cheap.
 */
function recipeOf(
  value: string,
  parts: TrainingParts,
  sizes: ValueBytes,
  isHeld: (value: string) => boolean,
): Recipe | undefined {
  const from = new Set<string>();
  const seen = new Set<Node>();
  const smallBytes = (sizes.bytes(value) ?? 0) / recomputeSourceRatio;
  let operations = 0;
  const visit = (name: string): boolean => {
    const producer = parts.producers.get(name);
    if (!producer) return true;
    const isSmall = (sizes.bytes(name) ?? Number.POSITIVE_INFINITY) <= smallBytes;
    if (name !== value && (isHeld(name) || isSmall)) {
      from.add(name);
      return true;
    }
    if (seen.has(producer)) return true;
    if (seen.size === recomputeNodesMax) return false;
    seen.add(producer);
    const cost = elementCost(producer, sizes);
    const elements = sizes.elements(producer.outputs[0] ?? '');
    if (cost === undefined || elements === undefined) return false;
    operations += cost * elements;
    return producer.inputs.every(visit);
  };
  return visit(value) ? { operations, from } : undefined;
}

/**
 * Lets the backward part compute again what costs few operations per byte that it would occupy in between: a
 * normalization's or an activation's output from its input, attention's weights from queries and keys. Only values
 * that are held anyway, or are much smaller, are started from, so that nothing else has to be held instead.
 */
export function recomputeCheap(model: Model): Model {
  const parts = splitTraining(model);
  const sizes = valueBytes(model);
  const dropped = new Set<string>();
  const needed = new Set<string>();
  const isHeld = (value: string): boolean => parts.held.has(value) && !dropped.has(value);
  const candidates = [...parts.held]
    .map((value) => ({ value, bytes: sizes.bytes(value) ?? 0 }))
    .filter(({ bytes }) => bytes >= recomputeBytesMin)
    .toSorted((left, right) => right.bytes - left.bytes);
  for (const { value, bytes } of candidates) {
    if (needed.has(value)) continue;
    const recipe = recipeOf(value, parts, sizes, isHeld);
    if (!recipe || recipe.operations > recomputeOperationsMax * bytes) continue;
    dropped.add(value);
    for (const source of recipe.from) needed.add(source);
  }
  const kept = new Set([...parts.held, ...needed].filter((value) => !dropped.has(value)));
  return dropped.size === 0 ? model : repeatNodes(model, parts, kept);
}
