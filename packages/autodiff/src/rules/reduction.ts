import { int, intOf, intsOf } from '@murmuration/onnx';
import { elementTypeCodes } from '../defaults.ts';
import { AutodiffError } from '../errors.ts';
import type { GradientRule, GradientRules, RuleContext } from './rule.ts';

/** The reduced axes, counted from the front; none for an operator that left its input as it was. */
function reducedAxes({ node, backward, input }: RuleContext): readonly number[] {
  const rank = backward.shapeOf(input(0)).length;
  const axesInput = node.inputs[1];
  const given = axesInput ? backward.numbersOf(axesInput) : (intsOf(node, 'axes') ?? []);
  if (!given)
    throw new AutodiffError(`node ${node.name}: expected constant axes`, {
      code: 'unsupported',
      node: node.name,
    });
  if (given.length > 0) return given.map((axis) => (axis < 0 ? axis + rank : axis));
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
  context.op('Expand', [value, context.backward.shapeValue(context.input(0))]);

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
  const to = elementTypeCodes[backward.typeOf(context.input(0))] ?? 1;
  const wins = op('Cast', [op('Equal', [context.input(0), keepAxes(context, context.output(0))])], {
    to: int(to),
  });
  const axes = reducedAxes(context);
  const winners =
    axes.length === 0 ? wins : op('ReduceSum', [wins, backward.graph.int64s(axes)], { keepdims: int(1) });
  return [op('Mul', [wins, op('Div', [keepAxes(context, context.gradient), winners])])];
};

const number = (context: RuleContext, value: number): string =>
  context.backward.number(value, context.input(0));

/** Sums, means and extremes along axes. */
export const reductionRules: GradientRules = {
  ReduceSum: (context) => [spread(context, keepAxes(context, context.gradient))],
  ReduceMean: mean,
  ReduceMax: extremum,
  ReduceMin: extremum,
  ReduceSumSquare: summing((context) => context.op('Mul', [context.input(0), number(context, 2)])),
  ReduceL1: summing((context) => context.op('Sign', [context.input(0)])),
  ReduceL2: summing((context) => context.op('Div', [context.input(0), keepAxes(context, context.output(0))])),
  ReduceLogSumExp: summing((context) =>
    context.op('Exp', [context.op('Sub', [context.input(0), keepAxes(context, context.output(0))])]),
  ),
};
