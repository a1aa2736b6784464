/**
 * Sampling an image at the points of a grid, as gathers of the pixels around each point and weights that depend on
 * where between them it lies.
 */
import { int, intOf, ints, type Tensor, textOf } from '@murmuration/onnx';
import { gridNumbersMax } from '../defaults.ts';
import { typeCodes } from '../element-types.ts';
import type { LoweringContext, Lowerings } from '../passes/lower-operators.ts';

/** The `a` of the cubic filter that onnxruntime and PyTorch sample with. */
const cubicCoefficient = -0.75;

/** One axis of an image, the first spatial one first. */
interface Axis {
  /** The coordinates of all points in pixels [batch, …points]. */
  readonly value: string;
  /** The number of pixels along the axis, as a scalar of the image's type. */
  readonly size: string;
}

/** A whole position along an axis with the weight that it has, and whether it lies inside. */
interface Corner {
  readonly position: string;
  readonly weight: string | undefined;
  readonly inside: string | undefined;
}

/** The number of pixels along an axis. */
function pixels({ op, backward, input, number }: LoweringContext, axis: number): string {
  const size = backward.shapeOf(input(0))[axis];
  if (typeof size === 'number') return number(size);
  const list = backward.sizeValue(input(0), axis);
  return backward.castLike(op('Squeeze', [list, backward.graph.int64s([0])]), input(0));
}

const aligns = ({ node }: LoweringContext): boolean => intOf(node, 'align_corners', 0) === 1;

/** An axis of the image with its coordinates taken from the grid, whose last coordinate is the first axis'. */
function axisOf(context: LoweringContext, index: number, count: number): Axis {
  const { op, number, backward, input } = context;
  const size = pixels(context, index + 2);
  const place = backward.graph.int64(count - 1 - index);
  const unit = op('Add', [op('Gather', [input(1), place], { axis: int(-1) }), number(1)]);
  const doubled = aligns(context)
    ? op('Mul', [unit, op('Sub', [size, number(1)])])
    : op('Sub', [op('Mul', [unit, size]), number(1)]);
  return { value: op('Mul', [doubled, number(0.5)]), size };
}

/** Mirrors positions at the borders until they lie inside. */
function reflected(context: LoweringContext, value: string, size: string): string {
  const { op, number } = context;
  const least = number(aligns(context) ? 0 : -0.5);
  const range = aligns(context) ? op('Sub', [size, number(1)]) : size;
  const period = op('Mul', [range, number(2)]);
  const shifted = op('Sub', [value, least]);
  const turns = op('Floor', [op('Div', [shifted, period])]);
  const within = op('Sub', [shifted, op('Mul', [turns, period])]);
  return op('Add', [op('Sub', [range, op('Abs', [op('Sub', [within, range])])]), least]);
}

/** A pixel that is read at a position, by the node's padding. */
function padded(
  context: LoweringContext,
  position: string,
  weight: string | undefined,
  size: string,
): Corner {
  const { op, number, node } = context;
  const padding = textOf(node, 'padding_mode', 'zeros');
  const mirrored = padding === 'reflection' ? reflected(context, position, size) : position;
  const inside = (): string =>
    op('And', [op('GreaterOrEqual', [position, number(0)]), op('Less', [position, size])]);
  return {
    position: op('Min', [op('Max', [mirrored, number(0)]), op('Sub', [size, number(1)])]),
    weight,
    inside: padding === 'zeros' ? inside() : undefined,
  };
}

/** Horner's scheme: the first coefficient is that of the highest power. */
const polynomial = ({ op, number }: LoweringContext, x: string, coefficients: readonly number[]): string =>
  coefficients.map(number).reduce((sum, coefficient) => op('Add', [op('Mul', [sum, x]), coefficient]));

/** Weights of the four pixels around a point that lies at `x` between the inner two (Keys 1981, equation 4). */
function cubicWeights(context: LoweringContext, x: string): readonly string[] {
  const a = cubicCoefficient;
  const fromOther = context.op('Sub', [context.number(1), x]);
  const near = [a + 2, -(a + 3), 0, 1];
  const far = [a, -2 * a, a, 0];
  return [
    polynomial(context, x, far),
    polynomial(context, x, near),
    polynomial(context, fromOther, near),
    polynomial(context, fromOther, far),
  ];
}

/** The pixels along one axis that a point is made of. */
function cornersOf(context: LoweringContext, { value, size }: Axis, mode: string): readonly Corner[] {
  const { op, number } = context;
  if (mode === 'nearest') return [padded(context, op('Round', [value]), undefined, size)];
  const low = op('Floor', [value]);
  const above = op('Sub', [value, low]);
  const cubic = mode === 'cubic' || mode === 'bicubic';
  const weights = cubic ? cubicWeights(context, above) : [op('Sub', [number(1), above]), above];
  return weights.map((weight, index) =>
    padded(context, op('Add', [low, number(index - (cubic ? 1 : 0))]), weight, size),
  );
}

/** Pixels along several axes at once: positions in the flattened image, products of weights. */
function joined(context: LoweringContext, first: Corner, second: Corner, size: string): Corner {
  const { op } = context;
  const both = (operator: string, a: string | undefined, b: string | undefined): string | undefined =>
    a === undefined || b === undefined ? (a ?? b) : op(operator, [a, b]);
  return {
    position: op('Add', [op('Mul', [first.position, size]), second.position]),
    weight: both('Mul', first.weight, second.weight),
    inside: both('And', first.inside, second.inside),
  };
}

const modes: ReadonlySet<string> = new Set(['linear', 'bilinear', 'nearest', 'cubic', 'bicubic']);
const paddings: ReadonlySet<string> = new Set(['zeros', 'border', 'reflection']);

/** Nearest, linear or cubic sampling of images and volumes. */
function gridSample(context: LoweringContext): readonly string[] {
  const { op, node, number, backward, input, shapeOf } = context;
  const { graph } = backward;
  const mode = textOf(node, 'mode', 'linear');
  const padding = textOf(node, 'padding_mode', 'zeros');
  if (!modes.has(mode) || !paddings.has(padding))
    context.refuse(`expected a known way of sampling, got ${mode} with ${padding}`);
  const count = shapeOf(input(0)).length - 2;
  const axes = Array.from({ length: count }, (_, index) => axisOf(context, index, count));
  const corners = axes.reduce<readonly Corner[]>((sofar, axis) => {
    const own = cornersOf(context, axis, mode);
    return sofar.length === 0
      ? own
      : sofar.flatMap((first) => own.map((second) => joined(context, first, second, axis.size)));
  }, []);
  const flat = graph.int64s([0, 1, -1]);
  const image = op('Reshape', [input(0), graph.int64s([0, 0, -1])]);
  const channels = op('Concat', [graph.int64s([1]), backward.sizeValue(input(0), 1), graph.int64s([1])], {
    axis: int(0),
  });
  const samples = corners.map(({ position, weight, inside }) => {
    const index = op('Reshape', [op('Cast', [position], { to: int(typeCodes.int64) }), flat]);
    const pixel = op('GatherElements', [image, op('Expand', [index, channels])], { axis: int(2) });
    const shown = inside ? op('Where', [inside, weight ?? number(1), number(0)]) : weight;
    return shown === undefined ? pixel : op('Mul', [pixel, op('Reshape', [shown, flat])]);
  });
  const sum = samples.reduce((total, sample) => op('Add', [total, sample]));
  const sizes = axes.map((_, index) => backward.sizeValue(input(1), index + 1));
  return [op('Reshape', [sum, op('Concat', [graph.int64s([0, 0]), ...sizes], { axis: int(0) })])];
}

/** Points along an axis between −1 and 1: on the borders, or in the middles of pixels. */
const along = (size: number, aligned: boolean): readonly number[] =>
  Array.from({ length: size }, (_, index) =>
    aligned ? (size === 1 ? 0 : (2 * index) / (size - 1) - 1) : (2 * index + 1) / size - 1,
  );

/** All points of a grid with a last coordinate of 1, the last axis of the image first: [points, axes + 1]. */
function points(sizes: readonly number[], aligned: boolean): readonly number[] {
  const axes = sizes.map((size) => along(size, aligned));
  const combine = (axis: number, tail: readonly number[]): readonly number[] =>
    axis === axes.length
      ? [...tail, 1]
      : (axes[axis] as readonly number[]).flatMap((position) => combine(axis + 1, [position, ...tail]));
  return combine(0, []);
}

/** A grid of points moved by a matrix per image: one product with constant points. */
function affineGrid(context: LoweringContext): readonly string[] {
  const { op, node, backward, input } = context;
  const { graph } = backward;
  const [, , ...sizes] = backward.numbersOf(input(1)) ?? [];
  if (sizes.length < 2) context.refuse('expected a constant size');
  const numbers = sizes.reduce((product, size) => product * Math.max(1, size), sizes.length + 1);
  if (!(numbers <= gridNumbersMax))
    context.refuse(`expected a grid of at most ${gridNumbersMax} numbers per image, got [${sizes}]`);
  const type = backward.typeOf(input(0)) === 'float64' ? 'float64' : 'float32';
  const values = points(sizes, intOf(node, 'align_corners', 0) === 1);
  const tensor: Tensor = {
    name: `${node.outputs[0]}.points`,
    type,
    shape: [values.length / (sizes.length + 1), sizes.length + 1],
    data: type === 'float64' ? Float64Array.from(values) : Float32Array.from(values),
  };
  const turned = op('Transpose', [input(0)], { perm: ints([0, 2, 1]) });
  const moved = op('MatMul', [graph.initializer(tensor), turned]);
  return [op('Reshape', [moved, graph.int64s([0, ...sizes, sizes.length])])];
}

/** Sampling of images. */
export const samplingLowerings: Lowerings = {
  GridSample: gridSample,
  'com.microsoft:GridSample': gridSample,
  AffineGrid: affineGrid,
};
