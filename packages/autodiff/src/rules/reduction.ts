import { int, intOf, intsOf } from '@murmuration/onnx';
import { fromFront, type GradientRule, type GradientRules, type RuleContext, unsupported } from './rule.ts';

/** The reduced axes, counted from the front; none for an operator that left its input as it was. */
function reducedAxes({ node, backward, input }: RuleContext): readonly number[] {
  const rank = backward.shapeOf(input(0)).length;
  const axesInput = node.inputs[1];
  const given = axesInput ? backward.numbersOf(axesInput) : (intsOf(node, 'axes') ?? []);
  if (!given) throw unsupported(node, 'expected constant axes, got axes known only when the graph runs');
  if (given.length > 0) return given.map((axis) => fromFront(axis, rank));
  return intOf(node, 'noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length: rank }, (_, axis) => axis);
}

/** A reduced value with its axes put back as dimensions of 1. */
function keepAxes(context: RuleContext, value: string): string {
  const axes = reducedAxes(context);
  const keeps = intOf(context.node, 'keepdims', 1) === 1;
  return keeps || axes.length === 0
    ? value
    : context.op('Unsqueeze', [value, context.backward.graph.int64s(axes)]);
}

const spread = (context: RuleContext, value: string): string =>
  context.backward.expandLike(value, context.input(0));

/** The sum of a value of the input's shape along the reduced axes, which stay as dimensions of 1. */
function sumKept(context: RuleContext, value: string): string {
  const axes = reducedAxes(context);
  return axes.length === 0
    ? value
    : context.op('ReduceSum', [value, context.backward.graph.int64s(axes)], { keepdims: int(1) });
}

/** y = Σ f(x): the gradient is dy · f′, repeated along the reduced axes. */
const summing =
  (slope: (context: RuleContext) => string): GradientRule =>
  (context) => [context.op('Mul', [keepAxes(context, context.gradient), slope(context)])];

const mean: GradientRule = (context) => {
  const count = context.backward.countValue(context.input(0), reducedAxes(context));
  return [spread(context, context.op('Div', [keepAxes(context, context.gradient), count]))];
};

/** Equal extremes share the gradient equally. */
const extremum: GradientRule = (context) => {
  const { op, backward } = context;
  const equal = op('Equal', [context.input(0), keepAxes(context, context.output(0))]);
  const wins = backward.castLike(equal, context.input(0));
  const winners = sumKept(context, wins);
  return [op('Mul', [wins, op('Div', [keepAxes(context, context.gradient), winners])])];
};

/**
 * ∂y/∂x is the product of the others, also where one is zero: the product of all nonzero ones, divided by x unless
 * that is the zero, and nothing where a zero is among the others.
 */
const product: GradientRule = (context) => {
  const { op, backward, node } = context;
  const x = context.input(0);
  const isZero = op('Equal', [x, context.number(0)]);
  const nonzero = op('Where', [isZero, context.number(1), x]);
  const ofNonzero = op('ReduceProd', [nonzero, ...node.inputs.slice(1)], node.attributes);
  const each = op('Div', [
    op('Mul', [keepAxes(context, context.gradient), keepAxes(context, ofNonzero)]),
    nonzero,
  ]);
  const zero = backward.castLike(isZero, x);
  const othersAreNonzero = op('Equal', [op('Sub', [sumKept(context, zero), zero]), context.number(0)]);
  return [op('Where', [othersAreNonzero, each, context.number(0)])];
};

/** x/‖x‖, and zero for the zero vector, as PyTorch has it. */
function direction(context: RuleContext): string {
  const { op } = context;
  const norm = keepAxes(context, context.output(0));
  const isZero = op('Equal', [norm, context.number(0)]);
  return op('Div', [context.input(0), op('Where', [isZero, context.number(1), norm])]);
}

/** Sums, means, products and extremes along axes. */
export const reductionRules: GradientRules = {
  ReduceSum: (context) => [spread(context, keepAxes(context, context.gradient))],
  ReduceMean: mean,
  ReduceMax: extremum,
  ReduceMin: extremum,
  ReduceSumSquare: summing((context) => context.op('Mul', [context.input(0), context.number(2)])),
  ReduceL1: summing((context) => context.op('Sign', [context.input(0)])),
  ReduceL2: summing(direction),
  ReduceProd: product,
  ReduceLogSum: (context) => [
    spread(
      context,
      context.op('Div', [
        keepAxes(context, context.gradient),
        context.op('Exp', [keepAxes(context, context.output(0))]),
      ]),
    ),
  ],
  ReduceLogSumExp: summing((context) =>
    context.op('Exp', [context.op('Sub', [context.input(0), keepAxes(context, context.output(0))])]),
  ),
};
