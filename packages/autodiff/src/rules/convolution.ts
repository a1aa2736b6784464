import { type Dimension, int, ints, intsOf, type Node, textOf } from '@murmuration/onnx';
import type { Backward } from '../backward.ts';
import { type GradientRule, type GradientRules, type RuleContext, unsupported } from './rule.ts';
import {
  axesButChannels,
  correlate,
  groupOf,
  spanOf,
  spatialFrom,
  spreadBack,
  type Window,
  windowOf,
} from './window.ts';
import { inputGradient, isSmall, kernelGradient, rowWindow } from './window-rows.ts';

/** The spatial sizes of a kernel given as a node's second input. Throws `AutodiffError` `unsupported`. */
export function kernelOf(node: Node, backward: Backward): readonly number[] {
  const sizes = backward.shapeOf(node.inputs[1] ?? '');
  const constant = sizes.filter((size): size is number => typeof size === 'number');
  if (constant.length < sizes.length)
    throw unsupported(node, `expected a kernel of constant shape, got [${sizes}]`);
  return constant.slice(spatialFrom);
}

/** A bias per channel gets the sum over everything else. */
const byBias = ({ op, backward, gradient }: RuleContext): string =>
  op('ReduceSum', [gradient, backward.graph.int64s(axesButChannels(backward.shapeOf(gradient).length))], {
    keepdims: int(0),
  });

const convolution: GradientRule = (context) => {
  const { node, backward, gradient } = context;
  const window = windowOf(node, kernelOf(node, backward), context.shape(0).slice(spatialFrom));
  const [x, kernel, group] = [context.input(0), context.input(1), groupOf(node)];
  const rows = rowWindow(window, group, context.shape(0), backward.shapeOf(context.output(0)));
  const byInput = (): string =>
    rows && isSmall(rows)
      ? inputGradient(backward, { gradient, kernel, rows })
      : spreadBack(backward, { outputs: gradient, kernel, window, group, like: x });
  const byKernel = (): string =>
    rows
      ? kernelGradient(backward, { x, gradient, kernel, rows })
      : correlate(backward, { inputs: x, outputs: gradient, window, group });
  return [
    context.needs(0) ? byInput() : undefined,
    context.needs(1) ? byKernel() : undefined,
    context.needs(2) ? byBias(context) : undefined,
  ];
};

/** The zeros that a transposed convolution cuts off each axis, when `output_shape` or `auto_pad` gives them. */
function transposedPads(
  node: Node,
  window: Window,
  sizes: readonly Dimension[],
  outputs: readonly (number | undefined)[],
  more: readonly number[],
): Pick<Window, 'begin' | 'end'> {
  const span = spanOf(window);
  const totals = sizes.map((size, axis) => {
    const output = outputs[axis];
    const stride = window.strides[axis] as number;
    const behind = (more[axis] as number) + (span[axis] as number);
    if (output === undefined) return Math.max(behind - stride, 0);
    if (typeof size !== 'number')
      throw unsupported(node, `expected constant sizes with output_shape, got ${size}`);
    return Math.max((size - 1) * stride + behind - output, 0);
  });
  const isUpper = textOf(node, 'auto_pad', 'NOTSET') === 'SAME_UPPER';
  const begin = totals.map((total) => (isUpper ? Math.floor(total / 2) : Math.ceil(total / 2)));
  return { begin, end: totals.map((total, axis) => total - (begin[axis] as number)) };
}

/**
 * The window that a transposed convolution slides in the opposite direction: over its output, giving its input.
 * Without `output_shape` and `auto_pad`, `pads` are cut off; SAME makes the output `stride` times as large.
 */
function transposedWindow(context: RuleContext): Window {
  const { node } = context;
  const kernel = kernelOf(node, context.backward);
  const sizes = context.shape(0).slice(spatialFrom);
  const automatic = textOf(node, 'auto_pad', 'NOTSET');
  const outputShape = intsOf(node, 'output_shape')?.slice(-kernel.length);
  const more = intsOf(node, 'output_padding') ?? kernel.map(() => 0);
  const plain = windowOf({ ...node, attributes: withoutPadding(node) }, kernel, sizes);
  if (outputShape) return { ...plain, ...transposedPads(node, plain, sizes, outputShape, more) };
  if (automatic.startsWith('SAME'))
    return {
      ...plain,
      ...transposedPads(
        node,
        plain,
        sizes,
        kernel.map(() => undefined),
        more,
      ),
    };
  return windowOf(node, kernel, sizes);
}

const withoutPadding = (node: Node): Node['attributes'] =>
  Object.fromEntries(
    Object.entries(node.attributes).filter(([name]) => name !== 'pads' && name !== 'auto_pad'),
  );

const transposedConvolution: GradientRule = (context) => {
  const { node, backward, gradient, op } = context;
  const window = transposedWindow(context);
  const [x, kernel, group] = [context.input(0), context.input(1), groupOf(node)];
  const more = intsOf(node, 'output_padding') ?? window.kernel.map(() => 0);
  if (more.some((padding, axis) => padding >= (window.strides[axis] as number)))
    throw unsupported(node, `expected output_padding below strides [${window.strides}], got [${more}]`);
  const byInput = (): string =>
    op('Conv', [gradient, kernel], {
      strides: ints(window.strides),
      dilations: ints(window.dilations),
      pads: ints([...window.begin, ...window.end]),
      group: int(group),
    });
  return [
    context.needs(0) ? byInput() : undefined,
    context.needs(1) ? correlate(backward, { inputs: gradient, outputs: x, window, group }) : undefined,
    context.needs(2) ? byBias(context) : undefined,
  ];
};

/** Convolutions over any number of spatial axes. */
export const convolutionRules: GradientRules = {
  Conv: convolution,
  ConvTranspose: transposedConvolution,
};
