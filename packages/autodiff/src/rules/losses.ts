import { int, intOf, textOf } from '@murmuration/onnx';
import { typeCodes } from '../element-types.ts';
import { type GradientRule, type GradientRules, type RuleContext, unsupported } from './rule.ts';

/** The axis of the classes in scores. */
const classAxis = 1;

interface Labels {
  /** Labels with those to be ignored replaced by class 0. */
  readonly safe: string;
  /** 1 where a label counts, else 0; absent when all count. */
  readonly mask: string | undefined;
}

function labelsOf({ op, backward, node, input }: RuleContext): Labels {
  const labels = input(1);
  if (!node.attributes.ignore_index) return { safe: labels, mask: undefined };
  const { graph } = backward;
  const is32 = backward.typeOf(labels) === 'int32';
  const like = (value: number): string =>
    is32 ? op('Cast', [graph.int64(value)], { to: int(typeCodes.int32) }) : graph.int64(value);
  const ignored = op('Equal', [labels, like(intOf(node, 'ignore_index', 0))]);
  return {
    safe: op('Where', [ignored, like(0), labels]),
    mask: backward.castLike(op('Not', [ignored]), input(0)),
  };
}

/** What the gradient of each label's own loss is: the loss's gradient times the label's weight over their sum. */
function shareOfEach(context: RuleContext, { safe, mask }: Labels): string {
  const { op, backward, node, gradient } = context;
  const reduction = textOf(node, 'reduction', 'mean');
  const chosen = context.input(2) === '' ? undefined : op('Gather', [context.input(2), safe]);
  const weight = chosen && mask ? op('Mul', [chosen, mask]) : (chosen ?? mask);
  if (reduction !== 'mean') return weight ? op('Mul', [weight, gradient]) : gradient;
  if (weight) {
    const sum = op('ReduceSum', [weight], { keepdims: int(0) });
    return op('Mul', [weight, op('Div', [gradient, sum])]);
  }
  const axes = context.shape(0).flatMap((_, axis) => (axis === classAxis ? [] : [axis]));
  return op('Div', [gradient, backward.countValue(context.input(0), axes)]);
}

/** A share with the axis of the classes; a single number stays one. */
function withClassAxis(context: RuleContext, share: string): string {
  const isNumber = context.backward.shapeOf(share).length === 0 && context.shape(1).length > 0;
  return isNumber ? share : context.op('Unsqueeze', [share, context.backward.graph.int64s([classAxis])]);
}

/** Adds values at each label's class to `base`, of the scores' shape. */
function addAtLabels(context: RuleContext, base: string, safe: string, value: string): string {
  const { op, backward } = context;
  const indices = op('Unsqueeze', [safe, backward.graph.int64s([classAxis])]);
  const isNumber = backward.shapeOf(value).length === 0;
  const values = isNumber ? backward.expandLike(value, indices) : value;
  return op('ScatterElements', [base, indices, values], {
    axis: int(classAxis),
    reduction: { kind: 'text', value: 'add' },
  });
}

function refuseWeightGradient({ node, needs }: RuleContext): void {
  if (needs(2)) throw unsupported(node, 'expected class weights that are not trained');
}

/**
 * By the scores: (softmax − one at the label) · share. The probabilities come from the operator's second output, the
 * log-probabilities, whose own gradient adds to that of the scores as in LogSoftmax.
 */
const crossEntropy: GradientRule = (context) => {
  const { op, backward, gradients } = context;
  refuseWeightGradient(context);
  const probabilities =
    context.output(1) === ''
      ? op('Softmax', [context.input(0)], { axis: int(classAxis) })
      : op('Exp', [context.output(1)]);
  const byLogarithms = (gradient: string): string => {
    const axis = backward.graph.int64s([classAxis]);
    const sum = op('ReduceSum', [gradient, axis], { keepdims: int(1) });
    return op('Sub', [gradient, op('Mul', [probabilities, sum])]);
  };
  const byLoss = (): string => {
    const labels = labelsOf(context);
    const share = withClassAxis(context, shareOfEach(context, labels));
    return addAtLabels(context, op('Mul', [probabilities, share]), labels.safe, op('Neg', [share]));
  };
  const [loss, logarithms] = gradients;
  if (logarithms === undefined) return [byLoss()];
  return [loss === undefined ? byLogarithms(logarithms) : op('Add', [byLoss(), byLogarithms(logarithms)])];
};

/** By the log-probabilities: −share at the label. */
const likelihood: GradientRule = (context) => {
  refuseWeightGradient(context);
  const labels = labelsOf(context);
  const share = withClassAxis(context, shareOfEach(context, labels));
  const zeros = context.backward.zerosLike(context.input(0));
  return [addAtLabels(context, zeros, labels.safe, context.op('Neg', [share]))];
};

/** Operators that end in a loss. */
export const lossRules: GradientRules = {
  SoftmaxCrossEntropyLoss: crossEntropy,
  NegativeLogLikelihoodLoss: likelihood,
};
