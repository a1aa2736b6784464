/**
 * Batch normalization. In inference it is an affine map with statistics given as inputs. In training the statistics
 * are those of the batch; the graph's running statistics get a "gradient" too: what a step of size 1 − momentum takes
 * off them, so that they lie among the parameters. The nodes that compute a batch's statistics are made by
 * `batchStatistics` both here and where the operator itself is replaced (lowerings/batch-normalization.ts), and then
 * merged because they are equal.
 */
import { float, floatOf, int, intOf, type Node } from '@murmuration/onnx';
import type { Backward } from '../backward.ts';
import { type GradientRule, type GradientRules, type RuleContext, unsupported } from './rule.ts';
import { axesButChannels } from './window.ts';

const defaultEpsilon = 1e-5;

/** Whether a node normalizes by the statistics of its own batch. */
export const trainsOnBatch = (node: Node): boolean =>
  node.domain === '' && node.operator === 'BatchNormalization' && intOf(node, 'training_mode', 0) === 1;

/** A value [C] as [C, 1, …], to meet values [batch, C, …] of a rank. */
export const perChannel = (backward: Backward, value: string, rank: number): string =>
  rank <= 2
    ? value
    : backward.op('Reshape', [
        value,
        backward.graph.int64s([-1, ...Array.from({ length: rank - 2 }, () => 1)]),
      ]);

/** Sums over batch and positions, as [C]. */
export const sumPerChannel = (backward: Backward, value: string, operator = 'ReduceSum'): string =>
  backward.op(operator, [value, backward.graph.int64s(axesButChannels(backward.shapeOf(value).length))], {
    keepdims: int(0),
  });

/** What a batch says of itself, per channel. */
export interface BatchStatistics {
  /** x with each channel's mean taken off. */
  readonly centered: string;
  /** [C] */
  readonly mean: string;
  /** [C]: mean square of `centered`, over n values and not n − 1, as the operator is defined. */
  readonly variance: string;
  /** [C]: 1 / √(variance + ε). */
  readonly inverse: string;
}

export const epsilonOf = (node: Node): number => floatOf(node, 'epsilon', defaultEpsilon);

/** 1 / √(variance + ε). */
export const inverseDeviation = (backward: Backward, node: Node, variance: string): string => {
  const epsilon = backward.number(epsilonOf(node), variance);
  return backward.op('Reciprocal', [backward.op('Sqrt', [backward.op('Add', [variance, epsilon])])]);
};

/** Appends the nodes that compute the statistics of the batch that a node normalizes. */
export function batchStatistics(backward: Backward, node: Node): BatchStatistics {
  const x = node.inputs[0] ?? '';
  const rank = backward.shapeOf(x).length;
  const mean = sumPerChannel(backward, x, 'ReduceMean');
  const centered = backward.op('Sub', [x, perChannel(backward, mean, rank)]);
  const squares = sumPerChannel(backward, centered, 'ReduceSumSquare');
  const variance = backward.op('Div', [squares, backward.countValue(x, axesButChannels(rank))]);
  return { centered, mean, variance, inverse: inverseDeviation(backward, node, variance) };
}

/** y = scale · (x − mean) · inverse + bias with statistics that are inputs like any other. */
const affine: GradientRule = (context) => {
  const { node, backward, op, gradient } = context;
  const [x, scale, , mean, variance] = node.inputs as readonly [string, string, string, string, string];
  const rank = context.shape(0).length;
  const wide = (value: string): string => perChannel(backward, value, rank);
  const inverse = inverseDeviation(backward, node, variance);
  const factor = op('Mul', [scale, inverse]);
  const sum = (): string => sumPerChannel(backward, gradient);
  const correlation = (): string =>
    sumPerChannel(backward, op('Mul', [gradient, op('Sub', [x, wide(mean)])]));
  const byVariance = (): string => {
    const cube = op('Mul', [factor, op('Mul', [inverse, inverse])]);
    return op('Mul', [op('Mul', [correlation(), cube]), backward.number(-0.5, gradient)]);
  };
  return [
    context.needs(0) ? op('Mul', [gradient, wide(factor)]) : undefined,
    context.needs(1) ? op('Mul', [correlation(), inverse]) : undefined,
    context.needs(2) ? sum() : undefined,
    context.needs(3) ? op('Neg', [op('Mul', [sum(), factor])]) : undefined,
    context.needs(4) ? byVariance() : undefined,
  ];
};

/** What a step of size 1 − momentum takes off a running statistic; nothing flows to what another node gives. */
function awayFromBatch(context: RuleContext, index: number, ofBatch: string): string | undefined {
  const running = context.input(index);
  if (!context.needs(index) || context.backward.producerOf(running)) return undefined;
  return context.op('Sub', [running, ofBatch]);
}

/**
 * With x̂ the normalized input, d̄ the mean of dy and c̄ the mean of dy·x̂ per channel:
 * dx = scale · inverse · (dy − d̄ − x̂·c̄).
 */
const byBatch: GradientRule = (context) => {
  const { node, backward, op, gradients } = context;
  const dy = gradients[0];
  if (dy === undefined || gradients.slice(1).some((gradient) => gradient !== undefined))
    throw unsupported(node, 'expected running statistics that do not enter the loss');
  const rank = context.shape(0).length;
  const wide = (value: string): string => perChannel(backward, value, rank);
  const { centered, mean, variance, inverse } = batchStatistics(backward, node);
  const sum = sumPerChannel(backward, dy);
  const correlation = op('Mul', [sumPerChannel(backward, op('Mul', [dy, centered])), inverse]);
  const byInput = (): string => {
    const count = backward.countValue(context.input(0), axesButChannels(rank));
    const scale = context.input(1);
    const direct = op(
      'BatchNormalization',
      [dy, scale, backward.zerosLike(scale), op('Div', [sum, count]), variance],
      {
        epsilon: float(epsilonOf(node)),
      },
    );
    const square = op('Mul', [inverse, inverse]);
    const along = op('Mul', [op('Mul', [correlation, scale]), op('Div', [square, count])]);
    return op('Sub', [direct, op('Mul', [centered, wide(along)])]);
  };
  return [
    context.needs(0) ? byInput() : undefined,
    correlation,
    sum,
    awayFromBatch(context, 3, mean),
    awayFromBatch(context, 4, variance),
  ];
};

/** Normalization of channels over the batch. */
export const batchNormalizationRules: GradientRules = {
  BatchNormalization: (context) => (trainsOnBatch(context.node) ? byBatch(context) : affine(context)),
};
