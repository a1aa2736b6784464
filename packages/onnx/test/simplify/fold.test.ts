import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Attribute,
  type Attributes,
  type ElementType,
  int,
  ints,
  type Model,
  simplifyModel,
  type Tensor,
  tensorAttribute,
} from '../../src/index.ts';
import { foldNode } from '../../src/simplify/fold.ts';
import { assertClose, runModel, tensor } from '../run-model.ts';

/** An operator on constants; the outputs' types when they are not the first input's. */
interface Case {
  readonly operator: string;
  readonly inputs: readonly (Tensor | undefined)[];
  readonly attributes?: Attributes;
  readonly types?: readonly ElementType[];
}

const longs = (shape: readonly number[], values: readonly number[]): Tensor => tensor(shape, values, 'int64');
const list = (...values: readonly number[]): Tensor => longs([values.length], values);
const truths = (shape: readonly number[], values: readonly number[]): Tensor => tensor(shape, values, 'bool');
const cube = longs(
  [2, 3, 4],
  Array.from({ length: 24 }, (_, index) => (index * 5) % 24),
);
const reals = tensor([2, 3], [-1.5, 2.25, 0.5, -0.5, 2.5, 1e6]);
const small = tensor([2, 3], [3, -7, 5, 2, -2, 4], 'int32');
const axis = (value: number): Attributes => ({ axis: int(value) });

const layout: readonly Case[] = [
  { operator: 'Reshape', inputs: [cube, list(0, -1, 2)] },
  { operator: 'Reshape', inputs: [longs([0, 3], []), list(3, 0)], attributes: { allowzero: int(1) } },
  { operator: 'Flatten', inputs: [cube], attributes: axis(2) },
  { operator: 'Flatten', inputs: [cube], attributes: axis(-1) },
  { operator: 'Squeeze', inputs: [longs([1, 3, 1], [1, 2, 3])] },
  { operator: 'Squeeze', inputs: [longs([1, 3, 1], [1, 2, 3]), list(-1)] },
  { operator: 'Unsqueeze', inputs: [reals, list(0, -1)] },
  { operator: 'Transpose', inputs: [cube] },
  { operator: 'Transpose', inputs: [cube], attributes: { perm: ints([1, 2, 0]) } },
  { operator: 'Concat', inputs: [cube, cube, longs([2, 0, 4], [])], attributes: axis(1) },
  {
    operator: 'Slice',
    inputs: [cube, list(-2, 0), list(Number.MAX_SAFE_INTEGER, -1), list(1, 2), list(1, 2)],
  },
  { operator: 'Slice', inputs: [cube, list(-1), list(Number.MIN_SAFE_INTEGER), list(2), list(-2)] },
  { operator: 'Slice', inputs: [cube, list(1), list(0)] },
  { operator: 'Gather', inputs: [cube, longs([2, 2], [0, -1, 2, 1])], attributes: axis(1) },
  { operator: 'Gather', inputs: [cube, longs([], [1])] },
  { operator: 'Expand', inputs: [longs([2, 1], [3, 4]), list(3, 1, 2)] },
  { operator: 'Tile', inputs: [reals, list(2, 2)] },
  { operator: 'Split', inputs: [cube, list(1, 3)], attributes: axis(2), types: ['int64', 'int64'] },
  {
    operator: 'Split',
    inputs: [cube],
    attributes: { ...axis(1), num_outputs: int(2) },
    types: ['int64', 'int64'],
  },
  { operator: 'Trilu', inputs: [cube] },
  { operator: 'Trilu', inputs: [cube, longs([], [-1])], attributes: { upper: int(0) } },
];

const shapes: readonly Case[] = [
  { operator: 'Shape', inputs: [cube] },
  { operator: 'Shape', inputs: [cube], attributes: { start: int(-2), end: int(-1) } },
  { operator: 'Size', inputs: [cube] },
  { operator: 'ConstantOfShape', inputs: [list(2, 3)], types: ['float32'] },
  { operator: 'ConstantOfShape', inputs: [list(2)], attributes: { value: tensorAttribute(list(7)) } },
  { operator: 'Range', inputs: [longs([], [7]), longs([], [-3]), longs([], [-4])] },
  { operator: 'Range', inputs: [longs([], [1]), longs([], [0]), longs([], [1])] },
  { operator: 'NonZero', inputs: [cube] },
];

const pairs = ['Add', 'Sub', 'Mul', 'Div', 'Min', 'Max'].flatMap((operator): readonly Case[] => [
  { operator, inputs: [cube, longs([3, 1], [7, -2, 3])] },
  { operator, inputs: [reals, tensor([3], [0.1, 3, -7])] },
  { operator, inputs: [small, tensor([], [3], 'int32')] },
]);

const comparisons = ['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual'].flatMap(
  (operator): readonly Case[] => [
    { operator, inputs: [cube, longs([], [12])], types: ['bool'] },
    { operator, inputs: [reals, tensor([], [0.5])], types: ['bool'] },
  ],
);

const logic = ['And', 'Or', 'Xor'].map(
  (operator): Case => ({ operator, inputs: [truths([2, 2], [0, 0, 1, 1]), truths([2], [0, 1])] }),
);

const reductions = ['ReduceSum', 'ReduceProd', 'ReduceMin', 'ReduceMax'].flatMap(
  (operator): readonly Case[] => [
    { operator, inputs: [cube, list(1, -1)] },
    { operator, inputs: [small], attributes: { keepdims: int(0) } },
  ],
);

const others: readonly Case[] = [
  { operator: 'Sum', inputs: [reals, tensor([3], [0.1, 3, -7]), tensor([], [1e-3])] },
  ...['Neg', 'Abs', 'Sign', 'Floor', 'Ceil', 'Round', 'Reciprocal'].map(
    (operator): Case => ({ operator, inputs: [reals] }),
  ),
  { operator: 'Sqrt', inputs: [tensor([3], [2, 3, 1e-7])] },
  { operator: 'Neg', inputs: [cube] },
  { operator: 'Not', inputs: [truths([2], [0, 1])] },
  { operator: 'Mod', inputs: [longs([4], [7, -7, 7, -7]), list(3, 3, -3, -3)] },
  { operator: 'Mod', inputs: [longs([4], [7, -7, 7, -7]), list(3, 3, -3, -3)], attributes: { fmod: int(1) } },
  { operator: 'Mod', inputs: [reals, tensor([], [0.7])], attributes: { fmod: int(1) } },
  { operator: 'Where', inputs: [truths([3], [1, 0, 1]), reals, tensor([], [9])], types: ['float32'] },
  { operator: 'Cast', inputs: [reals], attributes: { to: int(7) }, types: ['int64'] },
  { operator: 'Cast', inputs: [reals], attributes: { to: int(9) }, types: ['bool'] },
  {
    operator: 'Cast',
    inputs: [longs([3], [-1, 2 ** 31, 300])],
    attributes: { to: int(6) },
    types: ['int32'],
  },
  {
    operator: 'Cast',
    inputs: [longs([2], [3, 2 ** 24 + 1])],
    attributes: { to: int(1) },
    types: ['float32'],
  },
  { operator: 'CastLike', inputs: [cube, reals], types: ['float32'] },
];

const cases = [...layout, ...shapes, ...pairs, ...comparisons, ...logic, ...reductions, ...others];

/** A model in which every input is a Constant node, so that floats are no weights. */
function modelOf({ operator, inputs, attributes = {}, types }: Case): Model {
  const names = inputs.map((input, index) => (input ? `c${index}` : ''));
  const constants = inputs.flatMap((input, index) => {
    const value: Attribute | undefined = input && tensorAttribute(input);
    return value
      ? [
          {
            name: `c${index}`,
            operator: 'Constant',
            domain: '',
            inputs: [],
            outputs: [`c${index}`],
            attributes: { value },
          },
        ]
      : [];
  });
  const outputs = (types ?? [inputs[0]?.type ?? 'float32']).map((type, index) => ({
    name: `y${index}`,
    type,
  }));
  const node = {
    name: 'n',
    operator,
    domain: '',
    inputs: names,
    outputs: outputs.map(({ name }) => name),
    attributes,
  };
  return {
    irVersion: 11,
    producer: 'test',
    opsets: { '': 23 },
    metadata: {},
    graph: { name: 'fold', nodes: [...constants, node], inputs: [], outputs, initializers: [] },
  };
}

cases.forEach((each, index) => {
  test(`foldNode computes what onnxruntime computes: ${index} ${each.operator} of ${each.inputs[0]?.type}`, async () => {
    const model = modelOf(each);
    const simple = simplifyModel(model);
    assert.deepEqual(simple.graph.nodes, []);
    assertClose(await runModel(simple, {}), await runModel(model, {}), 0);
  });
});

const node = (operator: string, attributes: Attributes = {}) => ({
  name: '',
  operator,
  domain: '',
  inputs: [],
  outputs: ['y'],
  attributes,
});

test('foldNode leaves alone what makes no sense, or what onnxruntime leaves open', () => {
  const impossible: readonly (readonly [string, readonly Tensor[], Attributes?])[] = [
    ['Div', [list(1), list(0)]],
    ['Gather', [list(1), list(5)]],
    ['Reshape', [list(1, 2, 3), list(2, -1)]],
    ['Reshape', [list(1), list(-1, -1)]],
    ['Transpose', [cube], { perm: ints([0, 0, 1]) }],
    ['Concat', [cube, list(1)], axis(0)],
    ['Slice', [cube, list(0), list(1), list(9)]],
    ['Slice', [cube, list(0), list(1), list(0), list(0)]],
    ['Expand', [list(1, 2), list(3)]],
    ['Tile', [list(1), list(-1)]],
    ['Split', [list(1, 2, 3), list(1, 1)]],
    ['Cast', [tensor([1], [1e30])], { to: int(7) }],
    ['Add', [list(1), reals]],
    ['ReduceMax', [longs([0], [])]],
    ['Range', [longs([], [0]), longs([], [1]), longs([], [0])]],
    ['Unknown', [list(1)]],
  ];
  for (const [operator, inputs, attributes] of impossible)
    assert.equal(foldNode(node(operator, attributes), inputs), undefined, operator);
});

test('foldNode computes nothing in half precision', () => {
  const half: Tensor = { name: '', type: 'float16', shape: [1], data: Uint16Array.of(0x3c00) };
  assert.equal(foldNode(node('Add'), [half, half]), undefined);
  assert.equal(foldNode(node('Cast', { to: int(1) }), [half]), undefined);
  assert.deepEqual(foldNode(node('Unsqueeze'), [half, list(0)])?.[0]?.data, half.data);
});
