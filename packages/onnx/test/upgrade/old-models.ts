import {
  type Attributes,
  type Dimension,
  float,
  floats,
  int,
  ints,
  type Model,
  type Tensor,
  text,
} from '../../src/index.ts';
import { noise, tensor } from '../run-model.ts';

/** A node of an old opset with its inputs: tensors that are fed, or constants of the model. */
export interface OldNode {
  readonly operator: string;
  readonly opset: number;
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly constants?: Readonly<Record<string, Tensor>>;
  /** Inputs in order, when they are not the feeds followed by the constants. */
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
  readonly attributes?: Attributes;
  /** Declared shapes instead of those of the feeds; `none` declares no rank. */
  readonly declared?: 'none' | Readonly<Record<string, readonly Dimension[]>>;
}

const x = noise([2, 3, 4], 'x');
const image = noise([2, 4, 5, 6], 'image');
const positive = (shape: readonly number[]): Tensor =>
  tensor(
    shape,
    Array.from(noise(shape, 'positive').data as Float32Array, (value) => value + 1.5),
  );

const reductions = [
  ...['ReduceL1', 'ReduceL2', 'ReduceLogSum', 'ReduceLogSumExp', 'ReduceMax', 'ReduceMean'],
  ...['ReduceMin', 'ReduceProd', 'ReduceSum', 'ReduceSumSquare'],
].flatMap((operator): OldNode[] => [
  {
    operator,
    opset: 7,
    feeds: { x: positive([2, 3, 4]) },
    attributes: { axes: ints([1]), keepdims: int(0) },
  },
  { operator, opset: 11, feeds: { x: positive([2, 3, 4]) }, attributes: { axes: ints([0, -1]) } },
  { operator, opset: 12, feeds: { x: positive([2, 3, 4]) } },
]);

const softmaxes = ['Softmax', 'LogSoftmax', 'Hardmax'].flatMap((operator): OldNode[] => [
  { operator, opset: 7, feeds: { x } },
  { operator, opset: 9, feeds: { x }, attributes: { axis: int(2) } },
  { operator, opset: 12, feeds: { x }, attributes: { axis: int(0) } },
  { operator, opset: 11, feeds: { x }, attributes: { axis: int(-2) }, declared: 'none' },
  { operator, opset: 12, feeds: { x: noise([3, 4, 1, 1], 'x') }, attributes: { axis: int(1) } },
  { operator, opset: 12, feeds: { x }, declared: { x: ['batch', 'rows', 4] } },
]);

const layout: readonly OldNode[] = [
  { operator: 'Squeeze', opset: 11, feeds: { x: noise([1, 3, 1], 'x') }, attributes: { axes: ints([0]) } },
  { operator: 'Squeeze', opset: 9, feeds: { x: noise([1, 3, 1], 'x') } },
  { operator: 'Unsqueeze', opset: 11, feeds: { x }, attributes: { axes: ints([0, -1]) } },
  {
    operator: 'Split',
    opset: 7,
    feeds: { x },
    attributes: { axis: int(2), split: ints([1, 3]) },
    outputs: ['y', 'z'],
  },
  { operator: 'Split', opset: 11, feeds: { x }, attributes: { axis: int(2) }, outputs: ['y', 'z'] },
  { operator: 'Split', opset: 13, feeds: { x }, attributes: { axis: int(2) }, outputs: ['y', 'z'] },
  {
    operator: 'Slice',
    opset: 9,
    feeds: { x },
    attributes: { starts: ints([-2, 1]), ends: ints([Number.MAX_SAFE_INTEGER, -1]), axes: ints([1, 2]) },
  },
  { operator: 'Slice', opset: 7, feeds: { x }, attributes: { starts: ints([0, 1]), ends: ints([1, 3]) } },
  { operator: 'TopK', opset: 9, feeds: { x }, attributes: { axis: int(1), k: int(2) }, outputs: ['y', 'z'] },
  {
    operator: 'Pad',
    opset: 7,
    feeds: { x },
    attributes: { pads: ints([0, 1, 2, 0, 0, 1]), value: float(1.5) },
  },
  {
    operator: 'Pad',
    opset: 10,
    feeds: { x: noise([2, 3], 'x', 'float64') },
    attributes: { pads: ints([0, 1, 2, 0]), value: float(0.5) },
  },
  {
    operator: 'Pad',
    opset: 9,
    feeds: { x },
    attributes: { pads: ints([0, 1, 2, 0, 0, 1]), mode: text('reflect') },
  },
  {
    operator: 'Scatter',
    opset: 9,
    feeds: { x: noise([3, 3], 'x'), updates: noise([2, 3], 'updates') },
    constants: { indices: tensor([2, 3], [1, 0, 2, 0, 2, 1], 'int64') },
    inputs: ['x', 'indices', 'updates'],
  },
  { operator: 'Flatten', opset: 7, feeds: { x }, attributes: { axis: int(2) } },
  { operator: 'Concat', opset: 7, feeds: { x, z: x }, attributes: { axis: int(1) } },
  { operator: 'ArgMax', opset: 7, feeds: { x }, attributes: { axis: int(1) } },
];

const elementwise: readonly OldNode[] = [
  { operator: 'Clip', opset: 7, feeds: { x }, attributes: { min: float(-0.25), max: float(0.5) } },
  { operator: 'Clip', opset: 10, feeds: { x }, attributes: { max: float(0.5) }, declared: 'none' },
  { operator: 'Clip', opset: 9, feeds: { x } },
  { operator: 'Dropout', opset: 7, feeds: { x }, attributes: { ratio: float(0.3) } },
  { operator: 'Dropout', opset: 10, feeds: { x } },
  { operator: 'PRelu', opset: 7, feeds: { x }, constants: { slope: tensor([4], [0.1, 0.2, 0.3, 0.4]) } },
  { operator: 'Gemm', opset: 7, feeds: { a: noise([2, 3], 'a'), b: noise([3, 4], 'b'), c: noise([4], 'c') } },
  { operator: 'Max', opset: 8, feeds: { x, z: noise([4], 'z') } },
  { operator: 'Pow', opset: 7, feeds: { x: positive([2, 3]) }, constants: { exponent: tensor([], [2]) } },
  { operator: 'Cast', opset: 9, feeds: { x }, attributes: { to: int(7) } },
];

const vectors = (shape: readonly number[]): Readonly<Record<string, Tensor>> => ({
  scale: noise(shape, 'scale'),
  bias: noise(shape, 'bias'),
  mean: noise(shape, 'mean'),
  variance: positive(shape),
});

const normalizations: readonly OldNode[] = [
  {
    operator: 'BatchNormalization',
    opset: 7,
    feeds: { image, ...vectors([4]) },
    attributes: { epsilon: float(0.01) },
  },
  {
    operator: 'BatchNormalization',
    opset: 7,
    feeds: { image, ...vectors([4, 5, 6]) },
    attributes: { spatial: int(0) },
  },
  { operator: 'BatchNormalization', opset: 9, feeds: { image, ...vectors([4]) } },
  {
    operator: 'GroupNormalization',
    opset: 18,
    feeds: { image, scale: noise([2], 'scale'), bias: noise([2], 'bias') },
    attributes: { num_groups: int(2) },
  },
  {
    operator: 'GroupNormalization',
    opset: 20,
    feeds: { image, scale: noise([2], 'scale'), bias: noise([2], 'bias') },
    attributes: { num_groups: int(2), epsilon: float(0.1) },
    declared: { image: ['batch', 'channels', 'height', 'width'] },
  },
  { operator: 'LRN', opset: 7, feeds: { image }, attributes: { size: int(3) } },
  {
    operator: 'InstanceNormalization',
    opset: 7,
    feeds: { image, scale: noise([4], 's'), bias: noise([4], 'b') },
  },
];

const kernel = { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 0, 1, 0]) };

const windows: readonly OldNode[] = [
  { operator: 'MaxPool', opset: 7, feeds: { image }, attributes: kernel },
  { operator: 'MaxPool', opset: 8, feeds: { image }, attributes: kernel, outputs: ['y', 'z'] },
  {
    operator: 'MaxPool',
    opset: 10,
    feeds: { image },
    attributes: { ...kernel, ceil_mode: int(1), dilations: ints([1, 2]) },
  },
  {
    operator: 'MaxPool',
    opset: 7,
    feeds: { image },
    attributes: { kernel_shape: ints([2, 2]), auto_pad: text('SAME_UPPER') },
  },
  {
    operator: 'AveragePool',
    opset: 7,
    feeds: { image },
    attributes: { ...kernel, count_include_pad: int(1) },
  },
  { operator: 'AveragePool', opset: 10, feeds: { image }, attributes: { ...kernel, ceil_mode: int(1) } },
  {
    operator: 'Conv',
    opset: 7,
    feeds: { image, w: noise([6, 2, 3, 3], 'w') },
    attributes: { ...kernel, group: int(2) },
  },
  { operator: 'ConvTranspose', opset: 7, feeds: { image, w: noise([4, 3, 3, 3], 'w') }, attributes: kernel },
  {
    operator: 'ConvTranspose',
    opset: 10,
    feeds: { image, w: noise([4, 3, 3, 3], 'w') },
    attributes: { strides: ints([2, 2]), auto_pad: text('SAME_UPPER') },
  },
];

const scales = (...values: readonly number[]): Readonly<Record<string, Tensor>> => ({
  scales: tensor([values.length], values),
});
const roi = { roi: tensor([0], []) };

const resampling: readonly OldNode[] = [
  ...['nearest', 'linear'].flatMap((mode): OldNode[] => [
    {
      operator: 'Upsample',
      opset: 7,
      feeds: { image },
      attributes: { mode: text(mode), scales: floats([1, 1, 2, 1.5]) },
    },
    {
      operator: 'Upsample',
      opset: 9,
      feeds: { image },
      constants: scales(1, 1, 2, 3),
      attributes: { mode: text(mode) },
    },
    {
      operator: 'Resize',
      opset: 10,
      feeds: { image },
      constants: scales(1, 1, 2, 1.3),
      attributes: { mode: text(mode) },
    },
    {
      operator: 'Resize',
      opset: 10,
      feeds: { image },
      constants: scales(1, 1, 0.6, 0.4),
      attributes: { mode: text(mode) },
    },
    {
      operator: 'Resize',
      opset: 11,
      feeds: { image },
      constants: { ...roi, ...scales(1, 1, 0.6, 1.7) },
      attributes: { mode: text(mode), coordinate_transformation_mode: text('align_corners') },
    },
  ]),
  { operator: 'Resize', opset: 10, feeds: { image, ...scales(1, 1, 2, 2) } },
  {
    operator: 'Resize',
    opset: 11,
    feeds: { image },
    constants: { ...roi, ...scales(1, 1, 0.6, 1.7) },
    attributes: { coordinate_transformation_mode: text('tf_half_pixel_for_nn'), nearest_mode: text('floor') },
  },
  {
    operator: 'Resize',
    opset: 12,
    feeds: { image },
    constants: { ...roi, empty: tensor([0], []), sizes: tensor([4], [2, 4, 7, 9], 'int64') },
    attributes: { mode: text('cubic'), coordinate_transformation_mode: text('pytorch_half_pixel') },
  },
  {
    operator: 'Resize',
    opset: 11,
    feeds: { image },
    constants: {
      roi: tensor([8], [0, 0, 0.1, 0.2, 1, 1, 0.8, 0.9]),
      empty: tensor([0], []),
      sizes: tensor([4], [2, 4, 3, 3], 'int64'),
    },
    attributes: { mode: text('linear'), coordinate_transformation_mode: text('tf_crop_and_resize') },
  },
  ...['bilinear', 'nearest', 'bicubic'].map(
    (mode): OldNode => ({
      operator: 'GridSample',
      opset: 16,
      feeds: { image, grid: noise([2, 3, 3, 2], 'grid') },
      attributes: { mode: text(mode) },
    }),
  ),
  {
    operator: 'RoiAlign',
    opset: 10,
    feeds: { image, rois: tensor([1, 4], [0.5, 0.5, 4, 3]) },
    constants: { batch: tensor([1], [1], 'int64') },
    attributes: { output_height: int(2), output_width: int(2) },
  },
];

const sequence = noise([5, 2, 3], 'sequence');

const others: readonly OldNode[] = [
  {
    operator: 'DFT',
    opset: 17,
    feeds: { x: noise([2, 4, 1], 'x') },
  },
  {
    operator: 'LSTM',
    opset: 7,
    feeds: { x: sequence, w: noise([1, 16, 3], 'w'), r: noise([1, 16, 4], 'r') },
    attributes: { hidden_size: int(4) },
  },
  {
    operator: 'GRU',
    opset: 7,
    feeds: { x: sequence, w: noise([1, 12, 3], 'w'), r: noise([1, 12, 4], 'r') },
    attributes: { hidden_size: int(4) },
  },
  {
    operator: 'RNN',
    opset: 7,
    feeds: { x: sequence, w: noise([1, 4, 3], 'w'), r: noise([1, 4, 4], 'r') },
    attributes: { hidden_size: int(4) },
  },
  {
    operator: 'OneHot',
    opset: 9,
    feeds: { x: tensor([2, 2], [0, 2, 1, 1], 'int64') },
    constants: { depth: tensor([1], [3], 'int64'), values: tensor([2], [0.25, 4]) },
  },
  {
    operator: 'Gather',
    opset: 7,
    feeds: { x },
    constants: { indices: tensor([2], [2, 0], 'int64') },
    attributes: { axis: int(1) },
  },
];

/** Operators in forms that opsets up to 23 changed, and common ones that they left alone. */
export const oldNodes: readonly OldNode[] = [
  ...reductions,
  ...softmaxes,
  ...layout,
  ...elementwise,
  ...normalizations,
  ...windows,
  ...resampling,
  ...others,
];

/** A model with the one node. */
export function oldModel(old: OldNode): Model {
  const constants = Object.entries(old.constants ?? {}).map(([name, value]) => ({ ...value, name }));
  const outputs = old.outputs ?? ['y'];
  const shapeOf = (name: string, { shape }: Tensor) => {
    if (old.declared === 'none') return {};
    return { shape: old.declared?.[name] ?? shape };
  };
  return {
    irVersion: 3,
    producer: 'test',
    opsets: { '': old.opset },
    metadata: {},
    graph: {
      name: 'old',
      nodes: [
        {
          name: 'node',
          operator: old.operator,
          domain: '',
          inputs: old.inputs ?? [...Object.keys(old.feeds), ...constants.map(({ name }) => name)],
          outputs,
          attributes: old.attributes ?? {},
        },
      ],
      inputs: Object.entries(old.feeds).map(([name, value]) => ({
        name,
        type: value.type,
        ...shapeOf(name, value),
      })),
      outputs: outputs.map((name, index) => ({ name, type: outputType(old, index) })),
      initializers: constants,
    },
  };
}

/** The declared type of an output: integers of what gives indices, else that of the first input. */
function outputType({ operator, opset, feeds, attributes }: OldNode, index: number): Tensor['type'] {
  const first = Object.values(feeds)[0]?.type ?? 'float32';
  if (operator === 'Dropout' && index === 1 && opset >= 10) return 'bool';
  if (operator === 'ArgMax' || (index === 1 && (operator === 'TopK' || operator === 'MaxPool')))
    return 'int64';
  if (operator === 'Cast' && attributes) return 'int64';
  return operator === 'OneHot' ? 'float32' : first;
}
