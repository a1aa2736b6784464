import { inferenceElementsMax, rankMax } from './defaults.ts';
import { OnnxError } from './errors.ts';
import { type Dimension, type ElementType, type Model, microsoft, type Node, type Tensor } from './model.ts';
import { arithmeticRules } from './shape-rules/arithmetic.ts';
import { layoutRules } from './shape-rules/layout.ts';
import { shapeValueRules } from './shape-rules/shape-values.ts';

/** What is known of a value before the graph runs. */
export interface KnownValue {
  readonly type: ElementType;
  /** Absent when not even the rank is known. */
  readonly shape?: readonly Dimension[] | undefined;
  /** The elements of a small integer tensor (a shape, axes, an index), row-major, as far as they are known. */
  readonly elements?: readonly Dimension[] | undefined;
}

/** What a shape rule sees of its node. */
export interface ShapeContext {
  readonly node: Node;
  /** `node.inputs` one by one; absent for an optional input left out. */
  readonly inputs: readonly (KnownValue | undefined)[];
  /** How an error names the node. */
  readonly where: string;
}

/** Gives the outputs of a node in order. */
export type ShapeRule = (context: ShapeContext) => readonly KnownValue[];

const rules: Readonly<Record<string, ShapeRule>> = { ...arithmeticRules, ...layoutRules, ...shapeValueRules };

function knownTensor(tensor: Tensor): KnownValue {
  const integers = tensor.type === 'int64' || tensor.type === 'int32';
  const small = tensor.data.length <= inferenceElementsMax && tensor.shape.length <= 1;
  return {
    type: tensor.type,
    shape: tensor.shape,
    elements: integers && small ? Array.from(tensor.data as ArrayLike<number | bigint>, Number) : undefined,
  };
}

/** Refuses absurd ranks, forgets long lists: a hostile graph could double both with every node. */
function bounded(value: KnownValue, node: Node): KnownValue {
  if (value.shape && value.shape.length > rankMax)
    throw new OnnxError(
      `node ${JSON.stringify(node.name)} (${node.operator}): expected at most ${rankMax} dimensions, got ${value.shape.length}`,
      { code: 'invalid-model', node: node.name },
    );
  return value.elements && value.elements.length > inferenceElementsMax
    ? { type: value.type, shape: value.shape }
    : value;
}

function inferNode(node: Node, known: ReadonlyMap<string, KnownValue>): readonly KnownValue[] {
  const constant = node.operator === 'Constant' ? node.attributes.value : undefined;
  if (constant?.kind === 'tensor') return [knownTensor(constant.value)];
  const where = `node ${JSON.stringify(node.name)} (${node.operator})`;
  const inputs = node.inputs.map((input) => known.get(input));
  const missing = node.inputs.find((input, index) => input !== '' && !inputs[index]);
  if (missing !== undefined)
    throw new OnnxError(`${where}: expected input ${missing} to be given before`, {
      code: 'invalid-model',
      input: missing,
    });
  const ours = node.domain === '' || node.domain === microsoft;
  const rule = ours && Object.hasOwn(rules, node.operator) ? rules[node.operator] : undefined;
  return rule
    ? rule({ node, inputs, where })
    : node.outputs.map(() => ({ type: inputs[0]?.type ?? 'float32' }));
}

/**
 * Type and shape of every value of a model, symbolic dimensions included; values of operators without a rule have no
 * shape. A slice's symbolic end is taken to lie inside its dimension. Throws `OnnxError` `invalid-model` when shapes
 * contradict each other.
 */
export function inferShapes(model: Model): ReadonlyMap<string, KnownValue> {
  const known = new Map<string, KnownValue>();
  for (const { name, type, shape } of model.graph.inputs) known.set(name, { type, shape });
  for (const tensor of model.graph.initializers) known.set(tensor.name, knownTensor(tensor));
  for (const node of model.graph.nodes)
    inferNode(node, known).forEach((value, index) => {
      const output = node.outputs[index];
      if (output) known.set(output, bounded(value, node));
    });
  return known;
}
