import { int, ints, text } from '@murmuration/onnx';
import { image, weight } from './image-inputs.ts';
import type { RuleCase } from './rule-case.ts';

/** What a convolution's rule must get right, with the reason as the case's note. */
const convolutions: readonly RuleCase[] = [
  { operator: 'Conv', inputs: [image([2, 3, 7]), weight(4, 3, 3)], note: 'one axis' },
  { operator: 'Conv', inputs: [image([2, 3, 5, 4]), weight(2, 3, 3, 2), weight(2)], note: 'bias' },
  { operator: 'Conv', inputs: [image([1, 2, 3, 4, 3]), weight(2, 2, 2, 3, 2)], note: 'three axes' },
  {
    operator: 'Conv',
    inputs: [image([2, 2, 5, 6]), weight(3, 2, 3, 3)],
    attributes: { pads: ints([1, 1, 1, 1]) },
    note: 'pads',
  },
  {
    operator: 'Conv',
    inputs: [image([1, 2, 5, 6]), weight(2, 2, 3, 3)],
    attributes: { pads: ints([0, 3, 2, 1]) },
    note: 'uneven pads, wider than the kernel',
  },
  {
    operator: 'Conv',
    inputs: [image([2, 2, 8, 7]), weight(3, 2, 3, 3)],
    attributes: { strides: ints([2, 3]), pads: ints([1, 1, 1, 1]) },
    note: 'strides, rows left over',
  },
  {
    operator: 'Conv',
    inputs: [image([2, 2, 5, 5]), weight(3, 2, 1, 1)],
    attributes: { strides: ints([2, 2]) },
    note: 'points',
  },
  {
    operator: 'Conv',
    inputs: [image([1, 2, 9, 8]), weight(2, 2, 3, 2)],
    attributes: { dilations: ints([2, 3]), pads: ints([2, 1, 2, 1]) },
    note: 'dilations',
  },
  {
    operator: 'Conv',
    inputs: [image([1, 2, 11]), weight(2, 2, 3)],
    attributes: { strides: ints([3]), dilations: ints([2]) },
    note: 'strides and dilations',
  },
  {
    operator: 'Conv',
    inputs: [image([2, 4, 5, 4]), weight(6, 2, 3, 3)],
    attributes: { group: int(2) },
    note: 'groups',
  },
  {
    operator: 'Conv',
    inputs: [image([2, 3, 6, 5]), weight(6, 1, 3, 3), weight(6)],
    attributes: { group: int(3), strides: ints([2, 1]), pads: ints([1, 1, 1, 1]) },
    note: 'depthwise, strides',
  },
  ...['SAME_UPPER', 'SAME_LOWER'].flatMap((padding): readonly RuleCase[] => [
    {
      operator: 'Conv',
      inputs: [image([1, 2, 6, 5]), weight(2, 2, 4, 3)],
      attributes: { auto_pad: text(padding) },
      note: padding,
    },
    {
      operator: 'Conv',
      inputs: [image([1, 2, 6, 7]), weight(2, 2, 3, 2)],
      attributes: { auto_pad: text(padding), strides: ints([2, 2]) },
      note: `${padding}, strides`,
      onlyStatic: true,
    },
  ]),
  {
    operator: 'Conv',
    inputs: [image([1, 2, 5]), weight(2, 2, 3)],
    attributes: { auto_pad: text('VALID') },
    note: 'VALID',
  },
];

/** One way of computing a convolution's gradients each: see window-rows.ts. */
const ways: readonly RuleCase[] = [
  {
    operator: 'Conv',
    inputs: [image([1, 2, 2, 3]), weight(7, 2, 3, 3), weight(7)],
    attributes: { pads: ints([1, 1, 1, 1]) },
    note: 'kernel larger than the batch',
  },
  {
    operator: 'Conv',
    inputs: [image([1, 3, 3, 4]), weight(6, 3, 2, 2)],
    attributes: { strides: ints([2, 2]) },
    note: 'kernel larger than the batch, strides',
  },
  {
    operator: 'Conv',
    inputs: [image([3, 2, 6, 6]), weight(2, 2, 3, 3)],
    attributes: { strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) },
    note: 'overlapping strides',
  },
  {
    operator: 'Conv',
    inputs: [image([2, 2, 17, 18]), weight(2, 2, 3, 3), weight(2)],
    attributes: { pads: ints([1, 1, 1, 1]) },
    note: 'large image',
  },
  {
    operator: 'Conv',
    inputs: [image([1, 2, 34, 35]), weight(2, 2, 3, 3)],
    attributes: { strides: ints([2, 2]), dilations: ints([1, 2]) },
    note: 'large image, strides, rows left over',
  },
  {
    operator: 'Conv',
    inputs: [image([1, 32, 66, 60]), weight(1, 32, 3, 3)],
    attributes: { pads: ints([1, 0, 1, 0]) },
    note: 'too large to be gathered',
  },
];

const transposed: readonly RuleCase[] = [
  { operator: 'ConvTranspose', inputs: [image([2, 3, 5]), weight(3, 2, 3)], note: 'one axis' },
  { operator: 'ConvTranspose', inputs: [image([2, 3, 3, 4]), weight(3, 2, 3, 2), weight(2)], note: 'bias' },
  {
    operator: 'ConvTranspose',
    inputs: [image([2, 2, 3, 4]), weight(2, 3, 3, 3)],
    attributes: { strides: ints([2, 3]), pads: ints([1, 0, 1, 2]), output_padding: ints([1, 2]) },
    note: 'strides, pads, output padding',
  },
  {
    operator: 'ConvTranspose',
    inputs: [image([1, 2, 4, 3]), weight(2, 2, 2, 3)],
    attributes: { dilations: ints([3, 2]), pads: ints([1, 1, 0, 1]) },
    note: 'dilations',
  },
  {
    operator: 'ConvTranspose',
    inputs: [image([2, 4, 3, 3]), weight(4, 2, 3, 3), weight(4)],
    attributes: { group: int(2), strides: ints([2, 2]), output_padding: ints([1, 1]) },
    note: 'groups',
  },
  {
    operator: 'ConvTranspose',
    inputs: [image([1, 2, 3, 3]), weight(2, 2, 3, 3)],
    attributes: { strides: ints([3, 2]), output_shape: ints([8, 6]) },
    note: 'output shape',
    onlyStatic: true,
  },
  ...['SAME_UPPER', 'SAME_LOWER'].map(
    (padding): RuleCase => ({
      operator: 'ConvTranspose',
      inputs: [image([1, 2, 3, 4]), weight(2, 2, 4, 3)],
      attributes: { auto_pad: text(padding), strides: ints([2, 2]) },
      note: padding,
      onlyStatic: true,
    }),
  ),
];

export const convolutionCases: readonly RuleCase[] = [...convolutions, ...ways, ...transposed];
