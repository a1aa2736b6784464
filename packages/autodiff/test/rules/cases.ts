import { float, int, ints, text } from '@murmuration/onnx';
import { tensor } from '../run-model.ts';
import { type CaseInput, integers, type Range, type RuleCase } from './rule-case.ts';

const x = (...shape: readonly number[]): CaseInput => ({ shape });
const drawn = (range: Range, ...shape: readonly number[]): CaseInput => ({ shape, range });
const truth = (shape: readonly number[], values: readonly number[]): CaseInput => ({
  constant: tensor(shape, values, 'bool'),
});

const smooth = ['Neg', 'Exp', 'Sin', 'Cos', 'Erf', 'Tanh', 'Sigmoid', 'Softplus', 'Identity', 'Gelu'];
const positive = ['Sqrt', 'Log', 'Reciprocal'];
const broken = ['Abs', 'Relu'];

const unary: readonly RuleCase[] = [
  ...smooth.flatMap((operator) => [
    { operator, inputs: [x(7)] },
    { operator, inputs: [x(2, 3, 2)] },
    { operator, inputs: [x()] },
  ]),
  ...positive.map((operator) => ({ operator, inputs: [drawn('positive', 3, 4)] })),
  ...broken.map((operator) => ({ operator, inputs: [drawn('away-from-zero', 3, 4)] })),
  { operator: 'Gelu', inputs: [x(3, 5)], attributes: { approximate: text('tanh') }, note: 'tanh' },
  { operator: 'Cast', inputs: [x(2, 3)], attributes: { to: int(1) } },
  {
    operator: 'Clip',
    inputs: [drawn('distinct', 3, 4), { constant: tensor([], [-0.6]) }, { constant: tensor([], [0.9]) }],
  },
  {
    operator: 'Clip',
    inputs: [drawn('distinct', 3, 4), 'absent', { constant: tensor([], [0.3]) }],
    note: 'no minimum',
  },
  {
    operator: 'Trilu',
    inputs: [x(2, 4, 4), { constant: tensor([], [1], 'int64') }],
    attributes: { upper: int(0) },
  },
  { operator: 'Trilu', inputs: [x(4, 4)] },
];

/** Pairs of shapes: equal, either side repeated, both at once, of different rank, scalars. */
const pairs: readonly (readonly [readonly number[], readonly number[]])[] = [
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], [3]],
  [[3], [2, 3]],
  [
    [2, 1, 3],
    [4, 1],
  ],
  [
    [4, 3],
    [4, 1],
  ],
  [
    [1, 3],
    [2, 4, 3],
  ],
  [[], [2, 3]],
  [[2, 3], []],
  [
    [1, 1],
    [2, 3],
  ],
];

const binary: readonly RuleCase[] = pairs.flatMap(([a, b]): readonly RuleCase[] => [
  { operator: 'Add', inputs: [x(...a), x(...b)] },
  { operator: 'Sub', inputs: [x(...a), x(...b)] },
  { operator: 'Mul', inputs: [x(...a), x(...b)] },
  { operator: 'Div', inputs: [x(...a), drawn('positive', ...b)] },
  { operator: 'Pow', inputs: [drawn('positive', ...a), x(...b)] },
  { operator: 'Sum', inputs: [x(...a), x(...b), x(3)] },
]);

const choosing: readonly RuleCase[] = [
  { operator: 'Max', inputs: [drawn('distinct', 3, 4), drawn('away-from-zero', 4)] },
  { operator: 'Min', inputs: [drawn('distinct', 3, 4), drawn('away-from-zero', 3, 1), drawn('positive', 1)] },
  { operator: 'Where', inputs: [truth([2, 3], [1, 0, 1, 0, 0, 1]), x(2, 3), x(2, 3)], onlyStatic: true },
  { operator: 'Where', inputs: [truth([2, 1], [1, 0]), x(3), x(2, 3)], note: 'broadcast', onlyStatic: true },
  {
    operator: 'Where',
    inputs: [truth([2, 3], [1, 0, 1, 0, 0, 1]), x(), x(1, 3)],
    note: 'broadcast',
    onlyStatic: true,
  },
];

const products: readonly RuleCase[] = [
  { operator: 'MatMul', inputs: [x(3, 4), x(4, 2)] },
  { operator: 'MatMul', inputs: [x(2, 3, 4), x(4, 5)], note: 'weight' },
  { operator: 'MatMul', inputs: [x(2, 2, 3, 4), x(2, 2, 4, 3)] },
  { operator: 'MatMul', inputs: [x(2, 1, 3, 4), x(3, 4, 2)], note: 'broadcast batch' },
  { operator: 'MatMul', inputs: [x(3, 4), x(2, 4, 5)], note: 'broadcast batch' },
  { operator: 'MatMul', inputs: [x(4), x(4)] },
  { operator: 'MatMul', inputs: [x(4), x(2, 4, 3)] },
  { operator: 'MatMul', inputs: [x(2, 3, 4), x(4)] },
  { operator: 'MatMul', inputs: [x(4), x(4, 3)] },
  {
    operator: 'FusedMatMul',
    inputs: [x(2, 3, 4), x(2, 3, 4)],
    attributes: { transB: int(1), alpha: float(0.5) },
  },
  { operator: 'FusedMatMul', inputs: [x(2, 4, 3), x(2, 4, 5)], attributes: { transA: int(1) } },
  {
    operator: 'FusedMatMul',
    inputs: [x(2, 4, 3), x(2, 5, 4)],
    attributes: { transA: int(1), transB: int(1) },
  },
  { operator: 'FusedMatMul', inputs: [x(2, 3, 4), x(5, 4)], attributes: { transB: int(1) }, note: 'weight' },
  { operator: 'Gemm', inputs: [x(3, 4), x(4, 2)] },
  { operator: 'Gemm', inputs: [x(3, 4), x(4, 2), x(2)] },
  {
    operator: 'Gemm',
    inputs: [x(3, 4), x(4, 2), x(3, 1)],
    attributes: { alpha: float(0.5), beta: float(2) },
  },
  { operator: 'Gemm', inputs: [x(4, 3), x(4, 2), x(3, 2)], attributes: { transA: int(1) } },
  { operator: 'Gemm', inputs: [x(3, 4), x(2, 4), x()], attributes: { transB: int(1) } },
  {
    operator: 'Gemm',
    inputs: [x(4, 3), x(2, 4)],
    attributes: { transA: int(1), transB: int(1), alpha: float(3) },
  },
];

const normalizations: readonly RuleCase[] = [
  { operator: 'LayerNormalization', inputs: [x(3, 6), x(6), x(6)] },
  { operator: 'LayerNormalization', inputs: [x(2, 3, 5), x(5)], note: 'no bias' },
  { operator: 'LayerNormalization', inputs: [x(2, 3, 4), x(3, 4), x(3, 4)], attributes: { axis: int(1) } },
  { operator: 'Softmax', inputs: [x(3, 5)] },
  { operator: 'Softmax', inputs: [x(2, 4, 3)], attributes: { axis: int(1) } },
  { operator: 'LogSoftmax', inputs: [x(3, 5)] },
  { operator: 'LogSoftmax', inputs: [x(2, 4, 3)], attributes: { axis: int(1) } },
  { operator: 'SoftmaxCrossEntropyLoss', inputs: [x(4, 5), integers([0, 4, 2, 2])] },
  {
    operator: 'SoftmaxCrossEntropyLoss',
    inputs: [x(4, 5), integers([0, 4, 2, 2])],
    attributes: { reduction: text('sum') },
  },
  {
    operator: 'SoftmaxCrossEntropyLoss',
    inputs: [x(2, 3, 2), integers([0, 2, 1, 1], [2, 2])],
    attributes: { reduction: text('none') },
    onlyStatic: true,
  },
];

const layout: readonly RuleCase[] = [
  { operator: 'Reshape', inputs: [x(2, 6), integers([3, -1])], onlyStatic: true },
  { operator: 'Reshape', inputs: [x(2, 3, 4), integers([0, -1])] },
  { operator: 'Flatten', inputs: [x(2, 3, 4)] },
  { operator: 'Flatten', inputs: [x(2, 3, 4)], attributes: { axis: int(-1) } },
  { operator: 'Squeeze', inputs: [x(2, 1, 3), integers([1])] },
  { operator: 'Squeeze', inputs: [x(2, 1, 3)] },
  { operator: 'Unsqueeze', inputs: [x(2, 3), integers([0, -1])] },
  { operator: 'Transpose', inputs: [x(2, 3, 4)] },
  { operator: 'Transpose', inputs: [x(2, 3, 4)], attributes: { perm: ints([1, 2, 0]) } },
  { operator: 'Concat', inputs: [x(2, 3), x(2, 2)], attributes: { axis: int(1) }, onlyStatic: true },
  {
    operator: 'Concat',
    inputs: [x(2, 3), x(1, 3), x(4, 3)],
    attributes: { axis: int(-2) },
    onlyStatic: true,
  },
  { operator: 'Split', inputs: [x(2, 6), integers([1, 2, 3])], attributes: { axis: int(1) }, outputs: 3 },
  { operator: 'Split', inputs: [x(5, 2)], attributes: { num_outputs: int(2) }, outputs: 2, onlyStatic: true },
  { operator: 'Slice', inputs: [x(5, 4), integers([1]), integers([4])], onlyStatic: true },
  { operator: 'Slice', inputs: [x(5, 4), integers([0]), integers([1]), integers([-1])] },
  {
    operator: 'Slice',
    inputs: [x(3, 4, 5), integers([1, 0]), integers([3, 99]), integers([-1, 0])],
    onlyStatic: true,
  },
  {
    operator: 'Slice',
    inputs: [x(5, 4), integers([-2]), integers([99]), integers([0])],
    note: 'from the end',
    onlyStatic: true,
  },
  {
    operator: 'Slice',
    inputs: [x(5, 6), integers([-1, 1]), integers([-6, 6]), integers([0, 1]), integers([-2, 2])],
    note: 'steps',
    onlyStatic: true,
  },
  {
    operator: 'Slice',
    inputs: [x(5, 6), integers([4, 0]), integers([0, 6]), 'absent', integers([-2, 3])],
    note: 'steps along the first axes',
    onlyStatic: true,
  },
  { operator: 'Gather', inputs: [x(5, 3), integers([4, 0, 4, 2], [2, 2])] },
  { operator: 'Gather', inputs: [x(5, 3), { constant: tensor([], [2], 'int64') }] },
  { operator: 'Gather', inputs: [x(2, 5, 3), integers([1, 1, -1])], attributes: { axis: int(1) } },
  { operator: 'Gather', inputs: [x(2, 5), integers([0, 0, 3, 4], [2, 2])], attributes: { axis: int(-1) } },
  {
    operator: 'GatherElements',
    inputs: [x(3, 4), integers([0, 3, 1, 1, 2, 2], [3, 2])],
    attributes: { axis: int(1) },
  },
  { operator: 'GatherElements', inputs: [x(3, 2), integers([2, 0, 2, 1], [2, 2])] },
  { operator: 'GatherND', inputs: [x(3, 4, 2), integers([0, 1, 2, 3, 0, 1], [3, 2])] },
  { operator: 'GatherND', inputs: [x(2, 4), integers([1, 3], [2, 1])], attributes: { batch_dims: int(1) } },
  { operator: 'Expand', inputs: [x(3, 1), integers([2, 1, 4])], onlyStatic: true },
  { operator: 'Expand', inputs: [x(), integers([2, 3])] },
];

const sums = ['ReduceSum', 'ReduceMean', 'ReduceSumSquare', 'ReduceLogSumExp', 'ReduceL2'];
const ofPositive = ['ReduceProd', 'ReduceLogSum'];
const picky = ['ReduceMax', 'ReduceMin'];

const reductions: readonly RuleCase[] = [
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

/** Every rule of the table, on several shapes and attributes. */
export const cases: readonly RuleCase[] = [
  ...unary,
  ...binary,
  ...choosing,
  ...products,
  ...normalizations,
  ...layout,
  ...reductions,
];
