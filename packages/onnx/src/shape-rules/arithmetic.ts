import { broadcastShapes } from '../dimension.ts';
import { OnnxError } from '../errors.ts';
import type { KnownValue, ShapeContext, ShapeRule } from '../infer-shapes.ts';
import { type Dimension, type ElementType, intOf, textOf } from '../model.ts';

/** The output is like the first input. */
const same: ShapeRule = ({ inputs }) => [{ type: inputs[0]?.type ?? 'float32', shape: inputs[0]?.shape }];

function broadcastOf({ inputs, where }: ShapeContext, type: ElementType, from = 0): KnownValue {
  const shapes = inputs.slice(from).flatMap((input) => (input ? [input.shape] : []));
  const complete = shapes.every((shape) => shape !== undefined);
  return { type, shape: complete ? broadcastShapes(shapes, where) : undefined };
}

const elementwise: ShapeRule = (context) => [broadcastOf(context, context.inputs[0]?.type ?? 'float32')];
const comparison: ShapeRule = (context) => [broadcastOf(context, 'bool')];
const selection: ShapeRule = (context) => [broadcastOf(context, context.inputs[1]?.type ?? 'float32')];

function checkInner(a: Dimension | undefined, b: Dimension | undefined, where: string): void {
  if (typeof a === 'number' && typeof b === 'number' && a !== b)
    throw new OnnxError(`${where}: expected equal inner dimensions, got ${a} and ${b}`, {
      code: 'invalid-model',
    });
}

/** The last two dimensions, swapped if asked to. */
const matrix = (shape: readonly Dimension[], transposed: boolean): readonly Dimension[] =>
  transposed ? shape.slice(-2).toReversed() : shape.slice(-2);

const matmul: ShapeRule = ({ node, inputs, where }) => {
  const [a, b] = inputs;
  const type = a?.type ?? 'float32';
  if (!a?.shape || !b?.shape) return [{ type }];
  if (a.shape.length === 0 || b.shape.length === 0)
    throw new OnnxError(`${where}: expected at least one dimension, got a scalar`, { code: 'invalid-model' });
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape;
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape;
  const [rows, innerLeft] = matrix(left, intOf(node, 'transA', 0) === 1);
  const [innerRight, columns] = matrix(right, intOf(node, 'transB', 0) === 1);
  checkInner(innerLeft, innerRight, where);
  const batch = broadcastShapes([left.slice(0, -2), right.slice(0, -2), []], where);
  const shape = [
    ...batch,
    ...(a.shape.length === 1 ? [] : [rows as Dimension]),
    ...(b.shape.length === 1 ? [] : [columns as Dimension]),
  ];
  return [{ type, shape }];
};

const layerNormalization: ShapeRule = ({ node, inputs }) => {
  const [x] = inputs;
  const type = x?.type ?? 'float32';
  if (!x?.shape) return node.outputs.map(() => ({ type }));
  const axis = intOf(node, 'axis', -1);
  const first = axis < 0 ? axis + x.shape.length : axis;
  const statistics = { type, shape: x.shape.map((dimension, index) => (index < first ? dimension : 1)) };
  return [{ type, shape: x.shape }, statistics, statistics];
};

const crossEntropy: ShapeRule = ({ node, inputs }) => {
  const [scores, labels] = inputs;
  const type = scores?.type ?? 'float32';
  const whole = textOf(node, 'reduction', 'mean') !== 'none';
  return [
    { type, shape: whole ? [] : labels?.shape },
    { type, shape: scores?.shape },
  ];
};

const unary = [
  ...['Neg', 'Abs', 'Sqrt', 'Exp', 'Log', 'Erf', 'Tanh', 'Sigmoid', 'Relu', 'Gelu', 'FastGelu'],
  ...['QuickGelu', 'HardSigmoid', 'Reciprocal', 'Identity', 'Softmax', 'LogSoftmax', 'Trilu', 'Sin'],
  ...['Cos', 'Floor', 'Ceil', 'Round', 'Sign', 'Not', 'Clip', 'Dropout', 'CumSum', 'ScatterND'],
  ...['ScatterElements', 'BiasGelu', 'Softplus'],
];
const binary = ['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Max', 'Min', 'Sum', 'Mean', 'Mod', 'And', 'Or', 'Xor'];
const compare = ['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'];

/** Operators whose output has the shape of, or the broadcast shape of, their inputs, and products of matrices. */
export const arithmeticRules: Readonly<Record<string, ShapeRule>> = {
  ...Object.fromEntries(unary.map((operator) => [operator, same])),
  ...Object.fromEntries(binary.map((operator) => [operator, elementwise])),
  ...Object.fromEntries(compare.map((operator) => [operator, comparison])),
  Where: selection,
  IsNaN: comparison,
  MatMul: matmul,
  FusedMatMul: matmul,
  Gemm: matmul,
  LayerNormalization: layerNormalization,
  SoftmaxCrossEntropyLoss: crossEntropy,
};
