import { type Dimension, int, intOf, ints, intsOf, text } from '@murmuration/onnx';
import type { Backward } from '../backward.ts';
import { type GradientRule, type GradientRules, type RuleContext, unsupported } from './rule.ts';
import { fittingEnd, spatialFrom, spreadBack, type Window, windowOf } from './window.ts';

/** The window of a pooling and, under `ceil_mode`, how far its last position reaches beyond the padding. */
function poolingWindow(context: RuleContext): {
  readonly window: Window;
  readonly beyond: readonly number[];
} {
  const { node, backward } = context;
  const kernel = intsOf(node, 'kernel_shape');
  if (!kernel) throw unsupported(node, 'expected kernel_shape');
  const sizes = context.shape(0).slice(spatialFrom);
  const window = windowOf(node, kernel, sizes);
  const none = kernel.map(() => 0);
  if (intOf(node, 'ceil_mode', 0) === 0) return { window, beyond: none };
  const outputs = backward.shapeOf(context.output(0)).slice(spatialFrom);
  if (![...sizes, ...outputs].every((size) => typeof size === 'number'))
    throw unsupported(node, `expected constant sizes with ceil_mode, got [${sizes}]`);
  const fitting = fittingEnd(window, sizes, outputs);
  return {
    window,
    beyond: window.end.map((end, axis) => Math.max((fitting[axis] ?? 0) - end, 0)),
  };
}

/** [batch, channels, …] as [batch · channels, 1, …], so that one kernel serves every channel. */
function singleChannel(backward: Backward, value: string, like: string): string {
  const { graph, op } = backward;
  const sizes: readonly Dimension[] = backward.shapeOf(like).slice(spatialFrom);
  const shape = sizes.every((size) => typeof size === 'number')
    ? graph.int64s([-1, 1, ...sizes])
    : op('Concat', [graph.int64s([-1, 1]), op('Shape', [like], { start: int(spatialFrom) })], {
        axis: int(0),
      });
  return op('Reshape', [value, shape]);
}

/** A kernel of ones for a single channel, of the type of `like`. */
const onesKernel = (backward: Backward, { kernel }: Window, like: string): string =>
  backward.op('Expand', [backward.number(1, like), backward.graph.int64s([1, 1, ...kernel])]);

/** Adds each output's value to all inputs that its window covers. */
function spreadEvenly(context: RuleContext, value: string, window: Window): string {
  const { backward } = context;
  const x = context.input(0);
  const single = singleChannel(backward, x, x);
  const spread = spreadBack(backward, {
    outputs: singleChannel(backward, value, context.output(0)),
    kernel: onesKernel(backward, window, x),
    window,
    group: 1,
    like: single,
  });
  return backward.op('Reshape', [spread, backward.shapeValue(x)]);
}

/** How many positions each window of an average counts, as [1, 1, …]. */
function windowCounts(
  context: RuleContext,
  { window, beyond }: { readonly window: Window; readonly beyond: readonly number[] },
): string {
  const { backward, op } = context;
  const { graph } = backward;
  const x = context.input(0);
  const countsPads = intOf(context.node, 'count_include_pad', 0) === 1;
  const [begin, end] = [window.begin, window.end];
  const sizes = op('Concat', [graph.int64s([1, 1]), op('Shape', [x], { start: int(spatialFrom) })], {
    axis: int(0),
  });
  const added = graph.int64s([0, 0, ...begin.map((pad, axis) => pad + (end[axis] as number))]);
  const counted = op('Expand', [context.number(1), countsPads ? op('Add', [sizes, added]) : sizes]);
  const pads = countsPads
    ? [...begin.map(() => 0), ...beyond]
    : [...begin, ...end.map((pad, axis) => pad + (beyond[axis] as number))];
  return op('Conv', [counted, onesKernel(backward, window, x)], {
    strides: ints(window.strides),
    dilations: ints(window.dilations),
    pads: ints(pads),
  });
}

const withBeyond = (window: Window, beyond: readonly number[]): Window => ({
  ...window,
  end: window.end.map((end, axis) => end + (beyond[axis] as number)),
});

const average: GradientRule = (context) => {
  const pooling = poolingWindow(context);
  const share = context.op('Div', [context.gradient, windowCounts(context, pooling)]);
  return [spreadEvenly(context, share, withBeyond(pooling.window, pooling.beyond))];
};

/** x · |x|^(p − 2), the slope of |x|^p / p. */
function powerSlope(context: RuleContext, x: string, p: number): string {
  const { op } = context;
  if (p === 2) return x;
  const sign = op('Sign', [x]);
  return p === 1 ? sign : op('Mul', [sign, op('Pow', [op('Abs', [x]), context.number(p - 1)])]);
}

/** dy / y^(p − 1), and 0 where y is 0. */
function shareOfNorm(context: RuleContext, gradient: string, y: string, p: number): string {
  const { op } = context;
  if (p === 1) return gradient;
  const power = p === 2 ? y : op('Pow', [y, context.number(p - 1)]);
  const isZero = op('Equal', [power, context.number(0)]);
  const share = op('Div', [gradient, op('Where', [isZero, context.number(1), power])]);
  return op('Where', [isZero, context.number(0), share]);
}

/** y = (Σ |x|^p)^(1/p) over a window: dx = x·|x|^(p−2) · Σ dy / y^(p−1). */
const norm: GradientRule = (context) => {
  const p = intOf(context.node, 'p', 2);
  const { window, beyond } = poolingWindow(context);
  const share = shareOfNorm(context, context.gradient, context.output(0), p);
  const spread = spreadEvenly(context, share, withBeyond(window, beyond));
  return [context.op('Mul', [spread, powerSlope(context, context.input(0), p)])];
};

const globalAverage: GradientRule = (context) => {
  const { backward, op } = context;
  const x = context.input(0);
  const axes = context.shape(0).flatMap((_, axis) => (axis < spatialFrom ? [] : [axis]));
  const share = op('Div', [context.gradient, backward.countValue(x, axes)]);
  return [backward.expandLike(share, x)];
};

/** Equal extremes share the gradient equally. */
const globalMaximum: GradientRule = (context) => {
  const { backward, op } = context;
  const x = context.input(0);
  const axes = context.shape(0).flatMap((_, axis) => (axis < spatialFrom ? [] : [axis]));
  const wins = backward.castLike(op('Equal', [x, context.output(0)]), x);
  const winners = op('ReduceSum', [wins, backward.graph.int64s(axes)], { keepdims: int(1) });
  return [op('Mul', [wins, op('Div', [context.gradient, winners])])];
};

const flat = ({ op, backward }: RuleContext, value: string): string =>
  op('Reshape', [value, backward.graph.int64s([-1])]);

/** Positions of maxima count row by row over the whole input, so the gradient is added where they say. */
const maximum: GradientRule = (context) => {
  const { backward, op, node } = context;
  if (intOf(node, 'storage_order', 0) !== 0) throw unsupported(node, 'expected storage_order 0, got 1');
  const x = context.input(0);
  const zeros = flat(context, backward.zerosLike(x));
  const added = op(
    'ScatterElements',
    [zeros, flat(context, context.output(1)), flat(context, context.gradient)],
    { axis: int(0), reduction: text('add') },
  );
  return [op('Reshape', [added, backward.shapeValue(x)])];
};

const unpool: GradientRule = (context) => {
  const { backward, op, node } = context;
  if (context.input(2) !== '') throw unsupported(node, 'expected no output_shape');
  const taken = op('GatherElements', [flat(context, context.gradient), flat(context, context.input(1))]);
  return [op('Reshape', [taken, backward.shapeValue(context.input(0))])];
};

/** What stays of a neighbourhood: averages, maxima, norms. */
export const poolingRules: GradientRules = {
  AveragePool: average,
  MaxPool: maximum,
  LpPool: norm,
  MaxUnpool: unpool,
  GlobalAveragePool: globalAverage,
  GlobalMaxPool: globalMaximum,
};
