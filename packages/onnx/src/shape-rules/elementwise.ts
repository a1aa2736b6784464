import { broadcastShapes } from '../dimension.ts';
import { type ElementType, intOf } from '../model.ts';
import { chooseElements, elementwiseElements, signedMod } from './elements.ts';
import { type KnownValue, type ShapeContext, type ShapeRule, type ShapeRules, typeOf } from './rule.ts';

/** The output is like the first input. */
export const same: ShapeRule = (context) => {
  const { inputs, node } = context;
  const shape = inputs[0]?.shape;
  return [
    { type: typeOf(context), shape, elements: elementwiseElements(node.operator, inputs.slice(0, 1), shape) },
  ];
};

function broadcastOf({ inputs, where, node }: ShapeContext, type: ElementType): KnownValue {
  const shapes = inputs.flatMap((input) => (input ? [input.shape] : []));
  if (!shapes.every((shape) => shape !== undefined)) return { type };
  const shape = broadcastShapes(shapes, where);
  const isSigned = node.operator === 'Mod' && intOf(node, 'fmod', 0) === 1;
  const elements =
    node.operator === 'Where'
      ? chooseElements(inputs, shape)
      : elementwiseElements(isSigned ? signedMod : node.operator, inputs, shape);
  return { type, shape, elements };
}

/** The output has the broadcast shape of all inputs and the first one's type. */
export const elementwise: ShapeRule = (context) => [broadcastOf(context, typeOf(context))];
const comparison: ShapeRule = (context) => [broadcastOf(context, 'bool')];
const selection: ShapeRule = (context) => [broadcastOf(context, typeOf(context, 1))];
const test: ShapeRule = ({ inputs }) => [{ type: 'bool', shape: inputs[0]?.shape }];

/** The output, and a mask of the same shape. */
const dropout: ShapeRule = (context) => {
  const shape = context.inputs[0]?.shape;
  return [
    { type: typeOf(context), shape },
    { type: 'bool', shape },
  ];
};

const unary = [
  ...['Abs', 'Acos', 'Acosh', 'Asin', 'Asinh', 'Atan', 'Atanh', 'BitwiseNot', 'Ceil', 'Celu', 'Clip', 'Cos'],
  ...['Cosh', 'CumSum', 'Elu', 'Erf', 'Exp', 'Floor', 'Gelu', 'HardSigmoid', 'HardSwish', 'Hardmax'],
  ...['Identity', 'LRN', 'LeakyRelu', 'Log', 'LogSoftmax', 'LpNormalization', 'Mish', 'Neg', 'Not'],
  ...['MeanVarianceNormalization', 'Reciprocal', 'Relu', 'ReverseSequence', 'Round', 'Selu', 'Shrink'],
  ...['Sigmoid', 'Sign', 'Sin', 'Sinh', 'Softmax', 'Softplus', 'Softsign', 'Sqrt', 'Swish', 'Tan', 'Tanh'],
  ...['ThresholdedRelu', 'Trilu', 'PRelu', 'Optional', 'OptionalGetElement'],
];
const binary = [
  ...['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Max', 'Min', 'Sum', 'Mean', 'Mod', 'And', 'Or', 'Xor'],
  ...['BitShift', 'BitwiseAnd', 'BitwiseOr', 'BitwiseXor'],
];
const compare = ['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'];
const truths = new Set(['And', 'Or', 'Xor']);

/** Operators whose output has the shape of an input, or the broadcast shape of all inputs. */
export const elementwiseRules: ShapeRules = {
  ...Object.fromEntries(unary.map((operator) => [operator, same])),
  ...Object.fromEntries(
    binary.map((operator) => [operator, truths.has(operator) ? comparison : elementwise]),
  ),
  ...Object.fromEntries(compare.map((operator) => [operator, comparison])),
  Where: selection,
  IsNaN: test,
  IsInf: test,
  Dropout: dropout,
};
