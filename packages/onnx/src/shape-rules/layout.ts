import { rankMax } from '../defaults.ts';
import {
  addDimensions,
  broadcastShapes,
  ceilDivideDimension,
  divideDimensions,
  multiplyDimensions,
  quotientDimension,
  subtractDimensions,
  unifyDimensions,
  unknown,
} from '../dimension.ts';
import { type Dimension, intOf, intsOf } from '../model.ts';
import { spreadElements } from './elements.ts';
import {
  axisOf,
  integersBy,
  type KnownValue,
  numbersOf,
  refuse,
  requireRank,
  type ShapeContext,
  type ShapeRule,
  type ShapeRules,
  shapeFrom,
  smallCount,
  typeOf,
  unknownOfRank,
} from './rule.ts';

/** The one size that a reshape leaves open, when it follows from the others. */
function openSize(
  context: ShapeContext,
  before: readonly Dimension[] | undefined,
  others: readonly Dimension[],
): Dimension {
  if (!before) return unknown;
  const [whole, rest] = [multiplyDimensions(before), multiplyDimensions(others)];
  if (typeof whole === 'number' && typeof rest === 'number' && rest > 0 && whole % rest !== 0)
    refuse(context, `cannot reshape [${before}] to [${others}] and one more`);
  if (whole !== unknown) return quotientDimension(whole, rest);
  const shared = [...before];
  const remaining = others.filter((size) => {
    const index = size === unknown ? -1 : shared.indexOf(size);
    if (index >= 0) shared.splice(index, 1);
    return index < 0;
  });
  return quotientDimension(multiplyDimensions(shared), multiplyDimensions(remaining));
}

const reshape: ShapeRule = (context) => {
  const [x, shape] = context.inputs;
  const { node } = context;
  const type = typeOf(context);
  const attribute = shape ? undefined : intsOf(node, 'shape');
  const wanted = attribute ?? shapeFrom(shape);
  if (!wanted) return [{ type }];
  const copies = intOf(node, 'allowzero', 0) === 0;
  const sizes = wanted.map((size, axis) => {
    if (size !== 0 || !copies) return size;
    if (x?.shape && axis >= x.shape.length)
      refuse(context, `expected a dimension ${axis} to copy, got [${x.shape}]`);
    return x?.shape?.[axis] ?? unknown;
  });
  if (
    sizes.some((size) => typeof size === 'number' && size < -1) ||
    sizes.filter((size) => size === -1).length > 1
  )
    refuse(context, `expected sizes of at least 0 and at most one -1, got [${sizes}]`);
  const unknowns = sizes.filter((size) => size === unknown).length;
  const open = sizes.indexOf(-1) >= 0 ? sizes.indexOf(-1) : unknowns === 1 ? sizes.indexOf(unknown) : -1;
  const others = sizes.toSpliced(open, open < 0 ? 0 : 1);
  if (open >= 0) sizes[open] = openSize(context, x?.shape, others);
  const [before, after] = [x?.shape && multiplyDimensions(x.shape), multiplyDimensions(sizes)];
  if (typeof before === 'number' && typeof after === 'number' && before !== after)
    refuse(context, `cannot reshape [${x?.shape}] to [${sizes}]`);
  return [{ type, shape: sizes, elements: x?.elements }];
};

const flatten: ShapeRule = (context) => {
  const shape = context.inputs[0]?.shape;
  const type = typeOf(context);
  if (!shape) return [{ type }];
  const given = intOf(context.node, 'axis', 1);
  const axis = given < 0 ? given + shape.length : given;
  if (axis < 0 || axis > shape.length)
    refuse(context, `expected an axis of ${shape.length} dimensions, got ${given}`);
  return [{ type, shape: [multiplyDimensions(shape.slice(0, axis)), multiplyDimensions(shape.slice(axis))] }];
};

/** For each element after a permutation of the axes its place before. */
function permutedPlaces(shape: readonly number[], permutation: readonly number[]): readonly number[] {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  let places = [0];
  for (const axis of permutation)
    places = places.flatMap((place) =>
      Array.from({ length: shape[axis] ?? 0 }, (_, index) => place + index * (strides[axis] ?? 0)),
    );
  return places;
}

const transpose: ShapeRule = (context) => {
  const x = context.inputs[0];
  const type = typeOf(context);
  if (!x?.shape) return [{ type }];
  const { shape } = x;
  const permutation = intsOf(context.node, 'perm') ?? shape.map((_, axis) => shape.length - 1 - axis);
  const axes = new Set(permutation.map((axis) => axisOf(context, axis, shape.length)));
  if (axes.size !== shape.length || permutation.length !== shape.length)
    refuse(context, `expected a permutation of ${shape.length} axes, got [${permutation}]`);
  const places =
    x.elements && smallCount(shape) !== undefined
      ? permutedPlaces(shape as readonly number[], permutation)
      : undefined;
  return [
    {
      type,
      shape: permutation.map((axis) => shape[axis] ?? unknown),
      elements: places?.map((place) => x.elements?.[place] ?? unknown),
    },
  ];
};

/** Unknown dimensions, as many as a rank and the number of axes that are added (1) or taken away (−1). */
function unknownBeside(
  rank: number,
  axes: KnownValue | undefined,
  sign: 1 | -1,
): readonly Dimension[] | undefined {
  const result = rank + sign * Number(axes?.shape?.[0] ?? Number.NaN);
  return result >= 0 && result <= rankMax ? unknownOfRank(result) : undefined;
}

const squeeze: ShapeRule = (context) => {
  const x = context.inputs[0];
  const type = typeOf(context);
  if (!x?.shape) return [{ type }];
  const rank = x.shape.length;
  const given = integersBy(context, 1, 'axes');
  if (!given && (context.inputs[1] || x.shape.includes(unknown)))
    return [{ type, shape: unknownBeside(rank, context.inputs[1], -1) }];
  const axes = (given ?? x.shape.flatMap((size, axis) => (size === 1 ? [axis] : []))).map((axis) =>
    axisOf(context, axis, rank),
  );
  const wide = axes.find((axis) => typeof x.shape?.[axis] === 'number' && x.shape[axis] !== 1);
  if (wide !== undefined) refuse(context, `expected dimension ${wide} of [${x.shape}] to be 1`);
  return [{ type, shape: x.shape.filter((_, axis) => !axes.includes(axis)), elements: x.elements }];
};

const unsqueeze: ShapeRule = (context) => {
  const x = context.inputs[0];
  const axes = integersBy(context, 1, 'axes');
  const type = typeOf(context);
  if (!x?.shape) return [{ type }];
  if (!axes) return [{ type, shape: unknownBeside(x.shape.length, context.inputs[1], 1) }];
  const rank = x.shape.length + axes.length;
  const added = new Set(axes.map((axis) => axisOf(context, axis, rank)));
  if (added.size !== axes.length) refuse(context, `expected different axes, got [${axes}]`);
  let next = 0;
  const from = x.shape;
  const shape = Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : (from[next++] ?? unknown)));
  return [{ type, shape, elements: x.elements }];
};

const expand: ShapeRule = (context) => {
  const [x, shape] = context.inputs;
  const wanted = shapeFrom(shape);
  const result = x?.shape && wanted && broadcastShapes([x.shape, wanted], context.where);
  return [{ type: typeOf(context), shape: result, elements: spreadElements(x, result) }];
};

const tile: ShapeRule = (context) => {
  const [x, repeats] = context.inputs;
  const shape = x?.shape?.map((size, axis) =>
    multiplyDimensions([size, repeats?.elements?.[axis] ?? unknown]),
  );
  const count = smallCount(shape);
  const single = shape?.length === 1 && count !== undefined ? x?.elements : undefined;
  return [
    {
      type: typeOf(context),
      shape,
      elements:
        single && Array.from({ length: count ?? 0 }, (_, index) => single[index % single.length] ?? unknown),
    },
  ];
};

/** The axes that a list of amounts is for: an optional input, else all. */
function amountAxes(context: ShapeContext, index: number, rank: number): readonly number[] | undefined {
  const input = context.inputs[index];
  const axes = input ? numbersOf(input) : Array.from({ length: rank }, (_, axis) => axis);
  return axes?.map((axis) => axisOf(context, axis, rank));
}

const pad: ShapeRule = (context) => {
  const [x, pads] = context.inputs;
  const type = typeOf(context);
  if (!x?.shape) return [{ type }];
  const axes = amountAxes(context, 3, x.shape.length);
  const amounts = pads ? pads.elements : intsOf(context.node, 'pads');
  let shape: readonly Dimension[] = x.shape;
  if (!axes || !amounts) return [{ type, shape: shape.map(() => unknown) }];
  if (amounts.length !== 2 * axes.length)
    refuse(context, `expected ${2 * axes.length} amounts of padding, got ${amounts.length}`);
  axes.forEach((axis, index) => {
    const sum = addDimensions(amounts[index] ?? unknown, amounts[index + axes.length] ?? unknown);
    const size = addDimensions(shape[axis] ?? unknown, sum);
    if (typeof size === 'number' && size < 0) refuse(context, `cannot cut ${sum} off [${x.shape}]`);
    shape = shape.with(axis, size);
  });
  return [{ type, shape }];
};

const centerCropPad: ShapeRule = (context) => {
  const [x, shape] = context.inputs;
  const type = typeOf(context);
  if (!x?.shape) return [{ type }];
  const rank = x.shape.length;
  const axes = (intsOf(context.node, 'axes') ?? x.shape.map((_, axis) => axis)).map((axis) =>
    axisOf(context, axis, rank),
  );
  let result: readonly Dimension[] = x.shape;
  axes.forEach((axis, index) => {
    result = result.with(axis, shape?.elements?.[index] ?? unknown);
  });
  return [{ type, shape: result }];
};

const depthToSpace: ShapeRule = (context) => {
  const shape = context.inputs[0]?.shape;
  const type = typeOf(context);
  if (!shape) return [{ type }];
  requireRank(context, shape, 4, 4);
  const block = intOf(context.node, 'blocksize', 1);
  const [batch = unknown, channels = unknown, height = unknown, width = unknown] = shape;
  const [deep, wide] = [quotientDimension, (a: Dimension, b: Dimension) => multiplyDimensions([a, b])];
  return context.node.operator === 'DepthToSpace'
    ? [{ type, shape: [batch, deep(channels, block * block), wide(height, block), wide(width, block)] }]
    : [{ type, shape: [batch, wide(channels, block * block), deep(height, block), deep(width, block)] }];
};

const concat: ShapeRule = (context) => {
  const { inputs, node, where } = context;
  const type = typeOf(context);
  const shapes = inputs.flatMap((input) => (input?.shape ? [input.shape] : []));
  const [first] = shapes;
  if (!first || shapes.length < inputs.length) return [{ type }];
  const axis = axisOf(context, intOf(node, 'axis', 0), first.length);
  let shape: readonly Dimension[] = first;
  for (const other of shapes.slice(1)) {
    if (other.length !== first.length) refuse(context, `expected equal ranks, got [${first}] and [${other}]`);
    shape = shape.map((size, index) =>
      index === axis
        ? addDimensions(size, other[index] ?? unknown)
        : unifyDimensions(size, other[index] ?? unknown, where),
    );
  }
  return [{ type, shape, elements: concatElements(inputs, axis) }];
};

/** Elements of lists joined along their first axis; a list of known length and unknown elements gives unknown ones. */
function concatElements(
  inputs: readonly (KnownValue | undefined)[],
  axis: number,
): readonly Dimension[] | undefined {
  if (axis !== 0 || !inputs.some((input) => input?.elements)) return undefined;
  const lists = inputs.map((input) => {
    const count = smallCount(input?.shape);
    return (
      input?.elements ?? (count === undefined ? undefined : Array.from({ length: count }, () => unknown))
    );
  });
  return lists.every((list) => list !== undefined) ? lists.flat() : undefined;
}

const split: ShapeRule = (context) => {
  const { inputs, node } = context;
  const shape = inputs[0]?.shape;
  const type = typeOf(context);
  if (!shape) return node.outputs.map(() => ({ type }));
  const axis = axisOf(context, intOf(node, 'axis', 0), shape.length);
  const whole = shape[axis] ?? unknown;
  const count = node.outputs.length;
  const sizes = inputs[1] ? inputs[1].elements : intsOf(node, 'split');
  const total = sizes?.reduce<Dimension>((sum, size) => addDimensions(sum, size), 0);
  if (typeof total === 'number' && typeof whole === 'number' && total !== whole)
    refuse(context, `expected sizes that sum up to ${whole}, got [${sizes}]`);
  const exact = divideDimensions(whole, count);
  const each = exact === unknown ? ceilDivideDimension(whole, count) : exact;
  const last = subtractDimensions(whole, multiplyDimensions([each, count - 1]));
  let from = 0;
  return node.outputs.map((_, index) => {
    const given = sizes ?? (inputs[1] ? [] : undefined);
    const size = given ? (given[index] ?? unknown) : index === count - 1 ? last : each;
    const start = from;
    from += typeof size === 'number' ? size : Number.NaN;
    const elements =
      shape.length === 1 && Number.isFinite(from) ? inputs[0]?.elements?.slice(start, from) : undefined;
    return { type, shape: shape.with(axis, size), elements };
  });
};

const columnsToImage: ShapeRule = (context) => {
  const [x, image, block] = context.inputs;
  const [batch = unknown, columns = unknown] = x?.shape ?? [];
  const sizes = shapeFrom(image);
  const channels = quotientDimension(columns, multiplyDimensions(shapeFrom(block) ?? [unknown]));
  return [{ type: typeOf(context), shape: x?.shape && sizes && [batch, channels, ...sizes] }];
};

/** Operators that move, join, cut, repeat or pad elements. */
export const layoutRules: ShapeRules = {
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Expand: expand,
  Tile: tile,
  Pad: pad,
  CenterCropPad: centerCropPad,
  DepthToSpace: depthToSpace,
  SpaceToDepth: depthToSpace,
  Concat: concat,
  Split: split,
  Col2Im: columnsToImage,
};
