import { floatOf, int, intOf, intsOf } from '@murmuration/onnx';
import { undoBroadcast } from '../broadcast.ts';
import { fromFront, type GradientRule, type GradientRules, type RuleContext, unsupported } from './rule.ts';

const kept = { keepdims: int(1) };

/** (g − mean(g) − x̂·mean(g·x̂))·inverse: the gradient through x̂ = (x − mean)·inverse, means along axes. */
function throughNormal(
  { op }: RuleContext,
  g: string,
  normal: string,
  weighted: string,
  inverse: string,
  axes: string,
): string {
  const average = op('ReduceMean', [g, axes], kept);
  const slope = op('ReduceMean', [weighted, axes], kept);
  return op('Mul', [op('Sub', [op('Sub', [g, average]), op('Mul', [normal, slope])]), inverse]);
}

/**
 * Mean and inverse deviation: the operator's own second and third outputs, which are float32 whatever the input is. In
 * double precision they are computed again.
 */
function statistics(context: RuleContext, axes: string): readonly [string, string] {
  const { op, node, backward } = context;
  const x = context.input(0);
  const [mean, inverse] = [context.output(1), context.output(2)];
  if (backward.typeOf(x) !== 'float64') {
    if (mean === '' || inverse === '')
      throw unsupported(node, 'expected its mean and inverse deviation as outputs');
    return [mean, inverse];
  }
  const average = op('ReduceMean', [x, axes], kept);
  const centered = op('Sub', [x, average]);
  const variance = op('ReduceMean', [op('Mul', [centered, centered]), axes], kept);
  const safe = op('Add', [variance, context.number(floatOf(node, 'epsilon', 1e-5))]);
  return [average, op('Reciprocal', [op('Sqrt', [safe])])];
}

/** With g = dy·gain, through x̂. */
const layerNormalization: GradientRule = (context) => {
  const { op, node, gradients, backward } = context;
  const [x, gain] = [context.input(0), context.input(1)];
  const [gradient] = gradients;
  if (gradient === undefined || gradients[1] !== undefined || gradients[2] !== undefined)
    throw unsupported(node, 'expected a loss that does not depend on its mean and inverse deviation');
  const shape = backward.shapeOf(x);
  const first = fromFront(intOf(node, 'axis', -1), shape.length);
  const axes = backward.graph.int64s(shape.slice(first).map((_, index) => first + index));
  const [mean, inverse] = statistics(context, axes);
  const normal = op('Mul', [op('Sub', [x, mean]), inverse]);
  const byX = (): string => {
    const g = op('Mul', [gradient, gain]);
    return throughNormal(context, g, normal, op('Mul', [g, normal]), inverse, axes);
  };
  return [
    context.needs(0) ? byX() : undefined,
    context.needs(1) ? undoBroadcast(backward, op('Mul', [gradient, normal]), shape, gain) : undefined,
    context.needs(2) ? undoBroadcast(backward, gradient, shape, context.input(2)) : undefined,
  ];
};

/** Through y = (x − mean)/deviation, whose deviation is computed again. */
const meanVariance: GradientRule = (context) => {
  const { op, node, gradient, backward } = context;
  const y = context.output(0);
  const axes = backward.graph.int64s(intsOf(node, 'axes') ?? [0, 2, 3]);
  const centered = op('Sub', [context.input(0), op('ReduceMean', [context.input(0), axes], kept)]);
  const variance = op('ReduceMean', [op('Mul', [centered, centered]), axes], kept);
  const inverse = op('Reciprocal', [op('Sqrt', [variance])]);
  return [throughNormal(context, gradient, y, op('Mul', [gradient, y]), inverse, axes)];
};

/** The axis as a list for a reduction. */
const axisList = (context: RuleContext): string =>
  context.backward.graph.int64s([intOf(context.node, 'axis', -1)]);

/**
 * y = x/‖x‖: by the 2-norm (dy − y·Σ dy·y)/‖x‖, by the 1-norm (dy − sign x·Σ dy·y)/‖x‖; zero where the norm is, as y
 * is zero there whatever x does.
 */
const lpNormalization: GradientRule = (context) => {
  const { op, gradient, node } = context;
  const [x, y] = [context.input(0), context.output(0)];
  const axes = axisList(context);
  const isFirst = intOf(node, 'p', 2) === 1;
  const size = op(isFirst ? 'ReduceL1' : 'ReduceL2', [x, axes], kept);
  const isZero = op('Equal', [size, context.number(0)]);
  const inverse = op('Where', [isZero, context.number(0), op('Reciprocal', [size])]);
  const along = op('ReduceSum', [op('Mul', [gradient, y]), axes], kept);
  const direction = isFirst ? op('Sign', [x]) : y;
  return [op('Mul', [op('Sub', [gradient, op('Mul', [direction, along])]), inverse])];
};

/** dx = y·(dy − Σ dy·y). */
const softmax: GradientRule = (context) => {
  const { op, gradient } = context;
  const y = context.output(0);
  const sum = op('ReduceSum', [op('Mul', [gradient, y]), axisList(context)], kept);
  return [op('Mul', [op('Sub', [gradient, sum]), y])];
};

/**
 * dx = dy − exp(y)·Σ dy. When dy is zeros with a few values scattered in (the gradient of choosing the targets'
 * log-probabilities), the values alone are summed and scattered into the dense term: no zeros are ever made.
 */
const logSoftmax: GradientRule = (context) => {
  const { op, gradient, backward } = context;
  const axis = intOf(context.node, 'axis', -1);
  const rank = backward.shapeOf(context.input(0)).length;
  const probabilities = op('Exp', [context.output(0)]);
  const scatter = backward.producerOf(gradient);
  const sparse =
    scatter?.operator === 'ScatterElements' &&
    fromFront(intOf(scatter, 'axis', 0), rank) === fromFront(axis, rank) &&
    backward.producerOf(scatter.inputs[0] ?? '')?.operator === 'ConstantOfShape';
  if (!sparse) {
    const sum = op('ReduceSum', [gradient, axisList(context)], kept);
    return [op('Sub', [gradient, op('Mul', [probabilities, sum])])];
  }
  const [, indices, values] = scatter.inputs as [string, string, string];
  const single = backward.shapeOf(indices)[fromFront(axis, rank)] === 1;
  const sum = single ? values : op('ReduceSum', [values, axisList(context)], kept);
  const dense = op('Mul', [probabilities, op('Neg', [sum])]);
  return [op('ScatterElements', [dense, indices, values], scatter.attributes)];
};

/** Normalizations along axes. */
export const normalizationRules: GradientRules = {
  LayerNormalization: layerNormalization,
  MeanVarianceNormalization: meanVariance,
  LpNormalization: lpNormalization,
  Softmax: softmax,
  LogSoftmax: logSoftmax,
};
