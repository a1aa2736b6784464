import { type Attributes, type Dimension, float, floatOf, int, intOf, ints } from '@murmuration/onnx';
import { undoBroadcast } from '../broadcast.ts';
import { determinant } from './determinant.ts';
import { einsum } from './einsum.ts';
import { type GradientRule, type GradientRules, type RuleContext, unsupported } from './rule.ts';

interface Factor {
  readonly name: string;
  /** Whether the last two dimensions are taken in the other order. */
  readonly transposed: boolean;
}

const plain = (name: string): Factor => ({ name, transposed: false });
const turned = ({ name, transposed }: Factor): Factor => ({ name, transposed: !transposed });
const flag = (value: boolean) => int(value ? 1 : 0);

const productAttributes = (a: Factor, b: Factor, alpha: number): Attributes => ({
  ...(a.transposed ? { transA: flag(true) } : {}),
  ...(b.transposed ? { transB: flag(true) } : {}),
  ...(alpha === 1 ? {} : { alpha: float(alpha) }),
});

/** One factor's gradient as a product of two others: op(A)·op(B) by A is dY·op(B)ᵀ, or its transpose. */
const byFirst = (a: Factor, b: Factor, dy: string): readonly [Factor, Factor] =>
  a.transposed ? [b, turned(plain(dy))] : [plain(dy), turned(b)];
const bySecond = (a: Factor, b: Factor, dy: string): readonly [Factor, Factor] =>
  b.transposed ? [turned(plain(dy)), a] : [turned(a), plain(dy)];

const gemm = ({ op }: RuleContext, [a, b]: readonly [Factor, Factor], alpha: number): string =>
  op('Gemm', [a.name, b.name], productAttributes(a, b, alpha));

/** A product over leading batch dimensions, by onnxruntime's operator that transposes on the fly. */
const fused = ({ op }: RuleContext, [a, b]: readonly [Factor, Factor], alpha: number): string => {
  const attributes = productAttributes(a, b, alpha);
  return op(Object.keys(attributes).length === 0 ? 'MatMul' : 'FusedMatMul', [a.name, b.name], attributes);
};

const gemmRule: GradientRule = (context) => {
  const { node, gradient } = context;
  const alpha = floatOf(node, 'alpha', 1);
  const beta = floatOf(node, 'beta', 1);
  const a = { name: context.input(0), transposed: intOf(node, 'transA', 0) === 1 };
  const b = { name: context.input(1), transposed: intOf(node, 'transB', 0) === 1 };
  const byBias = (): string => {
    const sum = context.undo(gradient, 2);
    return beta === 1 ? sum : context.op('Mul', [sum, context.backward.number(beta, gradient)]);
  };
  return [
    context.needs(0) ? gemm(context, byFirst(a, b, gradient), alpha) : undefined,
    context.needs(1) ? gemm(context, bySecond(a, b, gradient), alpha) : undefined,
    context.needs(2) ? byBias() : undefined,
  ];
};

/** The shape of a batched product's factor gradient: batch dimensions of the product, matrix of the factor. */
const wideShape = (output: readonly Dimension[], factor: readonly Dimension[]): readonly Dimension[] => [
  ...output.slice(0, -2),
  ...factor.slice(-2),
];

/**
 * A matrix that meets a batch of matrices: its gradient is ONE product over all rows, not a batched product with a
 * sum behind it.
 */
function byWeight(context: RuleContext, alpha: number): string {
  const { op, backward } = context;
  const { graph } = backward;
  const flat = (value: string, like: string): string => {
    const last = backward.shapeOf(like).at(-1);
    const shape =
      typeof last === 'number'
        ? graph.int64s([-1, last])
        : op('Concat', [graph.int64s([-1]), op('Shape', [like], { start: int(-1) })], { axis: int(0) });
    return op('Reshape', [value, shape]);
  };
  const x = flat(context.input(0), context.input(0));
  const dy = flat(context.gradient, context.output(0));
  const transposed = intOf(context.node, 'transB', 0) === 1;
  return gemm(context, bySecond(plain(x), { name: context.input(1), transposed }, dy), alpha);
}

/** Vectors as factors: the gradient gets back the dimension that the product dropped. */
function vectorRule(context: RuleContext): readonly (string | undefined)[] {
  const { op, backward, node } = context;
  if (node.operator !== 'MatMul') throw unsupported(node, 'expected matrices, got a vector as factor');
  const [a, b] = [context.input(0), context.input(1)];
  const [aRank, bRank] = [backward.shapeOf(a).length, backward.shapeOf(b).length];
  const axes = (list: readonly number[]): string => backward.graph.int64s(list);
  const dropped = [...(aRank === 1 ? [-2] : []), ...(bRank === 1 ? [-1] : [])];
  const dy = op('Unsqueeze', [context.gradient, axes(dropped)]);
  const aMatrix = plain(aRank === 1 ? op('Unsqueeze', [a, axes([0])]) : a);
  const bMatrix = plain(bRank === 1 ? op('Unsqueeze', [b, axes([1])]) : b);
  const batch = Array.from({ length: Math.max(aRank, bRank, 2) - 2 }, (_, axis) => axis);
  const asVector = (gradient: string, unitAxis: number): string => {
    const sum = batch.length > 0 ? op('ReduceSum', [gradient, axes(batch)], { keepdims: int(0) }) : gradient;
    return op('Squeeze', [sum, axes([unitAxis])]);
  };
  const byA = (): string => {
    const wide = fused(context, byFirst(aMatrix, bMatrix, dy), 1);
    return aRank === 1 ? asVector(wide, 0) : wide;
  };
  const byB = (): string => {
    const wide = fused(context, bySecond(aMatrix, bMatrix, dy), 1);
    return bRank === 1 ? asVector(wide, 1) : wide;
  };
  return [context.needs(0) ? byA() : undefined, context.needs(1) ? byB() : undefined];
}

/** A factor whose rows are its first axis, with the rows behind the batch instead, and the way back. */
function rowsFirst(
  context: RuleContext,
  index: number,
): { factor: string; back: (gradient: string) => string } {
  const { op, backward, node } = context;
  const value = context.input(index);
  if (intOf(node, index === 0 ? 'transBatchA' : 'transBatchB', 0) === 0)
    return { factor: value, back: (gradient) => gradient };
  const rank = backward.shapeOf(value).length;
  const order = Array.from({ length: rank }, (_, axis) => axis);
  const behind = [...order.slice(1, -1), 0, rank - 1];
  const inverse = behind.map((_, axis) => behind.indexOf(axis));
  return {
    factor: op('Transpose', [value], { perm: ints(behind) }),
    back: (gradient) => op('Transpose', [gradient], { perm: ints(inverse) }),
  };
}

const matmulRule: GradientRule = (context) => {
  const { node, gradient, backward } = context;
  const alpha = floatOf(node, 'alpha', 1);
  const [left, right] = [rowsFirst(context, 0), rowsFirst(context, 1)];
  const a = { name: left.factor, transposed: intOf(node, 'transA', 0) === 1 };
  const b = { name: right.factor, transposed: intOf(node, 'transB', 0) === 1 };
  const [aShape, bShape] = [backward.shapeOf(a.name), backward.shapeOf(b.name)];
  if (aShape.length === 1 || bShape.length === 1) return vectorRule(context);
  const outputShape = backward.shapeOf(context.output(0));
  const isWeight = bShape.length === 2 && aShape.length > 2 && !a.transposed && a.name === context.input(0);
  const byA = (): string => {
    const wide = fused(context, byFirst(a, b, gradient), alpha);
    return left.back(undoBroadcast(backward, wide, wideShape(outputShape, aShape), a.name));
  };
  const byB = (): string => {
    if (isWeight) return byWeight(context, alpha);
    if (aShape.length === 2 && bShape.length === 2) return gemm(context, bySecond(a, b, gradient), alpha);
    const wide = fused(context, bySecond(a, b, gradient), alpha);
    return right.back(undoBroadcast(backward, wide, wideShape(outputShape, bShape), b.name));
  };
  return [context.needs(0) ? byA() : undefined, context.needs(1) ? byB() : undefined];
};

/** Products of matrices. */
export const productRules: GradientRules = {
  Gemm: gemmRule,
  MatMul: matmulRule,
  FusedMatMul: matmulRule,
  Einsum: einsum,
  Det: determinant,
};
