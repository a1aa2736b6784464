/**
 * Windows that slide over the spatial axes of [batch, channels, …] values: what convolutions and poolings have in
 * common. Along an axis of size S, output position o covers the input positions o·stride − begin + k·dilation for k
 * in 0…kernel−1. Two adjoints are built from that: `spreadBack` (from outputs to inputs) and `correlate` (from inputs
 * and outputs to the kernel). Both keep symbolic sizes symbolic.
 */
import { type Dimension, int, intOf, ints, intsOf, type Node, textOf } from '@murmuration/onnx';
import type { Backward } from '../backward.ts';
import { unsupported } from './rule.ts';

/** One entry per spatial axis. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Zeros put before and after each axis. */
  readonly begin: readonly number[];
  readonly end: readonly number[];
}

/** Batch and channels come before the spatial axes. */
export const spatialFrom = 2;

/** Input positions that a window spans along each axis. */
export const spanOf = ({ kernel, dilations }: Window): readonly number[] =>
  kernel.map((size, axis) => (size - 1) * (dilations[axis] as number) + 1);

/** The spatial axes of values of a window's rank. */
export const spatialAxes = ({ kernel }: Window): readonly number[] =>
  kernel.map((_, axis) => axis + spatialFrom);

/** All axes of a value but that of its channels. */
export const axesButChannels = (rank: number): readonly number[] => [
  0,
  ...Array.from({ length: Math.max(rank - spatialFrom, 0) }, (_, axis) => axis + spatialFrom),
];

const isNumber = (dimension: Dimension | undefined): dimension is number => typeof dimension === 'number';

/** Zeros around an axis under `auto_pad` SAME: as few as give ⌈size / stride⌉ outputs, the odd one on one side. */
function samePads(
  node: Node,
  size: Dimension | undefined,
  stride: number,
  span: number,
): readonly [number, number] {
  if (stride !== 1 && !isNumber(size))
    throw unsupported(node, `expected a constant size under auto_pad with stride ${stride}, got ${size}`);
  const total = isNumber(size)
    ? Math.max((Math.ceil(size / stride) - 1) * stride + span - size, 0)
    : span - 1;
  const less = Math.floor(total / 2);
  return textOf(node, 'auto_pad', 'NOTSET') === 'SAME_UPPER' ? [less, total - less] : [total - less, less];
}

/** Reads a node's window over an input of these spatial sizes. Throws `AutodiffError` `unsupported`. */
export function windowOf(node: Node, kernel: readonly number[], sizes: readonly Dimension[]): Window {
  const ones = kernel.map(() => 1);
  const strides = intsOf(node, 'strides') ?? ones;
  const dilations = intsOf(node, 'dilations') ?? ones;
  const automatic = textOf(node, 'auto_pad', 'NOTSET');
  const pads = intsOf(node, 'pads');
  const given = automatic === 'NOTSET' && pads !== undefined;
  const window: Window = {
    kernel,
    strides,
    dilations,
    begin: given ? pads.slice(0, kernel.length) : kernel.map(() => 0),
    end: given ? pads.slice(kernel.length) : kernel.map(() => 0),
  };
  if (!automatic.startsWith('SAME')) return window;
  const span = spanOf(window);
  const pairs = sizes.map((size, axis) =>
    samePads(node, size, strides[axis] as number, span[axis] as number),
  );
  return { ...window, begin: pairs.map(([begin]) => begin), end: pairs.map(([, end]) => end) };
}

/**
 * The zeros after each axis with which the last window ends exactly at the border, negative where inputs are left
 * over; undefined for an axis on which only the running graph can tell.
 */
export function fittingEnd(
  window: Window,
  sizes: readonly Dimension[],
  outputs: readonly Dimension[],
): readonly (number | undefined)[] {
  const span = spanOf(window);
  return window.kernel.map((_, axis) => {
    const [size, output, stride] = [sizes[axis], outputs[axis], window.strides[axis] as number];
    if (isNumber(size) && isNumber(output))
      return (output - 1) * stride + (span[axis] as number) - (window.begin[axis] as number) - size;
    return stride === 1 ? window.end[axis] : undefined;
  });
}

const spatialOf = (backward: Backward, value: string): readonly Dimension[] =>
  backward.shapeOf(value).slice(spatialFrom);

/** Cuts a value to the spatial sizes of `like` from `begin` on, along the axes that are not exact yet. */
function cutLike(
  backward: Backward,
  value: string,
  like: string,
  begin: readonly number[],
  inexact: readonly boolean[],
): string {
  const cut = inexact.flatMap((is, axis) => (is ? [axis] : []));
  if (cut.length === 0) return value;
  const { graph } = backward;
  const starts = graph.int64s(cut.map((axis) => begin[axis] as number));
  const axes = graph.int64s(cut.map((axis) => axis + spatialFrom));
  const parts = cut.map((axis) => backward.sizeValue(like, axis + spatialFrom));
  const sizes = parts.length === 1 ? (parts[0] as string) : backward.op('Concat', parts, { axis: int(0) });
  return backward.op('Slice', [value, starts, backward.op('Add', [starts, sizes]), axes]);
}

/** A kernel [M, C/group, …] as the kernel [C, M/group, …] of the opposite direction, its spatial axes reversed. */
function turnedKernel(backward: Backward, kernel: string, window: Window, group: number): string {
  const { graph, op } = backward;
  const [outputs, inputs] = backward.shapeOf(kernel) as readonly number[];
  const axes = spatialAxes(window);
  const last = graph.int64s(axes.map(() => -1));
  const isPoint = window.kernel.every((size) => size === 1);
  const reversed = isPoint
    ? kernel
    : op('Slice', [kernel, last, graph.int64s(axes.map(() => -(2 ** 31))), graph.int64s(axes), last]);
  if (group === 1) return op('Transpose', [reversed], { perm: ints([1, 0, ...axes]) });
  const perGroup = (outputs as number) / group;
  const grouped = op('Reshape', [
    reversed,
    graph.int64s([group, perGroup, inputs as number, ...window.kernel]),
  ]);
  const swapped = op('Transpose', [grouped], { perm: ints([0, 2, 1, ...axes.map((axis) => axis + 1)]) });
  return op('Reshape', [swapped, graph.int64s([group * (inputs as number), perGroup, ...window.kernel])]);
}

/**
 * The adjoint of sliding a window: what `outputs` [batch, M, …] hold is spread through `kernel` [M, C/group, …] over
 * a value of the shape of `like` [batch, C, …].
 */
export function spreadBack(
  backward: Backward,
  init: {
    readonly outputs: string;
    readonly kernel: string;
    readonly window: Window;
    readonly group: number;
    readonly like: string;
  },
): string {
  const { outputs, kernel, window, group, like } = init;
  const fitting = fittingEnd(window, spatialOf(backward, like), spatialOf(backward, outputs));
  const span = spanOf(window);
  const turnedBegin = window.begin.map((begin, axis) => (span[axis] as number) - 1 - begin);
  const turnedEnd = fitting.map((end, axis) => (span[axis] as number) - 1 - (end ?? 0));
  const dilations = ints(window.dilations);
  if (
    window.strides.every((stride) => stride === 1) &&
    [...turnedBegin, ...turnedEnd].every((pad) => pad >= 0)
  )
    return backward.op('Conv', [outputs, turnedKernel(backward, kernel, window, group)], {
      pads: ints([...turnedBegin, ...turnedEnd]),
      dilations,
      group: int(group),
    });
  const begin = fitting.map((end, axis) => (end === undefined ? 0 : (window.begin[axis] as number)));
  const end = fitting.map((pad) => Math.max(pad ?? 0, 0));
  const more = fitting.map((pad, axis) =>
    pad === undefined ? (window.strides[axis] as number) - 1 : Math.max(-pad, 0),
  );
  const spread = backward.op('ConvTranspose', [outputs, kernel], {
    strides: ints(window.strides),
    pads: ints([...begin, ...end]),
    output_padding: ints(more),
    dilations,
    group: int(group),
  });
  return cutLike(
    backward,
    spread,
    like,
    window.begin,
    fitting.map((pad) => pad === undefined),
  );
}

/**
 * [batch, group · c, …] as [c, group · batch, …]: channels in the place of the batch, for one convolution per group.
 */
function channelsFirst(backward: Backward, value: string, group: number): string {
  const { op, graph } = backward;
  const [, channels, ...sizes] = backward.shapeOf(value);
  const axes = sizes.map((_, axis) => axis + spatialFrom);
  if (group === 1) return op('Transpose', [value], { perm: ints([1, 0, ...axes]) });
  const perGroup = (channels as number) / group;
  const shaped = (source: string, lead: readonly number[]): string => {
    const shape = sizes.every(isNumber)
      ? graph.int64s([...lead, ...sizes])
      : op('Concat', [graph.int64s(lead), op('Shape', [value], { start: int(spatialFrom) })], {
          axis: int(0),
        });
    return op('Reshape', [source, shape]);
  };
  const grouped = shaped(value, [-1, group, perGroup]);
  const moved = op('Transpose', [grouped], { perm: ints([2, 1, 0, ...axes.map((axis) => axis + 1)]) });
  return shaped(moved, [perGroup, -1]);
}

/**
 * The gradient of a kernel [M, C/group, …] that slid over `inputs` [batch, C, …] and gave `outputs` [batch, M, …]:
 * for each position of the kernel the product of both, summed over batch and output positions. It is a convolution
 * too, in which batch and channels, and strides and dilations, have changed places.
 */
export function correlate(
  backward: Backward,
  init: {
    readonly inputs: string;
    readonly outputs: string;
    readonly window: Window;
    readonly group: number;
  },
): string {
  const { inputs, outputs, window, group } = init;
  const { graph, op } = backward;
  const fitting = fittingEnd(window, spatialOf(backward, inputs), spatialOf(backward, outputs));
  const axes = spatialAxes(window);
  const ends = fitting.map((end, axis) => Math.max(end ?? (window.end[axis] as number), 0));
  const correlated = op(
    'Conv',
    [channelsFirst(backward, inputs, group), op('Transpose', [outputs], { perm: ints([1, 0, ...axes]) })],
    {
      strides: ints(window.dilations),
      dilations: ints(window.strides),
      pads: ints([...window.begin, ...ends]),
      group: int(group),
    },
  );
  const mayExceed = fitting.some(
    (end, axis) => end === undefined || -end >= (window.dilations[axis] as number),
  );
  const cut = mayExceed
    ? op('Slice', [
        correlated,
        graph.int64s(axes.map(() => 0)),
        graph.int64s(window.kernel),
        graph.int64s(axes),
      ])
    : correlated;
  return op('Transpose', [cut], { perm: ints([1, 0, ...axes]) });
}

/** The number of groups of a convolution's channels. */
export const groupOf = (node: Node): number => intOf(node, 'group', 1);
