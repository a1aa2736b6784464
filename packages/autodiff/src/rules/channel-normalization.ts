/** Normalizations whose statistics belong to one sample: of each channel, of groups of channels, of neighbours. */
import { floatOf, int, intOf, ints } from '@murmuration/onnx';
import { perChannel, sumPerChannel } from './batch-normalization.ts';
import { type GradientRule, type GradientRules, type RuleContext, unsupported } from './rule.ts';

const defaultEpsilon = 1e-5;

/**
 * The rule of an operator that normalizes x, seen as rows of the shape [batch, groups, −1], and then scales and
 * shifts each channel. With x̂ the normalized input and g = dy · scale:
 * dx = inverse · (g − mean(g) − x̂ · mean(g · x̂)), means along each row.
 */
function normalizeRows(context: RuleContext, groups: number): readonly (string | undefined)[] {
  const { node, backward, op, gradient } = context;
  const { graph } = backward;
  const [x, scale] = [context.input(0), context.input(1)];
  const rank = context.shape(0).length;
  const rows = (value: string): string => op('Reshape', [value, graph.int64s([0, groups, -1])]);
  const back = (value: string): string => op('Reshape', [value, backward.shapeValue(x)]);
  const mean = (value: string): string => op('ReduceMean', [value, graph.int64s([2])], { keepdims: int(1) });
  const centered = op('Sub', [rows(x), mean(rows(x))]);
  const variance = mean(op('Mul', [centered, centered]));
  const epsilon = context.number(floatOf(node, 'epsilon', defaultEpsilon));
  const inverse = op('Reciprocal', [op('Sqrt', [op('Add', [variance, epsilon])])]);
  const normalized = op('Mul', [centered, inverse]);
  const byInput = (): string => {
    const scaled = rows(op('Mul', [gradient, perChannel(backward, scale, rank)]));
    const along = op('Mul', [normalized, mean(op('Mul', [scaled, normalized]))]);
    return back(op('Mul', [op('Sub', [op('Sub', [scaled, mean(scaled)]), along]), inverse]));
  };
  return [
    context.needs(0) ? byInput() : undefined,
    context.needs(1) ? sumPerChannel(backward, op('Mul', [gradient, back(normalized)])) : undefined,
    context.needs(2) ? sumPerChannel(backward, gradient) : undefined,
  ];
}

const channelsOf = (context: RuleContext): number => {
  const channels = context.shape(0)[1];
  if (typeof channels !== 'number')
    throw unsupported(context.node, `expected a constant number of channels, got ${channels}`);
  return channels;
};

const group: GradientRule = (context) => normalizeRows(context, intOf(context.node, 'num_groups', 1));
const instance: GradientRule = (context) => normalizeRows(context, channelsOf(context));

/**
 * Local response normalization: y = x · D^−β with D = bias + α/size · (sum of x² over neighbouring channels), so
 * dx = dy·D^−β − 2·α·β/size · x · (sum of dy·x·D^(−β−1) over the channels that x is a neighbour of).
 */
const localResponse: GradientRule = (context) => {
  const { node, backward, op, gradient } = context;
  const { graph } = backward;
  const x = context.input(0);
  const size = intOf(node, 'size', 1);
  const alpha = floatOf(node, 'alpha', 1e-4) / size;
  const beta = floatOf(node, 'beta', 0.75);
  const before = Math.floor((size - 1) / 2);
  const channels = channelsOf(context);
  const ones = op('Expand', [context.number(1), graph.int64s([1, 1, size, 1])]);
  const overNeighbours = (value: string, pads: readonly [number, number]): string => {
    const image = op('Reshape', [
      value,
      op('Concat', [op('Shape', [x], { end: int(1) }), graph.int64s([1, channels, -1])], { axis: int(0) }),
    ]);
    const summed = op('Conv', [image, ones], { pads: ints([pads[0], 0, pads[1], 0]) });
    return op('Reshape', [summed, backward.shapeValue(x)]);
  };
  const after = size - 1 - before;
  const sums = overNeighbours(op('Mul', [x, x]), [before, after]);
  const divisor = op('Add', [
    op('Mul', [sums, context.number(alpha)]),
    context.number(floatOf(node, 'bias', 1)),
  ]);
  const direct = op('Mul', [gradient, op('Pow', [divisor, context.number(-beta)])]);
  const through = overNeighbours(op('Div', [op('Mul', [direct, x]), divisor]), [after, before]);
  const scaled = op('Mul', [op('Mul', [x, through]), context.number(2 * alpha * beta)]);
  return [op('Sub', [direct, scaled])];
};

/** Normalizations of one sample at a time. */
export const channelNormalizationRules: GradientRules = {
  InstanceNormalization: instance,
  GroupNormalization: group,
  LRN: localResponse,
};
