import { int, ints, text } from '@murmuration/onnx';
import { constant, integer, integers, type RuleCase, x } from './rule-case.ts';

const shapes: readonly RuleCase[] = [
  { operator: 'Reshape', inputs: [x(2, 6), integers([3, -1])] },
  { operator: 'Reshape', inputs: [x(2, 3, 4), integers([0, -1])] },
  { operator: 'Flatten', inputs: [x(2, 3, 4)] },
  { operator: 'Flatten', inputs: [x(2, 3, 4)], attributes: { axis: int(-1) } },
  { operator: 'Squeeze', inputs: [x(2, 1, 3), integers([1])] },
  { operator: 'Squeeze', inputs: [x(2, 1, 3)] },
  { operator: 'Unsqueeze', inputs: [x(2, 3), integers([0, -1])] },
  { operator: 'Transpose', inputs: [x(2, 3, 4)] },
  { operator: 'Transpose', inputs: [x(2, 3, 4)], attributes: { perm: ints([1, 2, 0]) } },
  { operator: 'Concat', inputs: [x(2, 3), x(2, 2)], attributes: { axis: int(1) } },
  {
    operator: 'Concat',
    inputs: [x(2, 3), x(1, 3), x(4, 3)],
    attributes: { axis: int(-2) },
  },
  { operator: 'Split', inputs: [x(2, 6), integers([1, 2, 3])], attributes: { axis: int(1) }, outputs: 3 },
  { operator: 'Split', inputs: [x(5, 2)], attributes: { num_outputs: int(2) }, outputs: 2 },
  { operator: 'Slice', inputs: [x(5, 4), integers([1]), integers([4])] },
  { operator: 'Slice', inputs: [x(5, 4), integers([0]), integers([1]), integers([-1])] },
  {
    operator: 'Slice',
    inputs: [x(3, 4, 5), integers([1, 0]), integers([3, 99]), integers([-1, 0])],
  },
  {
    operator: 'Slice',
    inputs: [x(5, 4), integers([-2]), integers([99]), integers([0])],
    note: 'from the end',
  },
  {
    operator: 'Slice',
    inputs: [x(5, 6), integers([-1, 1]), integers([-6, 6]), integers([0, 1]), integers([-2, 2])],
    note: 'steps',
  },
  {
    operator: 'Slice',
    inputs: [x(5, 6), integers([4, 0]), integers([0, 6]), 'absent', integers([-2, 3])],
    note: 'steps along the first axes',
  },
  { operator: 'Expand', inputs: [x(3, 1), integers([2, 1, 4])] },
  { operator: 'Expand', inputs: [x(), integers([2, 3])] },
  { operator: 'Expand', inputs: [x(2, 1), integers([3])] },
  { operator: 'Trilu', inputs: [x(2, 4, 4), integer(1)], attributes: { upper: int(0) } },
  { operator: 'Trilu', inputs: [x(4, 4)] },
  { operator: 'Trilu', inputs: [x(3, 5), integer(-1)] },
  { operator: 'Tile', inputs: [x(2, 3), integers([2, 3])] },
  { operator: 'Tile', inputs: [x(2, 1, 3), integers([1, 4, 2])] },
  { operator: 'CumSum', inputs: [x(2, 3, 4), integer(1)] },
  { operator: 'CumSum', inputs: [x(3, 4), integer(-1)], attributes: { reverse: int(1) } },
  { operator: 'CumSum', inputs: [x(5), integer(0)], attributes: { exclusive: int(1) } },
  {
    operator: 'CumSum',
    inputs: [x(5, 2), integers([0])],
    attributes: { exclusive: int(1), reverse: int(1) },
  },
  {
    operator: 'ReverseSequence',
    inputs: [x(4, 3, 2), integers([4, 1, 3])],
    attributes: { time_axis: int(0), batch_axis: int(1) },
  },
  {
    operator: 'ReverseSequence',
    inputs: [x(2, 3), integers([2, 3])],
    attributes: { time_axis: int(1), batch_axis: int(0) },
  },
  { operator: 'CenterCropPad', inputs: [x(5, 4), integers([2, 7])] },
  {
    operator: 'CenterCropPad',
    inputs: [x(2, 5, 6), integers([8, 3])],
    attributes: { axes: ints([-2, 2]) },
  },
];

const amounts = integers([1, 0, 2, 1]);

const pads: readonly RuleCase[] = [
  { operator: 'Pad', inputs: [x(3, 4), amounts] },
  { operator: 'Pad', inputs: [x(3, 4), integers([-1, 2, 0, -1])], note: 'cropping' },
  { operator: 'Pad', inputs: [x(3, 4), amounts, constant(0.5)] },
  { operator: 'Pad', inputs: [x(3, 4), amounts, x()], note: 'by the constant' },
  { operator: 'Pad', inputs: [x(2, 3, 4), integers([1, 2]), 'absent', integers([-1])], note: 'one axis' },
  ...['reflect', 'edge', 'wrap'].flatMap((mode): readonly RuleCase[] => [
    { operator: 'Pad', inputs: [x(3, 4), amounts], attributes: { mode: text(mode) }, note: mode },
    {
      operator: 'Pad',
      inputs: [x(2, 3, 4), integers([1, 2, 2, 1]), 'absent', integers([1, 2])],
      attributes: { mode: text(mode) },
      note: `${mode}, two axes`,
    },
  ]),
];

const slices: readonly RuleCase[] = [
  {
    operator: 'Slice',
    inputs: [x(7, 2), integers([0]), integers([7]), integers([0]), integers([2])],
    note: 'even',
  },
  {
    operator: 'Slice',
    inputs: [x(7, 2), integers([1]), integers([99]), integers([0]), integers([3])],
    note: 'every third',
  },
  {
    operator: 'Slice',
    inputs: [x(2, 7), integers([-1]), integers([-99]), integers([1]), integers([-1])],
    note: 'turned',
  },
  {
    operator: 'Slice',
    inputs: [x(2, 7), integers([-2]), integers([0]), integers([-1]), integers([-2])],
    note: 'backwards',
  },
  {
    operator: 'Slice',
    inputs: [x(6, 7), integers([-3, 5]), integers([99, -99]), integers([0, 1]), integers([1, -2])],
    note: 'both ways',
  },
  {
    operator: 'Slice',
    inputs: [x(5, 4), integers([-3]), integers([-1]), integers([0])],
    note: 'negative ends',
  },
  { operator: 'Slice', inputs: [x(5), integers([-9]), integers([9])], note: 'bounds outside' },
];

/** Operators that move, join, repeat or border elements. */
export const layoutCases: readonly RuleCase[] = [...shapes, ...pads, ...slices];
