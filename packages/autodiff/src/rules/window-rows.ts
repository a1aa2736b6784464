/**
 * Convolutions as matrix products. A value [batch, channels, …] becomes rows [batch, positions, channels]; one `Gather`
 * lays the rows that a window covers side by side; and the convolution, the gradient of its kernel and the gradient of
 * its input are one product each over all rows of the batch. For small images that is much faster than onnxruntime's
 * own convolution, which multiplies image by image; for large ones the rows take more memory traffic than they save.
 *
 * The rule and the lowering of a convolution both ask for its rows; what both make is equal and merged afterwards.
 */
import { type Dimension, int, ints } from '@murmuration/onnx';
import type { Backward } from '../backward.ts';
import { gatheredElementsMax, nominalBatch, productOutputsMax } from '../defaults.ts';
import { spatialFrom, type Window } from './window.ts';

/** A convolution of which all sizes are known, that of the batch perhaps not. */
export interface RowWindow {
  readonly batch: number;
  readonly window: Window;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly inputChannels: number;
  readonly outputChannels: number;
}

const product = (sizes: readonly number[]): number => sizes.reduce((total, size) => total * size, 1);

const productAtLeast1 = (sizes: readonly number[]): number => product(sizes.map((size) => Math.max(1, size)));

const isKnown = (sizes: readonly (Dimension | undefined)[]): sizes is readonly number[] =>
  sizes.every((size) => typeof size === 'number');

/** The window with all its sizes, if they are known and its channels are not in groups. */
export function rowWindow(
  window: Window,
  group: number,
  input: readonly Dimension[],
  output: readonly Dimension[],
): RowWindow | undefined {
  const [inputChannels, ...inputs] = input.slice(1);
  const [outputChannels, ...outputs] = output.slice(1);
  if (group !== 1 || !isKnown(inputs) || !isKnown(outputs)) return undefined;
  if (typeof inputChannels !== 'number' || typeof outputChannels !== 'number') return undefined;
  const batch = typeof input[0] === 'number' ? input[0] : nominalBatch;
  const rows = { batch, window, inputs, outputs, inputChannels, outputChannels };
  const places = Math.max(productAtLeast1(inputs), productAtLeast1(outputs));
  const gathered = places * product(window.kernel) * Math.max(1, inputChannels);
  return gathered <= gatheredElementsMax ? rows : undefined;
}

/** Whether images are so small that the convolution itself is better one product over all of them. */
export const isSmall = ({ outputs }: RowWindow): boolean => product(outputs) <= productOutputsMax;

/**
 * Whether taps stand inside channels in the gathered matrix, as they do in a kernel. Then the matrix is transposed
 * and not the kernel, which is right where the kernel is the larger of the two.
 */
const tapsInside = ({ batch, outputs, outputChannels }: RowWindow): boolean =>
  batch * product(outputs) <= outputChannels;

/** [batch, channels, …] as [batch, positions, channels]. */
function toRows(backward: Backward, value: string): string {
  const [, channels, ...sizes] = backward.shapeOf(value) as readonly number[];
  const axes = sizes.map((_, axis) => axis + spatialFrom);
  const last = backward.op('Transpose', [value], { perm: ints([0, ...axes, 1]) });
  return backward.op('Reshape', [last, backward.graph.int64s([-1, product(sizes), channels as number])]);
}

/** Rows [batch · positions, channels] as [batch, channels, …]. */
function fromRows(backward: Backward, rows: string, sizes: readonly number[], channels: number): string {
  const shaped = backward.op('Reshape', [rows, backward.graph.int64s([-1, ...sizes, channels])]);
  const axes = sizes.map((_, axis) => axis + 1);
  return backward.op('Transpose', [shaped], { perm: ints([0, sizes.length + 1, ...axes]) });
}

/** All positions of a grid in row-major order. */
function positionsOf(sizes: readonly number[]): readonly (readonly number[])[] {
  return sizes.reduce<readonly (readonly number[])[]>(
    (all, size) =>
      all.flatMap((position) => Array.from({ length: size }, (_, index) => [...position, index])),
    [[]],
  );
}

/** The input position that a tap of the kernel meets at an output position, or −1 outside of the input. */
function meet({ window, inputs }: RowWindow, output: readonly number[], tap: readonly number[]): number {
  let flat = 0;
  for (const [axis, size] of inputs.entries()) {
    const stride = window.strides[axis] as number;
    const dilation = window.dilations[axis] as number;
    const at =
      (output[axis] as number) * stride - (window.begin[axis] as number) + (tap[axis] as number) * dilation;
    if (at < 0 || at >= size) return -1;
    flat = flat * size + at;
  }
  return flat;
}

/** For each output position and tap the input position that they meet at, or −1. */
const readPositions = (rows: RowWindow): readonly number[] => {
  const taps = positionsOf(rows.window.kernel);
  return positionsOf(rows.outputs).flatMap((output) => taps.map((tap) => meet(rows, output, tap)));
};

/** For each input position and tap the output position that reads it by this tap, or −1. */
function readerPositions(rows: RowWindow): readonly number[] {
  const taps = product(rows.window.kernel);
  const readers = Array.from({ length: product(rows.inputs) * taps }, () => -1);
  for (const [index, position] of readPositions(rows).entries())
    if (position >= 0) readers[position * taps + (index % taps)] = Math.floor(index / taps);
  return readers;
}

/** For each input position the pairs of output position and tap that read it, filled up with −1 to equally many. */
function readingPairs(rows: RowWindow): { readonly pairs: readonly number[]; readonly most: number } {
  const readers: number[][] = Array.from({ length: product(rows.inputs) }, () => []);
  for (const [index, position] of readPositions(rows).entries()) readers[position]?.push(index);
  const most = Math.max(...readers.map(({ length }) => length));
  const pairs = readers.flatMap((list) => [...list, ...Array.from({ length: most - list.length }, () => -1)]);
  return { pairs, most };
}

const describe = ({ window, inputs, outputs }: RowWindow): string =>
  [inputs, outputs, window.kernel, window.strides, window.dilations, window.begin]
    .map((sizes) => sizes.join('x'))
    .join('_');

/** Rows [batch, positions, channels] by index: [batch, indices, channels], zeros at −1. */
function gatherRows(
  backward: Backward,
  rows: string,
  positions: number,
  index: readonly number[],
  name: string,
): string {
  const { graph, op } = backward;
  const data = BigInt64Array.from(index, (position) => BigInt(position < 0 ? positions : position));
  if (!backward.constantOf(name)) graph.initializer({ name, type: 'int64', shape: [index.length], data });
  const padded = index.includes(-1)
    ? op('Pad', [rows, graph.int64s([0, 0, 0, 0, 1, 0]), backward.number(0, rows)])
    : rows;
  return op('Gather', [padded, name], { axis: int(1) });
}

/** [n, a · b] as [n, b · a]. */
function swapInside(backward: Backward, matrix: string, a: number, b: number): string {
  if (a === 1 || b === 1) return matrix;
  const { graph, op } = backward;
  const split = op('Reshape', [matrix, graph.int64s([-1, a, b])]);
  return op('Reshape', [op('Transpose', [split], { perm: ints([0, 2, 1]) }), graph.int64s([-1, a * b])]);
}

/**
 * What each window covers, one row per output position: [batch · outputs, taps · channels], or taps inside channels.
 */
function gatheredInputs(backward: Backward, x: string, rows: RowWindow): string {
  const taps = product(rows.window.kernel);
  const name = `window:${describe(rows)}`;
  const gathered = gatherRows(backward, toRows(backward, x), product(rows.inputs), readPositions(rows), name);
  const matrix = backward.op('Reshape', [gathered, backward.graph.int64s([-1, taps * rows.inputChannels])]);
  return tapsInside(rows) ? swapInside(backward, matrix, taps, rows.inputChannels) : matrix;
}

/** The kernel as a matrix [M, taps · channels], in the order of the gathered inputs. */
function kernelMatrix(backward: Backward, kernel: string, rows: RowWindow): string {
  const taps = product(rows.window.kernel);
  const shape = backward.graph.int64s([rows.outputChannels, rows.inputChannels * taps]);
  const matrix = backward.op('Reshape', [kernel, shape]);
  return tapsInside(rows) ? matrix : swapInside(backward, matrix, rows.inputChannels, taps);
}

/** [batch, channels, …] as a matrix [batch · positions, channels]. */
const rowMatrix = (backward: Backward, value: string, channels: number): string =>
  backward.op('Reshape', [toRows(backward, value), backward.graph.int64s([-1, channels])]);

/** The convolution itself. */
export function convolveRows(
  backward: Backward,
  init: { readonly x: string; readonly kernel: string; readonly bias: string; readonly rows: RowWindow },
): string {
  const { x, kernel, bias, rows } = init;
  const factors = [gatheredInputs(backward, x, rows), kernelMatrix(backward, kernel, rows)];
  const y = backward.op('Gemm', bias === '' ? factors : [...factors, bias], { transB: int(1) });
  return fromRows(backward, y, rows.outputs, rows.outputChannels);
}

/** The gradient of the kernel: one product over all rows. */
export function kernelGradient(
  backward: Backward,
  init: { readonly x: string; readonly gradient: string; readonly kernel: string; readonly rows: RowWindow },
): string {
  const { x, gradient, kernel, rows } = init;
  const { graph, op } = backward;
  const dy = rowMatrix(backward, gradient, rows.outputChannels);
  const matrix = op('Gemm', [dy, gatheredInputs(backward, x, rows)], { transA: int(1) });
  if (tapsInside(rows)) return op('Reshape', [matrix, backward.shapeValue(kernel)]);
  const sizes = rows.window.kernel;
  const shaped = op('Reshape', [matrix, graph.int64s([rows.outputChannels, ...sizes, rows.inputChannels])]);
  return op('Transpose', [shaped], {
    perm: ints([0, sizes.length + 1, ...sizes.map((_, axis) => axis + 1)]),
  });
}

/**
 * The gradient of the input. With strides, or where the kernel is large, each row's share of every tap is computed and
 * then summed where it came from; else the output's gradients are gathered and multiplied by the kernel at once.
 */
export function inputGradient(
  backward: Backward,
  init: { readonly gradient: string; readonly kernel: string; readonly rows: RowWindow },
): string {
  const { gradient, kernel, rows } = init;
  const { graph, op } = backward;
  const { inputChannels, outputChannels } = rows;
  const taps = product(rows.window.kernel);
  const outputs = product(rows.outputs);
  const isDense = rows.window.strides.every((stride) => stride === 1) && !tapsInside(rows);
  if (isDense) {
    const name = `readers:${describe(rows)}`;
    const dy = toRows(backward, gradient);
    const gathered = gatherRows(backward, dy, outputs, readerPositions(rows), name);
    const matrix = op('Reshape', [gathered, graph.int64s([-1, taps * outputChannels])]);
    const flat = op('Reshape', [kernel, graph.int64s([outputChannels, inputChannels, taps])]);
    const turned = op('Transpose', [flat], { perm: ints([2, 0, 1]) });
    const factor = op('Reshape', [turned, graph.int64s([taps * outputChannels, inputChannels])]);
    return fromRows(backward, op('Gemm', [matrix, factor]), rows.inputs, inputChannels);
  }
  const dy = rowMatrix(backward, gradient, outputChannels);
  const shares = op('Gemm', [dy, kernelMatrix(backward, kernel, rows)]);
  const ordered = tapsInside(rows) ? swapInside(backward, shares, inputChannels, taps) : shares;
  const byPair = op('Reshape', [ordered, graph.int64s([-1, outputs * taps, inputChannels])]);
  const { pairs, most } = readingPairs(rows);
  const gathered = gatherRows(backward, byPair, outputs * taps, pairs, `pairs:${describe(rows)}`);
  const perInput = op('Reshape', [gathered, graph.int64s([-1, most, inputChannels])]);
  const sum = most === 1 ? perInput : op('ReduceSum', [perInput, graph.int64s([1])], { keepdims: int(0) });
  return fromRows(backward, sum, rows.inputs, inputChannels);
}
