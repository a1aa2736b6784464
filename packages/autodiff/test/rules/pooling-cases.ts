import { int, ints, text } from '@murmuration/onnx';
import { image } from './image-inputs.ts';
import { integers, type Range, type RuleCase } from './rule-case.ts';

/** Windows on which all poolings are tried. */
const windows: readonly (Omit<RuleCase, 'operator' | 'inputs'> & { readonly shape: readonly number[] })[] = [
  { shape: [2, 2, 6], attributes: { kernel_shape: ints([3]) }, note: 'one axis' },
  { shape: [2, 2, 4, 6], attributes: { kernel_shape: ints([2, 3]), strides: ints([2, 3]) }, note: 'tiles' },
  {
    shape: [1, 2, 7, 6],
    attributes: { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) },
    note: 'overlapping, pads',
  },
  {
    shape: [1, 2, 9, 7],
    attributes: {
      kernel_shape: ints([3, 3]),
      strides: ints([2, 2]),
      pads: ints([1, 0, 0, 1]),
      ceil_mode: int(1),
    },
    note: 'ceil_mode, uneven pads',
    onlyStatic: true,
  },
  {
    shape: [1, 1, 7, 8],
    attributes: { kernel_shape: ints([3, 2]), dilations: ints([2, 3]) },
    note: 'dilations',
  },
  { shape: [1, 1, 3, 2, 3], attributes: { kernel_shape: ints([2, 2, 2]) }, note: 'three axes' },
  {
    shape: [1, 2, 5, 6],
    attributes: { kernel_shape: ints([2, 4]), strides: ints([2, 2]), auto_pad: text('SAME_UPPER') },
    note: 'SAME_UPPER',
    onlyStatic: true,
  },
  {
    shape: [1, 2, 5, 6],
    attributes: { kernel_shape: ints([2, 4]), strides: ints([2, 2]), auto_pad: text('SAME_LOWER') },
    note: 'SAME_LOWER',
    onlyStatic: true,
  },
];

const overWindows = (
  operator: string,
  range: Range,
  more: RuleCase['attributes'] = {},
): readonly RuleCase[] =>
  windows.map(({ shape, attributes, note, onlyStatic }) => ({
    operator,
    inputs: [image(shape, range)],
    attributes: { ...attributes, ...more },
    ...(note ? { note } : {}),
    ...(onlyStatic ? { onlyStatic } : {}),
  }));

export const poolingCases: readonly RuleCase[] = [
  ...overWindows('MaxPool', 'distinct'),
  ...overWindows('AveragePool', 'around-zero'),
  ...overWindows('AveragePool', 'around-zero', { count_include_pad: int(1) }),
  ...overWindows('LpPool', 'away-from-zero'),
  ...overWindows('LpPool', 'away-from-zero', { p: int(3) }).slice(0, 2),
  ...overWindows('LpPool', 'away-from-zero', { p: int(1) }).slice(0, 2),
  ...['GlobalAveragePool', 'GlobalLpPool'].flatMap((operator): readonly RuleCase[] => [
    { operator, inputs: [image([2, 3, 4])] },
    { operator, inputs: [image([2, 2, 3, 4])] },
  ]),
  { operator: 'GlobalLpPool', inputs: [image([2, 2, 3], 'away-from-zero')], attributes: { p: int(3) } },
  { operator: 'GlobalMaxPool', inputs: [image([2, 1, 5], 'distinct')] },
  { operator: 'GlobalMaxPool', inputs: [image([1, 2, 2, 3], 'distinct')] },
  {
    operator: 'MaxUnpool',
    inputs: [image([1, 1, 2, 2]), integers([5, 7, 13, 15], [1, 1, 2, 2])],
    attributes: { kernel_shape: ints([2, 2]), strides: ints([2, 2]) },
    onlyStatic: true,
  },
];
