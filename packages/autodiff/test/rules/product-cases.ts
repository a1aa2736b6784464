import { float, int, text } from '@murmuration/onnx';
import { type RuleCase, x } from './rule-case.ts';

const matrices: readonly RuleCase[] = [
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

const batchTransposes: readonly RuleCase[] = [
  {
    operator: 'FusedMatMul',
    inputs: [x(3, 2, 4), x(2, 4, 5)],
    attributes: { transBatchA: int(1) },
    note: 'rows first',
  },
  {
    operator: 'FusedMatMul',
    inputs: [x(4, 2, 3), x(5, 2, 4)],
    attributes: { transBatchA: int(1), transBatchB: int(1), transA: int(1), transB: int(1), alpha: float(2) },
    note: 'rows first in both',
  },
];

const equations: readonly (readonly [string, readonly (readonly number[])[]])[] = [
  [
    'ij,jk->ik',
    [
      [2, 3],
      [3, 4],
    ],
  ],
  [
    'bhid,bhjd->bhij',
    [
      [2, 2, 3, 4],
      [2, 2, 5, 4],
    ],
  ],
  [
    'ij,jk',
    [
      [2, 3],
      [3, 4],
    ],
  ],
  ['ij->ji', [[2, 3]]],
  ['ij->i', [[2, 3]]],
  ['ij->', [[2, 3]]],
  ['i,j->ij', [[2], [3]]],
  ['i,i->', [[3], [3]]],
  [
    'ij,kl->jk',
    [
      [2, 3],
      [4, 2],
    ],
  ],
  [
    '...ij,...jk->...ik',
    [
      [2, 2, 3],
      [1, 3, 2],
    ],
  ],
  [
    'b...i,ij->b...j',
    [
      [2, 3, 4, 2],
      [2, 3],
    ],
  ],
  [
    'i...,i...->...',
    [
      [2, 3],
      [2, 3],
    ],
  ],
  [
    '...i,...i',
    [
      [2, 3],
      [1, 3],
    ],
  ],
  ['ii->i', [[3, 3]]],
  ['bii->b', [[2, 3, 3]]],
  [
    'ij,jk,kl->il',
    [
      [2, 3],
      [3, 2],
      [2, 4],
    ],
  ],
];

const einsums: readonly RuleCase[] = equations.map(([equation, shapes]) => ({
  operator: 'Einsum',
  inputs: shapes.map((shape) => x(...shape)),
  attributes: { equation: text(equation) },
  note: equation,
}));

const determinants: readonly RuleCase[] = [1, 2, 3, 4].flatMap((size): readonly RuleCase[] => [
  { operator: 'Det', inputs: [{ shape: [size, size], fixed: [0, 1] }] },
  { operator: 'Det', inputs: [{ shape: [2, 3, size, size], fixed: [2, 3] }] },
]);

/** Products of matrices. */
export const productCases: readonly RuleCase[] = [
  ...matrices,
  ...batchTransposes,
  ...einsums,
  ...determinants,
];
