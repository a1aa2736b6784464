import { int, text } from '@murmuration/onnx';
import { tensor } from '../run-model.ts';
import { drawn, integer, integers, type RuleCase, truths, x } from './rule-case.ts';

const gathers: readonly RuleCase[] = [
  { operator: 'Gather', inputs: [x(5, 3), integers([4, 0, 4, 2], [2, 2])] },
  { operator: 'Gather', inputs: [x(5, 3), integer(2)], note: 'one' },
  {
    operator: 'Gather',
    inputs: [x(2, 5, 3), integer(-2)],
    attributes: { axis: int(1) },
    note: 'one from the end',
  },
  { operator: 'Gather', inputs: [x(2, 5, 3), integers([3])], attributes: { axis: int(1) }, note: 'one kept' },
  { operator: 'Gather', inputs: [x(2, 5, 3), integers([1, 1, -1])], attributes: { axis: int(1) } },
  { operator: 'Gather', inputs: [x(2, 5), integers([0, 0, 3, 4], [2, 2])], attributes: { axis: int(-1) } },
  {
    operator: 'Gather',
    inputs: [x(2, 3, 4, 2), integers([2, 0, 2, -1], [2, 2])],
    attributes: { axis: int(2) },
  },
  {
    operator: 'GatherElements',
    inputs: [x(3, 4), integers([0, 3, 1, 1, 2, 2], [3, 2])],
    attributes: { axis: int(1) },
  },
  { operator: 'GatherElements', inputs: [x(3, 2), integers([2, 0, -1, 1], [2, 2])] },
  { operator: 'GatherND', inputs: [x(3, 4, 2), integers([0, 1, 2, 3, 0, 1], [3, 2])] },
  { operator: 'GatherND', inputs: [x(3, 2), integers([-1, 0, -1], [3, 1])] },
  { operator: 'GatherND', inputs: [x(2, 4), integers([1, 3], [2, 1])], attributes: { batch_dims: int(1) } },
  {
    operator: 'GatherND',
    inputs: [x(2, 3, 4), integers([1, 0, 1, 2, 2, 3], [2, 3, 1])],
    attributes: { batch_dims: int(2) },
  },
];

const reductions = ['none', 'add', 'mul', 'max', 'min'];

/** Indices that name an element twice, except where the last one wins. */
const scatters: readonly RuleCase[] = reductions.flatMap((reduction): readonly RuleCase[] => {
  const attributes = { reduction: text(reduction) };
  const once = reduction === 'none';
  return [
    {
      operator: 'ScatterElements',
      inputs: [
        drawn('distinct', 3, 4),
        integers(once ? [0, 3, 1, 2, 2, 0] : [0, 0, 1, 2, 3, 3], [3, 2]),
        drawn('away-from-zero', 3, 2),
      ],
      attributes: { ...attributes, axis: int(1) },
      note: reduction,
    },
    {
      operator: 'ScatterElements',
      inputs: [drawn('distinct', 4, 2), integers([3, 0, -2, 2], [2, 2]), drawn('away-from-zero', 2, 2)],
      attributes,
      note: `${reduction} along the first axis`,
    },
    {
      operator: 'ScatterND',
      inputs: [
        drawn('distinct', 4, 3),
        integers(once ? [2, 0] : [2, 2], [2, 1]),
        drawn('away-from-zero', 2, 3),
      ],
      attributes,
      note: `${reduction}, rows`,
    },
    {
      operator: 'ScatterND',
      inputs: [drawn('distinct', 3, 4), integers([0, 1, 2, 3, 1, 1], [3, 2]), drawn('away-from-zero', 3)],
      attributes,
      note: `${reduction}, elements`,
    },
  ];
});

const choices: readonly RuleCase[] = [
  { operator: 'TopK', inputs: [drawn('distinct', 7), integers([3])], outputs: 2 },
  {
    operator: 'TopK',
    inputs: [drawn('distinct', 2, 5), integers([2])],
    attributes: { axis: int(-1), largest: int(0) },
    outputs: 2,
  },
  {
    operator: 'TopK',
    inputs: [drawn('distinct', 5, 2), integers([4])],
    attributes: { axis: int(0), sorted: int(0) },
    outputs: 2,
  },
  {
    operator: 'Compress',
    inputs: [x(3, 4), truths([1, 0, 1])],
    attributes: { axis: int(0) },
    outputShape: [2, 4],
  },
  {
    operator: 'Compress',
    inputs: [x(2, 4, 3), truths([0, 1, 1, 0])],
    attributes: { axis: int(-2) },
    outputShape: [2, 2, 3],
  },
  { operator: 'Compress', inputs: [x(2, 3), truths([0, 1, 1, 0, 1])], outputShape: [3] },
  { operator: 'OneHot', inputs: [integers([0, 2, -1]), integers([4]), x(2)] },
  {
    operator: 'OneHot',
    inputs: [{ constant: tensor([3], [0, 2, -1], 'int32') }, { constant: tensor([1], [4], 'int32') }, x(2)],
    note: 'int32',
  },
  {
    operator: 'OneHot',
    inputs: [integers([1, 0, 2, 9], [2, 2]), integer(3), x(2)],
    attributes: { axis: int(1) },
  },
];

/** Operators that read or write elements by index. */
export const indexingCases: readonly RuleCase[] = [...gathers, ...scatters, ...choices];
