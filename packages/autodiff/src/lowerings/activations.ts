import { float } from '@murmuration/onnx';
import type { Backward } from '../backward.ts';
import type { LoweringContext } from '../passes/lower-operators.ts';

/** What adds nodes: the graph itself, or a body inside it. */
export type AddNode = Backward['op'];

/** An activation with its settings. */
export interface Activation {
  readonly name: string;
  readonly alpha: number;
  readonly beta: number;
}

interface ActivationRow {
  /** Default settings; absent where the activation has none, and takes none from the node's list. */
  readonly alpha?: number;
  readonly beta?: number;
  readonly apply: (op: AddNode, x: string, settings: Activation, number: (value: number) => string) => string;
}

const plain =
  (operator: string): ActivationRow['apply'] =>
  (op, x) =>
    op(operator, [x]);

const scaled = (op: AddNode, x: string, factor: string): string => op('Mul', [x, factor]);

/** The activations that recurrent operators name, in lower case, with onnxruntime's default settings. */
const activations: Readonly<Record<string, ActivationRow>> = {
  relu: { apply: plain('Relu') },
  tanh: { apply: plain('Tanh') },
  sigmoid: { apply: plain('Sigmoid') },
  softsign: { apply: plain('Softsign') },
  softplus: { apply: plain('Softplus') },
  leakyrelu: {
    alpha: 0.01,
    apply: (op, x, { alpha }) => op('LeakyRelu', [x], { alpha: float(alpha) }),
  },
  elu: { alpha: 1, apply: (op, x, { alpha }) => op('Elu', [x], { alpha: float(alpha) }) },
  thresholdedrelu: {
    alpha: 0,
    apply: (op, x, { alpha }) => op('ThresholdedRelu', [x], { alpha: float(alpha) }),
  },
  hardsigmoid: {
    alpha: 0.2,
    beta: 0.5,
    apply: (op, x, { alpha, beta }) => op('HardSigmoid', [x], { alpha: float(alpha), beta: float(beta) }),
  },
  affine: {
    alpha: 0,
    beta: 0,
    apply: (op, x, { alpha, beta }, number) => op('Add', [scaled(op, x, number(alpha)), number(beta)]),
  },
  scaledtanh: {
    alpha: 0,
    beta: 0,
    apply: (op, x, { alpha, beta }, number) =>
      scaled(op, op('Tanh', [scaled(op, x, number(beta))]), number(alpha)),
  },
};

/**
 * The activations of a recurrent operator, one list per direction. Those that have settings take them in turn from
 * the node's lists `activation_alpha` and `activation_beta`, as onnxruntime does.
 */
export function activationsOf(
  context: LoweringContext,
  defaults: readonly string[],
  directions: number,
): readonly (readonly Activation[])[] {
  const { attributes } = context.node;
  const named = attributes.activations;
  const once = Array.from({ length: directions }, () => defaults).flat();
  const names = named?.kind === 'texts' && named.value.length > 0 ? named.value : once;
  if (names.length !== once.length)
    context.refuse(`expected ${once.length} activations, got ${names.length}`);
  const listOf = (name: string): number[] => {
    const list = attributes[name];
    return list?.kind === 'floats' ? [...list.value] : [];
  };
  const alphas = listOf('activation_alpha');
  const betas = listOf('activation_beta');
  const all = names.map((given): Activation => {
    const name = given.toLowerCase();
    const row = Object.hasOwn(activations, name) ? activations[name] : undefined;
    if (!row) return context.refuse(`expected a known activation, got ${given}`);
    const alpha = row.alpha === undefined ? 0 : (alphas.shift() ?? row.alpha);
    const beta = row.beta === undefined ? 0 : (betas.shift() ?? row.beta);
    return { name, alpha, beta };
  });
  return Array.from({ length: directions }, (_, direction) =>
    all.slice(direction * defaults.length, (direction + 1) * defaults.length),
  );
}

/** Adds the nodes of an activation. */
export const activate = (
  op: AddNode,
  activation: Activation,
  x: string,
  number: (value: number) => string,
): string => (activations[activation.name] as ActivationRow).apply(op, x, activation, number);
