import { int } from '@murmuration/onnx';
import { constant, drawn, type Range, type RuleCase, truths, x } from './rule-case.ts';

const smooth = ['Neg', 'Exp', 'Sin', 'Cos', 'Erf', 'Identity', 'Sinh', 'Cosh', 'Atan', 'Asinh'];
const ranged: readonly (readonly [string, Range])[] = [
  ['Sqrt', 'positive'],
  ['Log', 'positive'],
  ['Reciprocal', 'positive'],
  ['Abs', 'away-from-zero'],
  ['Tan', 'inside-unit'],
  ['Acos', 'inside-unit'],
  ['Asin', 'inside-unit'],
  ['Atanh', 'inside-unit'],
  ['Acosh', 'above-one'],
];

const unary: readonly RuleCase[] = [
  ...smooth.flatMap((operator): readonly RuleCase[] => [
    { operator, inputs: [x(7)] },
    { operator, inputs: [x(2, 3, 2)] },
    { operator, inputs: [x()] },
  ]),
  ...ranged.flatMap(([operator, range]): readonly RuleCase[] => [
    { operator, inputs: [drawn(range, 3, 4)] },
    { operator, inputs: [drawn(range, 2, 3, 2)] },
  ]),
  { operator: 'CastLike', inputs: [x(2, 3), constant(1)] },
  { operator: 'Dropout', inputs: [x(2, 3)] },
  { operator: 'Dropout', inputs: [x(2, 3), constant(0.4), truths([0], [])], note: 'not in training' },
];

/** To float32, which is another type for the same case in double precision. */
const casts: readonly RuleCase[] = [{ operator: 'Cast', inputs: [x(2, 3)], attributes: { to: int(1) } }];

const clips: readonly RuleCase[] = [
  { operator: 'Clip', inputs: [drawn('distinct', 3, 4), constant(-0.6), constant(0.9)] },
  { operator: 'Clip', inputs: [drawn('distinct', 3, 4), 'absent', constant(0.3)], note: 'no minimum' },
  { operator: 'Clip', inputs: [drawn('distinct', 3, 4), constant(-0.2)], note: 'no maximum' },
  { operator: 'Clip', inputs: [drawn('distinct', 3, 4)], note: 'no bounds' },
  { operator: 'Clip', inputs: [drawn('distinct', 3, 4), x(), drawn('above-one')], note: 'by the bounds' },
  { operator: 'Clip', inputs: [drawn('distinct', 3, 4), 'absent', x()], note: 'by the maximum' },
];

const powers: readonly RuleCase[] = [1, 2, 3, 0.5, -1, 2.5, 0].map((exponent) => ({
  operator: 'Pow',
  inputs: [drawn('positive', 2, 3), constant(exponent)],
  note: `constant ${exponent}`,
}));

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
  { operator: 'Mean', inputs: [x(...a), x(...b), x(3)] },
]);

const remainders: readonly RuleCase[] = [
  {
    operator: 'Mod',
    inputs: [drawn('distinct', 2, 3), drawn('positive', 2, 3)],
    attributes: { fmod: int(1) },
  },
  { operator: 'Mod', inputs: [drawn('above-one', 2, 3), constant(0.45)], attributes: { fmod: int(1) } },
];

const choosing: readonly RuleCase[] = [
  { operator: 'Max', inputs: [drawn('distinct', 3, 4), drawn('away-from-zero', 4)] },
  { operator: 'Max', inputs: [drawn('distinct', 3, 4)], note: 'of one' },
  { operator: 'Min', inputs: [drawn('distinct', 3, 4), drawn('away-from-zero', 3, 1), drawn('positive', 1)] },
  { operator: 'Where', inputs: [truths([1, 0, 1, 0, 0, 1], [2, 3]), x(2, 3), x(2, 3)] },
  { operator: 'Where', inputs: [truths([1, 0], [2, 1]), x(3), x(2, 3)], note: 'broadcast' },
  { operator: 'Where', inputs: [truths([1, 0, 1, 0, 0, 1], [2, 3]), x(), x(1, 3)], note: 'broadcast' },
];

/** Operators that work on each element by itself. */
export const elementwiseCases: readonly RuleCase[] = [
  ...unary,
  ...casts,
  ...clips,
  ...powers,
  ...binary,
  ...remainders,
  ...choosing,
];
