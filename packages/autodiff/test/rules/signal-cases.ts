import { int, ints } from '@murmuration/onnx';
import { integer, integers, type RuleCase, x } from './rule-case.ts';

/** A complex or real signal, of which the number of parts is known. */
const signal = (...shape: readonly number[]) => ({ shape, fixed: [shape.length - 1] });

/** Transforms of signals and images. */
export const signalCases: readonly RuleCase[] = [
  { operator: 'DFT', inputs: [signal(2, 5, 2), 'absent', integer(1)] },
  { operator: 'DFT', inputs: [signal(2, 5, 1), 'absent', integer(1)], note: 'real' },
  { operator: 'DFT', inputs: [signal(2, 4, 3, 2), 'absent', integer(1)], attributes: { inverse: int(1) } },
  {
    operator: 'DFT',
    inputs: [signal(1, 6, 1), 'absent', integer(-2)],
    attributes: { onesided: int(1) },
    note: 'one-sided',
  },
  { operator: 'DFT', inputs: [signal(1, 5, 2), integer(8), integer(1)], note: 'longer' },
  ...[7, 8].map(
    (length): RuleCase => ({
      operator: 'DFT',
      inputs: [signal(1, Math.floor(length / 2) + 1, 2), integer(length), integer(1)],
      attributes: { onesided: int(1), inverse: int(1) },
      outputShape: [1, length, 1],
      note: `one-sided inverse, ${length}`,
    }),
  ),
  {
    operator: 'DFT',
    inputs: [signal(1, 7, 1), integer(4), integer(1)],
    attributes: { onesided: int(1) },
    note: 'shorter, one-sided',
  },
  {
    operator: 'Col2Im',
    inputs: [x(1, 4, 6), integers([3, 4]), integers([2, 2])],
    note: 'overlapping',
    onlyStatic: true,
  },
  {
    operator: 'Col2Im',
    inputs: [{ shape: [2, 12, 6], fixed: [1, 2] }, integers([5, 5]), integers([2, 3])],
    attributes: { strides: ints([2, 2]), pads: ints([0, 1, 0, 1]), dilations: ints([2, 1]) },
    note: 'strides, pads, dilations',
  },
];
