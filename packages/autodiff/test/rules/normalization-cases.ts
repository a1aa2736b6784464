import { int, ints } from '@murmuration/onnx';
import { drawn, type RuleCase, x } from './rule-case.ts';

/** Normalizations along axes. */
export const normalizationCases: readonly RuleCase[] = [
  { operator: 'LayerNormalization', inputs: [x(3, 6), x(6), x(6)] },
  { operator: 'LayerNormalization', inputs: [x(2, 3, 5), x(5)], note: 'no bias' },
  { operator: 'LayerNormalization', inputs: [x(2, 3, 4), x(3, 4), x(3, 4)], attributes: { axis: int(1) } },
  { operator: 'Softmax', inputs: [x(3, 5)] },
  { operator: 'Softmax', inputs: [x(2, 4, 3)], attributes: { axis: int(1) } },
  { operator: 'LogSoftmax', inputs: [x(3, 5)] },
  { operator: 'LogSoftmax', inputs: [x(2, 4, 3)], attributes: { axis: int(1) } },
  { operator: 'Softmax', inputs: [x(5)] },
  { operator: 'LogSoftmax', inputs: [x(2, 3, 2, 2)], attributes: { axis: int(-3) } },
  { operator: 'LayerNormalization', inputs: [x(2, 3, 4), x(2, 3, 4)], attributes: { axis: int(0) } },
  { operator: 'LpNormalization', inputs: [x(3, 4)] },
  { operator: 'LpNormalization', inputs: [x(2, 3, 4)], attributes: { axis: int(1) } },
  {
    operator: 'LpNormalization',
    inputs: [drawn('away-from-zero', 3, 4)],
    attributes: { p: int(1), axis: int(0) },
    note: 'first norm',
  },
  { operator: 'MeanVarianceNormalization', inputs: [x(2, 3, 2, 3)] },
  {
    operator: 'MeanVarianceNormalization',
    inputs: [x(3, 5)],
    attributes: { axes: ints([1]) },
    note: 'one axis',
  },
];
