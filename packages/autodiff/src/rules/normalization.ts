import { type Dimension, int, intOf, text } from '@murmuration/onnx';
import { undoBroadcast } from '../broadcast.ts';
import { AutodiffError } from '../errors.ts';
import { fromFront, type GradientRule, type GradientRules, type RuleContext } from './rule.ts';

/**
 * With x̂ = (x − mean)/deviation and g = dy·gain: dx = (g − mean(g) − x̂·mean(g·x̂))/deviation. Mean and inverse
 * deviation are the operator's own second and third outputs.
 */
const layerNormalization: GradientRule = (context) => {
  const { op, node, gradient, backward } = context;
  const [x, gain] = [context.input(0), context.input(1)];
  const [mean, inverse] = [context.output(1), context.output(2)];
  if (mean === '' || inverse === '')
    throw new AutodiffError(`node ${node.name}: expected its mean and inverse deviation as outputs`, {
      code: 'unsupported',
      node: node.name,
    });
  const shape = backward.shapeOf(x);
  const first = fromFront(intOf(node, 'axis', -1), shape.length);
  const axes = backward.graph.int64s(shape.slice(first).map((_, index) => first + index));
  const normal = op('Mul', [op('Sub', [x, mean]), inverse]);
  const weighted = op('Mul', [gradient, normal]);
  const byX = (): string => {
    const g = op('Mul', [gradient, gain]);
    const average = op('ReduceMean', [g, axes], { keepdims: int(1) });
    const slope = op('ReduceMean', [op('Mul', [g, normal]), axes], { keepdims: int(1) });
    return op('Mul', [op('Sub', [op('Sub', [g, average]), op('Mul', [normal, slope])]), inverse]);
  };
  return [
    context.needs(0) ? byX() : undefined,
    context.needs(1) ? undoBroadcast(backward, weighted, shape, gain) : undefined,
    context.needs(2) ? undoBroadcast(backward, gradient, shape, context.input(2)) : undefined,
  ];
};

/** The axis as a list for a reduction. */
const axisList = (context: RuleContext): string =>
  context.backward.graph.int64s([intOf(context.node, 'axis', -1)]);

/** dx = y·(dy − Σ dy·y). */
const softmax: GradientRule = (context) => {
  const { op, gradient } = context;
  const y = context.output(0);
  const sum = op('ReduceSum', [op('Mul', [gradient, y]), axisList(context)], { keepdims: int(1) });
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
    const sum = op('ReduceSum', [gradient, axisList(context)], { keepdims: int(1) });
    return [op('Sub', [gradient, op('Mul', [probabilities, sum])])];
  }
  const [, indices, values] = scatter.inputs as [string, string, string];
  const single = backward.shapeOf(indices)[fromFront(axis, rank)] === 1;
  const sum = single ? values : op('ReduceSum', [values, axisList(context)], { keepdims: int(1) });
  const dense = op('Mul', [probabilities, op('Neg', [sum])]);
  return [op('ScatterElements', [dense, indices, values], scatter.attributes)];
};

/** Log-probabilities' second output, scores' gradient: (softmax − one at the label)·weight, weight = dy/count. */
const crossEntropy: GradientRule = (context) => {
  const { op, node, gradient, backward } = context;
  const [scores, labels] = [context.input(0), context.input(1)];
  if (node.inputs[2] || node.attributes.ignore_index || context.gradients[1])
    throw new AutodiffError(`node ${node.name}: weights, ignore_index and log_prob have no gradient rule`, {
      code: 'unsupported',
      node: node.name,
    });
  const shape: readonly Dimension[] = backward.shapeOf(scores);
  const reduction = node.attributes.reduction?.value ?? 'mean';
  const axis = backward.graph.int64s([1]);
  const indices = op('Unsqueeze', [labels, axis]);
  const count = (): string =>
    backward.countValue(
      scores,
      shape.flatMap((_, index) => (index === 1 ? [] : [index])),
    );
  const each =
    reduction === 'none'
      ? op('Unsqueeze', [gradient, axis])
      : reduction === 'sum'
        ? gradient
        : op('Div', [gradient, count()]);
  const dense = op('Mul', [op('Softmax', [scores], { axis: int(1) }), each]);
  const ones = op('Expand', [op('Neg', [each]), op('Shape', [indices])]);
  return [op('ScatterElements', [dense, indices, ones], { axis: int(1), reduction: text('add') })];
};

/** Normalizations and losses. */
export const normalizationRules: GradientRules = {
  LayerNormalization: layerNormalization,
  Softmax: softmax,
  LogSoftmax: logSoftmax,
  SoftmaxCrossEntropyLoss: crossEntropy,
};
