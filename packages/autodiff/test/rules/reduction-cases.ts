import { int } from '@murmuration/onnx';
import { drawn, integers, type RuleCase, x } from './rule-case.ts';

const sums = ['ReduceSum', 'ReduceMean', 'ReduceSumSquare', 'ReduceLogSumExp', 'ReduceL2'];
const ofPositive = ['ReduceProd', 'ReduceLogSum'];
const picky = ['ReduceMax', 'ReduceMin'];

/** Sums, means, products and extremes along axes. */
export const reductionCases: readonly RuleCase[] = [
  ...sums.flatMap((operator): readonly RuleCase[] => [
    { operator, inputs: [x(3, 4)] },
    { operator, inputs: [x(2, 3, 4), integers([1])] },
    { operator, inputs: [x(2, 3, 4), integers([0, -1])], attributes: { keepdims: int(0) } },
  ]),
  ...ofPositive.flatMap((operator): readonly RuleCase[] => [
    { operator, inputs: [drawn('positive', 2, 3)] },
    { operator, inputs: [drawn('positive', 2, 3, 4), integers([0, -1])], attributes: { keepdims: int(0) } },
    { operator, inputs: [drawn('positive', 2, 3, 2), integers([1])] },
  ]),
  ...picky.flatMap((operator): readonly RuleCase[] => [
    { operator, inputs: [drawn('distinct', 3, 3), integers([1])] },
    { operator, inputs: [drawn('distinct', 2, 5)], attributes: { keepdims: int(0) } },
  ]),
  {
    operator: 'ReduceL1',
    inputs: [drawn('away-from-zero', 3, 4), integers([0])],
    attributes: { keepdims: int(0) },
  },
  { operator: 'ReduceSum', inputs: [x(3, 4)], attributes: { noop_with_empty_axes: int(1) }, note: 'no axes' },
];
