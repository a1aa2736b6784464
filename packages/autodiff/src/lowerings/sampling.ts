/**
 * Sampling an image at the points of a grid, as gathers of the pixels around each point and weights that depend on
 * where between them it lies.
 */
import { int, intOf, ints, type Tensor, textOf } from '@murmuration/onnx';
import type { LoweringContext, Lowerings } from '../passes/lower-operators.ts';

const int64Code = 7;

/** One coordinate of all points [batch, height, width]. */
interface Coordinate {
  /** In pixels. */
  readonly value: string;
  /** The number of pixels along the axis, as a scalar of the image's type. */
  readonly size: string;
}

/** The number of pixels along an axis. */
function pixels({ op, backward, input, number }: LoweringContext, axis: number): string {
  const size = backward.shapeOf(input(0))[axis];
  if (typeof size === 'number') return number(size);
  const list = backward.sizeValue(input(0), axis);
  return backward.castLike(op('Squeeze', [list, backward.graph.int64s([0])]), input(0));
}

/** Mirrors coordinates at the borders until they lie inside. */
function reflected(context: LoweringContext, value: string, size: string, aligned: boolean): string {
  const { op, number } = context;
  const least = number(aligned ? 0 : -0.5);
  const range = aligned ? op('Sub', [size, number(1)]) : size;
  const period = op('Mul', [range, number(2)]);
  const shifted = op('Sub', [value, least]);
  const turns = op('Floor', [op('Div', [shifted, period])]);
  const within = op('Sub', [shifted, op('Mul', [turns, period])]);
  return op('Add', [op('Sub', [range, op('Abs', [op('Sub', [within, range])])]), least]);
}

const limited = ({ op, number }: LoweringContext, value: string, size: string): string =>
  op('Min', [op('Max', [value, number(0)]), op('Sub', [size, number(1)])]);

/** Coordinate 0 or 1 of the grid, from −1 … 1 to pixels, with the padding that moves points applied. */
function coordinateOf(context: LoweringContext, index: number): Coordinate {
  const { op, node, number, backward, input } = context;
  const aligned = intOf(node, 'align_corners', 0) === 1;
  const size = pixels(context, 3 - index);
  const unit = op('Add', [
    op('Gather', [input(1), backward.graph.int64(index)], { axis: int(3) }),
    number(1),
  ]);
  const doubled = aligned
    ? op('Mul', [unit, op('Sub', [size, number(1)])])
    : op('Sub', [op('Mul', [unit, size]), number(1)]);
  const value = op('Mul', [doubled, number(0.5)]);
  const padding = textOf(node, 'padding_mode', 'zeros');
  if (padding === 'zeros') return { value, size };
  if (padding === 'border') return { value: limited(context, value, size), size };
  if (padding !== 'reflection') context.refuse(`expected a known padding, got ${padding}`);
  return { value: limited(context, reflected(context, value, size, aligned), size), size };
}

/** A whole position along an axis with the weight that it has, and whether it lies inside. */
interface Corner {
  readonly position: string;
  readonly weight: string | undefined;
  readonly inside: string | undefined;
}

function cornersOf(context: LoweringContext, { value, size }: Coordinate, mode: string): readonly Corner[] {
  const { op, node, number } = context;
  const pads = textOf(node, 'padding_mode', 'zeros') === 'zeros';
  const corner = (position: string, weight: string | undefined): Corner => ({
    position: limited(context, position, size),
    weight,
    inside: pads
      ? op('And', [op('GreaterOrEqual', [position, number(0)]), op('Less', [position, size])])
      : undefined,
  });
  if (mode === 'nearest') return [corner(op('Round', [value]), undefined)];
  const low = op('Floor', [value]);
  const above = op('Sub', [value, low]);
  return [corner(low, op('Sub', [number(1), above])), corner(op('Add', [low, number(1)]), above)];
}

/** Bilinear or nearest sampling of images. */
function gridSample(context: LoweringContext): readonly string[] {
  const { op, node, number, backward, input, shapeOf } = context;
  const { graph } = backward;
  const mode = textOf(node, 'mode', 'linear');
  if (shapeOf(input(0)).length !== 4 || !['linear', 'bilinear', 'nearest'].includes(mode))
    context.refuse(`expected linear or nearest sampling of images, got ${mode} of [${shapeOf(input(0))}]`);
  const [x, y] = [coordinateOf(context, 0), coordinateOf(context, 1)];
  const rows = cornersOf(context, y, mode);
  const columns = cornersOf(context, x, mode);
  const flat = graph.int64s([0, 1, -1]);
  const image = op('Reshape', [input(0), graph.int64s([0, 0, -1])]);
  const channels = op('Concat', [graph.int64s([1]), backward.sizeValue(input(0), 1), graph.int64s([1])], {
    axis: int(0),
  });
  const both = (operator: string, a: string | undefined, b: string | undefined): string | undefined =>
    a === undefined || b === undefined ? (a ?? b) : op(operator, [a, b]);
  const samples = rows.flatMap((row) =>
    columns.map((column) => {
      const place = op('Add', [op('Mul', [row.position, x.size]), column.position]);
      const index = op('Reshape', [op('Cast', [place], { to: int(int64Code) }), flat]);
      const pixel = op('GatherElements', [image, op('Expand', [index, channels])], { axis: int(2) });
      const weight = both('Mul', row.weight, column.weight);
      const inside = both('And', row.inside, column.inside);
      const shown = inside ? op('Where', [inside, weight ?? number(1), number(0)]) : weight;
      return shown === undefined ? pixel : op('Mul', [pixel, op('Reshape', [shown, flat])]);
    }),
  );
  const sum = samples.reduce((total, sample) => op('Add', [total, sample]));
  const sizes = [backward.sizeValue(input(1), 1), backward.sizeValue(input(1), 2)];
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
