import { type Attributes, float, text } from '@murmuration/onnx';
import { drawn, type Range, type RuleCase, x } from './rule-case.ts';

const smooth = ['Tanh', 'Sigmoid', 'Softplus', 'Gelu', 'Mish', 'Softsign'];

/** Functions with a kink, on values that keep away from it, with other settings than the usual. */
const broken: readonly (readonly [string, Range, Attributes])[] = [
  ['Relu', 'away-from-zero', {}],
  ['LeakyRelu', 'away-from-zero', { alpha: float(0.3) }],
  ['ThresholdedRelu', 'away-from-zero', { alpha: float(0.1) }],
  ['Shrink', 'away-from-zero', { lambd: float(0.2), bias: float(0.1) }],
  ['Elu', 'away-from-zero', { alpha: float(0.7) }],
  ['Selu', 'away-from-zero', { alpha: float(1.3), gamma: float(0.9) }],
  ['Celu', 'away-from-zero', { alpha: float(0.6) }],
  ['HardSigmoid', 'distinct', { alpha: float(0.6), beta: float(0.45) }],
];

const broadcast: readonly (readonly (readonly number[])[])[] = [
  [[2, 3], [3]],
  [
    [2, 3, 4],
    [3, 1],
  ],
  [[2, 3], [1]],
  [[2, 3], []],
];

/** Activation functions. */
export const activationCases: readonly RuleCase[] = [
  ...smooth.flatMap((operator): readonly RuleCase[] => [
    { operator, inputs: [x(7)] },
    { operator, inputs: [x(2, 3, 2)] },
    { operator, inputs: [x()] },
  ]),
  ...broken.flatMap(([operator, range, attributes]): readonly RuleCase[] => [
    { operator, inputs: [drawn(range, 3, 4)], attributes, note: 'other settings' },
    { operator, inputs: [drawn('away-from-zero', 2, 5)] },
  ]),
  { operator: 'HardSwish', inputs: [x(3, 4)] },
  { operator: 'HardSwish', inputs: [{ shape: [40], range: 'wide' }], note: 'beyond both kinks' },
  ...broadcast.map(
    ([shape = [], slope = []]): RuleCase => ({
      operator: 'PRelu',
      inputs: [drawn('away-from-zero', ...shape), drawn('positive', ...slope)],
    }),
  ),
  { operator: 'Gelu', inputs: [x(3, 5)], attributes: { approximate: text('tanh') }, note: 'tanh' },
];
