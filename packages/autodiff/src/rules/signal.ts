import { int, intOf, ints, intsOf } from '@murmuration/onnx';
import { blockElementsMax } from '../defaults.ts';
import { padAxes } from '../pad-axes.ts';
import { fromFront, type GradientRule, type GradientRules, type RuleContext, unsupported } from './rule.ts';
import { unitMatrix } from './unit-matrix.ts';

/** The axis that is transformed, counted from the front. */
function transformedAxis({ node, backward, input, shape }: RuleContext): number {
  const given = input(2) === '' ? [intOf(node, 'axis', -2)] : backward.numbersOf(input(2));
  if (given?.length !== 1) throw unsupported(node, 'expected a constant axis');
  return fromFront(given[0] as number, shape(0).length);
}

/** A value cropped, or continued with zeros, to the length of another one along an axis. */
function fitted({ op, backward }: RuleContext, value: string, like: string, axis: number): string {
  const [from, to] = [backward.sizeValue(value, axis), backward.sizeValue(like, axis)];
  const [before, after] = [backward.shapeOf(value)[axis], backward.shapeOf(like)[axis]];
  if (before === after && before !== '?') return value;
  const known = typeof before === 'number' && typeof after === 'number';
  const { graph } = backward;
  const pads = known
    ? graph.int64s([0, after - before])
    : op('Concat', [graph.int64s([0]), op('Sub', [to, from])], { axis: int(0) });
  return padAxes(backward, value, [axis], pads);
}

/** Zeros in place of the half of a spectrum that a one-sided transform leaves out. */
function wholeSpectrum(context: RuleContext, axis: number, length: string): string {
  const { op, backward, gradient } = context;
  const { graph } = backward;
  const missing = op('Sub', [length, backward.sizeValue(gradient, axis)]);
  const pads = op('Concat', [graph.int64s([0]), missing], { axis: int(0) });
  return padAxes(backward, gradient, [axis], pads);
}

/** How often each bin of a one-sided spectrum occurs in the whole: once at both ends, else twice. */
function occurrences(context: RuleContext, spectrum: string, axis: number, length: string): string {
  const { op, backward } = context;
  const { graph } = backward;
  const scalar = graph.int64s([]);
  const bins = op('Reshape', [backward.sizeValue(spectrum, axis), scalar]);
  const bin = op('Range', [graph.int64(0), bins, graph.int64(1)]);
  const isEnd = op('Or', [
    op('Equal', [bin, graph.int64(0)]),
    op('Equal', [op('Mul', [bin, graph.int64(2)]), op('Reshape', [length, scalar])]),
  ]);
  const counts = op('Where', [isEnd, context.number(1), context.number(2)]);
  const behind = backward.shapeOf(spectrum).length - 1 - axis;
  return op('Unsqueeze', [counts, graph.int64s(Array.from({ length: behind }, (_, each) => each + 1))]);
}

/**
 * The transform is linear, and the adjoint of the transform of length n is n times its inverse. Of a real signal the
 * real part counts; of a one-sided spectrum each bin as often as it occurs; what the transform cropped gets zeros.
 */
const fourier: GradientRule = (context) => {
  const { op, node, backward, gradient } = context;
  const { graph } = backward;
  const axis = transformedAxis(context);
  const isInverse = intOf(node, 'inverse', 0) === 1;
  const isOneSided = intOf(node, 'onesided', 0) === 1;
  const parts = context.shape(0).at(-1);
  if (parts !== 1 && parts !== 2)
    throw unsupported(node, `expected a real or complex signal, got ${parts} parts`);
  const given = context.input(1);
  const length = isInverse
    ? backward.sizeValue(gradient, axis)
    : given === ''
      ? backward.sizeValue(context.input(0), axis)
      : op('Reshape', [given, graph.int64s([1])]);
  const count = backward.castLike(op('Reshape', [length, graph.int64s([])]), context.input(0));
  const position = graph.int64(axis);
  if (isInverse && isOneSided) {
    const spectrum = op('DFT', [gradient, '', position], { onesided: int(1) });
    const counted = op('Mul', [spectrum, occurrences(context, spectrum, axis, length)]);
    return [fitted(context, op('Div', [counted, count]), context.input(0), axis)];
  }
  const spectrum = isOneSided ? wholeSpectrum(context, axis, length) : gradient;
  const transformed = op('DFT', [spectrum, '', position], { inverse: int(isInverse ? 0 : 1) });
  const scaled = op(isInverse ? 'Div' : 'Mul', [transformed, count]);
  const [zero, one, last] = [graph.int64s([0]), graph.int64s([1]), graph.int64s([-1])];
  const signal = parts === 2 ? scaled : op('Slice', [scaled, zero, one, last]);
  return [fitted(context, signal, context.input(0), axis)];
};

/**
 * Col2Im adds blocks into an image; its gradient cuts the image into blocks again: a convolution of each channel with
 * the unit vectors of the block.
 */
const columnsToImage: GradientRule = (context) => {
  const { op, node, backward } = context;
  const { graph } = backward;
  const block = backward.numbersOf(context.input(2));
  const rows = context.shape(0)[1];
  const elements = block?.reduce((product, size) => product * size, 1) ?? 0;
  if (!block || typeof rows !== 'number' || elements > blockElementsMax)
    throw unsupported(
      node,
      `expected a known number of channels and a constant block of at most ${blockElementsMax} elements`,
    );
  const channels = rows / elements;
  const unit = unitMatrix(context, op('Expand', [context.number(0), graph.int64s([elements])]), 0);
  const kernel = op('Reshape', [unit, graph.int64s([elements, 1, ...block])]);
  const kernels = op('Tile', [kernel, graph.int64s([channels, 1, ...block.map(() => 1)])]);
  const settings = ['strides', 'pads', 'dilations'].flatMap((name) => {
    const list = intsOf(node, name);
    return list ? [[name, ints(list)] as const] : [];
  });
  const blocks = op('Conv', [context.gradient, kernels], {
    ...Object.fromEntries(settings),
    group: int(channels),
    kernel_shape: ints(block),
  });
  return [backward.reshapeLike(blocks, context.input(0))];
};

/** Transforms of signals and images. */
export const signalRules: GradientRules = { DFT: fourier, Col2Im: columnsToImage };
