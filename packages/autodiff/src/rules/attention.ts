import { intOf, microsoft } from '@murmuration/onnx';
import { undoBroadcast } from '../broadcast.ts';
import { fromFront, type GradientRule, type GradientRules, unsupported } from './rule.ts';

/** A rotation's gradient is the rotation back: the same operator with the sines negated. */
const rotaryEmbedding: GradientRule = (context) => {
  const { op, node, gradient } = context;
  const [cosines, sines] = node.domain === microsoft ? [2, 3] : [1, 2];
  if (context.needs(cosines) || context.needs(sines))
    throw unsupported(node, 'expected constant cosines and sines, got ones that depend on a parameter');
  if (node.inputs.length <= sines) throw unsupported(node, 'expected cosines and sines, got none');
  const inputs = node.inputs.with(0, gradient).with(sines, op('Neg', [context.input(sines)]));
  return [op('RotaryEmbedding', inputs, node.attributes, node.domain)];
};

/**
 * y = x/r·gain with r the root mean square; the inverse of r is the second output. With n = x/r and g = dy·gain:
 * dx = (g − n·mean(g·n))/r, dgain = Σ dy·n.
 */
const rootMeanSquare: GradientRule = (context) => {
  const { op, node, gradient, backward } = context;
  const [x, gain] = [context.input(0), context.input(1)];
  if (context.output(1) === '' || context.gradients[1] !== undefined || context.gradients[0] === undefined)
    throw unsupported(
      node,
      'expected its inverse deviation as an output that nothing but the gradient reads',
    );
  const inverse = backward.castLike(context.output(1), x);
  const shape = backward.shapeOf(x);
  const first = fromFront(intOf(node, 'axis', -1), shape.length);
  const axes = backward.graph.int64s(shape.slice(first).map((_, index) => first + index));
  const normal = op('Mul', [x, inverse]);
  const byX = (): string => {
    const g = op('Mul', [gradient, gain]);
    const slope = op('ReduceMean', [op('Mul', [g, normal]), axes]);
    return op('Mul', [op('Sub', [g, op('Mul', [normal, slope])]), inverse]);
  };
  return [
    context.needs(0) ? byX() : undefined,
    context.needs(1) ? undoBroadcast(backward, op('Mul', [gradient, normal]), shape, gain) : undefined,
  ];
};

/** What transformers are made of besides products and softmax. */
export const attentionRules: GradientRules = {
  RotaryEmbedding: rotaryEmbedding,
  SimplifiedLayerNormalization: rootMeanSquare,
};
