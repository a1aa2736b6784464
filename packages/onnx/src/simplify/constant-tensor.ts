import { foldedElementsMax, rankMax } from '../defaults.ts';
import type { ElementType, Tensor } from '../model.ts';
import { countOf, elementFormats } from '../tensor-data.ts';

/** One value of a tensor: a bigint for 64-bit integers. */
export type Element = number | bigint;

/** Whether the type's values are bigints in JavaScript. */
export const isWide = (type: ElementType): boolean => type === 'int64' || type === 'uint64';

/** Whether the type holds integers (not truth values). */
export const isInteger = (type: ElementType): boolean => type.startsWith('int') || type.startsWith('uint');

/** Whether the type holds real numbers, in whatever precision. */
export const isReal = (type: ElementType): boolean => !isInteger(type) && type !== 'bool';

/** Whether a shape may be computed ahead. */
export const fits = (shape: readonly number[]): boolean =>
  shape.length <= rankMax &&
  shape.every((size) => Number.isSafeInteger(size) && size >= 0) &&
  countOf(shape) <= foldedElementsMax;

/** A tensor whose elements are given one by one; nothing when it is too large or an element is undefined. */
export function build(
  type: ElementType,
  shape: readonly number[],
  element: (index: number) => Element | undefined,
): Tensor | undefined {
  if (!fits(shape)) return undefined;
  const count = countOf(shape);
  const format = elementFormats[type];
  const data = format.create(new ArrayBuffer(count * format.bytes)) as { [index: number]: Element };
  for (let index = 0; index < count; index++) {
    const value = element(index);
    if (value === undefined) return undefined;
    data[index] = value;
  }
  return { name: '', type, shape, data: data as unknown as Tensor['data'] };
}

/** A tensor of another's elements by their indices. */
export const pick = (
  from: Tensor,
  shape: readonly number[],
  source: (index: number) => number,
): Tensor | undefined => build(from.type, shape, (index) => from.data[source(index)]);

/** The elements as numbers; integers beyond 2^53 lose their last digits. */
export const numbersOf = (tensor: Tensor): readonly number[] =>
  Array.from(tensor.data as ArrayLike<Element>, Number);

/** How far apart neighbours along each axis lie. */
export function stridesOf(shape: readonly number[]): readonly number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--)
    strides[axis] = (strides[axis + 1] as number) * (shape[axis + 1] as number);
  return strides;
}

/** The coordinates of the index-th element of a shape. */
export function coordinatesOf(index: number, shape: readonly number[]): number[] {
  const coordinates = new Array<number>(shape.length);
  let rest = index;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] as number;
    coordinates[axis] = rest % size;
    rest = Math.floor(rest / size);
  }
  return coordinates;
}

/** The index of an element by its coordinates. */
export const indexOf = (coordinates: readonly number[], strides: readonly number[]): number =>
  coordinates.reduce((sum, coordinate, axis) => sum + coordinate * (strides[axis] as number), 0);

/** An axis counted from the front; nothing when it does not exist. */
export function axisOf(axis: number, rank: number): number | undefined {
  const positive = axis < 0 ? axis + rank : axis;
  return Number.isInteger(positive) && positive >= 0 && positive < rank ? positive : undefined;
}

/** Axes counted from the front; nothing when one does not exist or comes twice. */
export function axesOf(axes: readonly number[], rank: number): readonly number[] | undefined {
  const positive = axes.map((axis) => axisOf(axis, rank));
  return new Set(positive).size === axes.length && !positive.includes(undefined)
    ? (positive as number[])
    : undefined;
}

/** The broadcast shape of constants; nothing when they do not fit together. */
export function broadcast(shapes: readonly (readonly number[])[]): readonly number[] | undefined {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result: number[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    const size = sizes.find((each) => each !== 1) ?? 1;
    if (sizes.some((each) => each !== 1 && each !== size)) return undefined;
    result.push(size);
  }
  return result;
}

/** Maps an index of a broadcast shape to one of a tensor's elements. */
export function broadcastIndex(shape: readonly number[], to: readonly number[]): (index: number) => number {
  const strides = stridesOf(shape);
  const offset = to.length - shape.length;
  return (index) => {
    const coordinates = coordinatesOf(index, to);
    let source = 0;
    shape.forEach((size, axis) => {
      if (size !== 1) source += (coordinates[axis + offset] as number) * (strides[axis] as number);
    });
    return source;
  };
}
