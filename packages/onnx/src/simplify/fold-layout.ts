/** Constant forms of operators that move elements and never change them. */
import { intOf, intsOf, type Node, type Tensor } from '../model.ts';
import { countOf } from '../tensor-data.ts';
import {
  axesOf,
  axisOf,
  broadcast,
  broadcastIndex,
  build,
  coordinatesOf,
  indexOf,
  numbersOf,
  pick,
  stridesOf,
} from './constant-tensor.ts';
import type { Fold, Folded } from './fold.ts';

const reshaped = (tensor: Tensor, shape: readonly number[]): Folded =>
  countOf(shape) === tensor.data.length ? [pick(tensor, shape, (index) => index)] : undefined;

const reshape: Fold = (node, [data, target]) => {
  if (!data || !target) return undefined;
  const keepsZero = intOf(node, 'allowzero', 0) === 1;
  const sizes = numbersOf(target).map((size, axis) =>
    size === 0 && !keepsZero ? (data.shape[axis] ?? -2) : size,
  );
  if (sizes.filter((size) => size === -1).length > 1) return undefined;
  const known = countOf(sizes.filter((size) => size !== -1));
  const shape = sizes.map((size) => (size === -1 ? data.data.length / known : size));
  return reshaped(data, shape);
};

const flatten: Fold = (node, [data]) => {
  if (!data) return undefined;
  const axis = intOf(node, 'axis', 1);
  const first = axis < 0 ? axis + data.shape.length : axis;
  return reshaped(data, [countOf(data.shape.slice(0, first)), countOf(data.shape.slice(first))]);
};

const squeeze: Fold = (_, [data, axes]) => {
  if (!data) return undefined;
  const removed = axes ? axesOf(numbersOf(axes), data.shape.length) : undefined;
  if (axes && !removed) return undefined;
  return reshaped(
    data,
    data.shape.filter((size, axis) => (removed ? !removed.includes(axis) : size !== 1)),
  );
};

const unsqueeze: Fold = (_, [data, axes]) => {
  if (!data || !axes) return undefined;
  const rank = data.shape.length + axes.data.length;
  const added = axesOf(numbersOf(axes), rank);
  if (!added) return undefined;
  const sizes = [...data.shape];
  return reshaped(
    data,
    Array.from({ length: rank }, (__, axis) => (added.includes(axis) ? 1 : (sizes.shift() as number))),
  );
};

const transpose: Fold = (node, [data]) => {
  if (!data) return undefined;
  const order = intsOf(node, 'perm') ?? data.shape.map((_, axis) => data.shape.length - 1 - axis);
  if (order.length !== data.shape.length || !axesOf(order, data.shape.length)) return undefined;
  const shape = order.map((axis) => data.shape[axis] as number);
  const strides = stridesOf(data.shape);
  const moved = order.map((axis) => strides[axis] as number);
  return [pick(data, shape, (index) => indexOf(coordinatesOf(index, shape), moved))];
};

const concat: Fold = (node, inputs) => {
  const tensors = inputs.filter((input) => input !== undefined);
  const [first] = tensors;
  const axis = first && axisOf(intOf(node, 'axis', 0), first.shape.length);
  if (!first || axis === undefined || tensors.length !== inputs.length) return undefined;
  const fit = tensors.every(
    ({ shape, type }) =>
      type === first.type &&
      shape.length === first.shape.length &&
      shape.every((size, at) => at === axis || size === first.shape[at]),
  );
  if (!fit) return undefined;
  const starts: number[] = [];
  let total = 0;
  for (const { shape } of tensors) {
    starts.push(total);
    total += shape[axis] as number;
  }
  const shape = first.shape.with(axis, total);
  const strides = tensors.map((tensor) => stridesOf(tensor.shape));
  return [
    build(first.type, shape, (index) => {
      const coordinates = coordinatesOf(index, shape);
      const position = coordinates[axis] as number;
      const at = starts.findLastIndex(
        (start, which) => start <= position && (tensors[which]?.shape[axis] as number) > 0,
      );
      coordinates[axis] = position - (starts[at] as number);
      return tensors[at]?.data[indexOf(coordinates, strides[at] as number[])];
    }),
  ];
};

/** Start, count and step along one axis, as NumPy cuts it. */
function cut(size: number, start: number, end: number, step: number): readonly [number, number, number] {
  const from = start < 0 ? start + size : start;
  const to = end < 0 ? end + size : end;
  const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);
  const first = step > 0 ? clamp(from, 0, size) : clamp(from, 0, size - 1);
  const last = step > 0 ? clamp(to, 0, size) : clamp(to, -1, size - 1);
  return [first, Math.max(0, Math.ceil((last - first) / step)), step];
}

const slice: Fold = (_, [data, starts, ends, axesInput, stepsInput]) => {
  if (!data || !starts || !ends) return undefined;
  const from = numbersOf(starts);
  const to = numbersOf(ends);
  const axes = axesOf(axesInput ? numbersOf(axesInput) : from.map((__, axis) => axis), data.shape.length);
  const steps = stepsInput ? numbersOf(stepsInput) : from.map(() => 1);
  if (!axes || steps.includes(0) || to.length !== from.length || axes.length !== from.length)
    return undefined;
  const cuts = data.shape.map((size, axis) => {
    const at = axes.indexOf(axis);
    return at < 0
      ? ([0, size, 1] as const)
      : cut(size, from[at] as number, to[at] as number, steps[at] as number);
  });
  const shape = cuts.map(([, count]) => count);
  const strides = stridesOf(data.shape);
  return [
    pick(data, shape, (index) =>
      indexOf(
        coordinatesOf(index, shape).map((coordinate, axis) => {
          const [first, , step] = cuts[axis] as readonly [number, number, number];
          return first + coordinate * step;
        }),
        strides,
      ),
    ),
  ];
};

const gather: Fold = (node, [data, indices]) => {
  if (!data || !indices) return undefined;
  const axis = axisOf(intOf(node, 'axis', 0), data.shape.length);
  if (axis === undefined) return undefined;
  const size = data.shape[axis] as number;
  const chosen = numbersOf(indices).map((index) => (index < 0 ? index + size : index));
  if (chosen.some((index) => index < 0 || index >= size)) return undefined;
  const inner = countOf(data.shape.slice(axis + 1));
  const shape = [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)];
  return [
    pick(data, shape, (index) => {
      const outer = Math.floor(index / (inner * chosen.length));
      const which = Math.floor(index / inner) % chosen.length;
      return (outer * size + (chosen[which] as number)) * inner + (index % inner);
    }),
  ];
};

const expand: Fold = (_, [data, target]) => {
  const shape = data && target && broadcast([data.shape, numbersOf(target)]);
  return shape && [pick(data, shape, broadcastIndex(data.shape, shape))];
};

const tile: Fold = (_, [data, repeats]) => {
  if (!data || !repeats || repeats.data.length !== data.shape.length) return undefined;
  const counts = numbersOf(repeats);
  const shape = data.shape.map((size, axis) => size * (counts[axis] as number));
  const strides = stridesOf(data.shape);
  return [
    pick(data, shape, (index) =>
      indexOf(
        coordinatesOf(index, shape).map((coordinate, axis) => coordinate % (data.shape[axis] as number)),
        strides,
      ),
    ),
  ];
};

/** How long each part of a split is. */
function partsOf(node: Node, size: number, sizes: Tensor | undefined): readonly number[] {
  if (sizes) return numbersOf(sizes);
  const count = intOf(node, 'num_outputs', node.outputs.length);
  const whole = Math.ceil(size / count);
  return Array.from({ length: count }, (_, part) => Math.min(whole, size - whole * part));
}

const split: Fold = (node, [data, sizes]) => {
  const axis = data && axisOf(intOf(node, 'axis', 0), data.shape.length);
  if (!data || axis === undefined) return undefined;
  const size = data.shape[axis] as number;
  const parts = partsOf(node, size, sizes);
  const total = parts.reduce((sum, part) => sum + part, 0);
  if (total !== size || parts.length !== node.outputs.length) return undefined;
  const strides = stridesOf(data.shape);
  let start = 0;
  return parts.map((part) => {
    const shape = data.shape.with(axis, part);
    const offset = start * (strides[axis] as number);
    start += part;
    return pick(data, shape, (index) => offset + indexOf(coordinatesOf(index, shape), strides));
  });
};

const triangle: Fold = (node, [data, offset]) => {
  if (!data || data.shape.length < 2 || data.type === 'bool') return undefined;
  const diagonal = offset ? Number(offset.data[0]) : 0;
  const upper = intOf(node, 'upper', 1) === 1;
  const zero = typeof data.data[0] === 'bigint' ? 0n : 0;
  return [
    build(data.type, data.shape, (index) => {
      const [row = 0, column = 0] = coordinatesOf(index, data.shape).slice(-2);
      const distance = column - row;
      return (upper ? distance >= diagonal : distance <= diagonal) ? data.data[index] : zero;
    }),
  ];
};

/** Operators that move elements. */
export const layoutFolds: Readonly<Record<string, Fold>> = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Concat: concat,
  Slice: slice,
  Gather: gather,
  Expand: expand,
  Tile: tile,
  Split: split,
  Trilu: triangle,
};
