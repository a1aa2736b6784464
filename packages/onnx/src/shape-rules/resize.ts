import { floorDivideDimension, multiplyDimensions, unknown } from '../dimension.ts';
import { type Dimension, intsOf, textOf } from '../model.ts';
import {
  axisOf,
  type KnownValue,
  refuse,
  requireRank,
  type ShapeContext,
  type ShapeRule,
  type ShapeRules,
  shapeFrom,
  typeOf,
} from './rule.ts';

/** ⌊size · scale⌋ in single precision; of a symbol when the scale is a whole number or one part of one. */
function scaled(size: Dimension, scale: Dimension): Dimension {
  if (typeof scale !== 'number') return unknown;
  if (typeof size === 'number') return Math.floor(Math.fround(size * scale));
  if (Number.isInteger(scale)) return multiplyDimensions([size, scale]);
  return Number.isInteger(1 / scale) ? floorDivideDimension(size, 1 / scale) : unknown;
}

/** Rounds halves up, as onnxruntime does for sizes that keep the aspect ratio. */
const nearest = (size: number): number => Math.floor(size + 0.5);

/** Sizes that keep the aspect ratio: all axes scale like the one that needs the smallest or largest scale. */
function proportionate(
  context: ShapeContext,
  shape: readonly Dimension[],
  axes: readonly number[],
  sizes: readonly Dimension[],
): readonly Dimension[] {
  const policy = textOf(context.node, 'keep_aspect_ratio_policy', 'stretch');
  if (policy === 'stretch') return sizes;
  const scales = axes.map((axis, index) => Number(sizes[index]) / Number(shape[axis]));
  if (scales.some((scale) => !Number.isFinite(scale))) return sizes.map(() => unknown);
  const scale = policy === 'not_larger' ? Math.min(...scales) : Math.max(...scales);
  return axes.map((axis) => nearest(scale * Number(shape[axis])));
}

const isPresent = (value: KnownValue | undefined): value is KnownValue =>
  value !== undefined && value.shape?.[0] !== 0;

function resizedShape(
  context: ShapeContext,
  shape: readonly Dimension[],
  scales: KnownValue | undefined,
  sizes: KnownValue | undefined,
): readonly Dimension[] {
  const axes = (intsOf(context.node, 'axes') ?? shape.map((_, axis) => axis)).map((axis) =>
    axisOf(context, axis, shape.length),
  );
  const given = isPresent(sizes) ? sizes.elements : isPresent(scales) ? scales.elements : undefined;
  if (given && given.length !== axes.length)
    refuse(context, `expected ${axes.length} scales or sizes, got ${given.length}`);
  const wanted = !given
    ? axes.map(() => unknown)
    : isPresent(sizes)
      ? proportionate(context, shape, axes, given)
      : axes.map((axis, index) => scaled(shape[axis] ?? unknown, given[index] ?? unknown));
  let result = shape;
  axes.forEach((axis, index) => {
    result = result.with(axis, wanted[index] ?? unknown);
  });
  return result;
}

const resize: ShapeRule = (context) => {
  const [x, second, third, fourth] = context.inputs;
  const type = typeOf(context);
  if (!x?.shape) return [{ type }];
  const isOld = context.node.inputs.length === 2;
  return [{ type, shape: resizedShape(context, x.shape, isOld ? second : third, fourth) }];
};

const upsample: ShapeRule = (context) => {
  const [x, scales] = context.inputs;
  const type = typeOf(context);
  const { scales: old } = context.node.attributes;
  const given: KnownValue | undefined =
    scales ?? (old?.kind === 'floats' ? { type, elements: old.value } : undefined);
  return [{ type, shape: x?.shape && resizedShape(context, x.shape, given, undefined) }];
};

const gridSample: ShapeRule = (context) => {
  const [x, grid] = context.inputs;
  requireRank(context, x?.shape, 3);
  return [
    {
      type: typeOf(context),
      shape: x?.shape && grid?.shape && [...x.shape.slice(0, 2), ...grid.shape.slice(1, -1)],
    },
  ];
};

const affineGrid: ShapeRule = (context) => {
  const sizes = shapeFrom(context.inputs[1]);
  const shape = sizes && [sizes[0] ?? unknown, ...sizes.slice(2), sizes.length - 2];
  return [{ type: typeOf(context), shape }];
};

/** Operators that sample images on another grid. */
export const resizeRules: ShapeRules = {
  Resize: resize,
  Upsample: upsample,
  GridSample: gridSample,
  AffineGrid: affineGrid,
};
