/** What onnxruntime's optimizer fuses into one operator, taken apart again. */
import { type Attributes, float, floatOf, microsoft, text, textOf } from '@murmuration/onnx';
import type { Lowering, LoweringContext, Lowerings } from '../passes/lower-operators.ts';

/** The activation behind a fused product, whose settings come as a list. */
function activated(context: LoweringContext, x: string, settings: readonly number[]): string {
  const { op } = context;
  const name = textOf(context.node, 'activation', '');
  const [first = 0, second = 0] = settings;
  switch (name) {
    case '':
      return x;
    case 'Relu':
    case 'Sigmoid':
    case 'Tanh':
    case 'HardSwish':
    case 'Softplus':
    case 'Softsign':
      return op(name, [x]);
    case 'LeakyRelu':
    case 'Elu':
    case 'ThresholdedRelu':
      return op(name, [x], { alpha: float(first) });
    case 'HardSigmoid':
      return op(name, [x], { alpha: float(first), beta: float(second) });
    case 'Clip':
      return op(name, [x, context.number(first), context.number(second)]);
    default:
      return context.refuse(`expected a known activation, got ${name}`);
  }
}

/** A node's attributes without those of its activation. */
const withoutActivation = (attributes: Attributes): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([name]) => !name.startsWith('activation')));

const fusedConvolution: Lowering = (context) => {
  const { op, node, input } = context;
  const bias = input(2) === '' ? [] : [input(2)];
  const product = op('Conv', [input(0), input(1), ...bias], withoutActivation(node.attributes));
  const sum = input(3) === '' ? product : op('Add', [product, input(3)]);
  const settings = node.attributes.activation_params;
  return [activated(context, sum, settings?.kind === 'floats' ? settings.value : [])];
};

const fusedProduct: Lowering = (context) => {
  const { op, node } = context;
  const product = op('Gemm', node.inputs, withoutActivation(node.attributes));
  const settings = ['alpha', 'beta', 'gamma'].map((each) => floatOf(node, `activation_${each}`, 0));
  return [activated(context, product, settings)];
};

/** The first input, plus the bias if there is one. */
const biased = ({ op, input }: LoweringContext): string =>
  input(1) === '' ? input(0) : op('Add', [input(0), input(1)]);

const same =
  (operator: string, domain?: string): Lowering =>
  ({ op, node }) => [op(operator, node.inputs, node.attributes, domain)];

/** Fused operators of onnxruntime's own domain. */
export const fusedLowerings: Lowerings = {
  'com.microsoft:FusedConv': fusedConvolution,
  'com.microsoft:FusedGemm': fusedProduct,
  'com.microsoft:BiasGelu': (context) => [context.op('Gelu', [biased(context)])],
  'com.microsoft:FastGelu': (context) => [
    context.op('Gelu', [biased(context)], { approximate: text('tanh') }),
  ],
  'com.microsoft:Gelu': same('Gelu'),
  'com.microsoft:QuickGelu': (context) => {
    const { op, input, node } = context;
    const scaled = op('Mul', [input(0), context.number(floatOf(node, 'alpha', 1.702))]);
    return [op('Mul', [input(0), op('Sigmoid', [scaled])])];
  },
  'com.microsoft:TransposeMatMul': same('FusedMatMul', microsoft),
  'com.microsoft:Trilu': same('Trilu'),
};
