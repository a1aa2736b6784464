/**
 * Resizing along one axis as a matrix: row o holds the weights by which the inputs add up to output o. Coordinates are
 * computed in single precision, step by step as onnxruntime does, because nearest neighbours hang on the last bit.
 */
import type { Dimension } from '@murmuration/onnx';
import { interpolationElementsMax, repetitionsMax } from './defaults.ts';

/** How an axis is resized. */
export interface Interpolation {
  readonly inputs: Dimension;
  readonly outputs: Dimension;
  /** Outputs per input, as the model says; absent where that is known only when the graph runs. */
  readonly scale: number | undefined;
  readonly mode: string;
  readonly coordinates: string;
  /** How halves and fractions are rounded in mode `nearest`. */
  readonly rounding: string;
  /** The `a` of the cubic filter. */
  readonly cubic: number;
  /** Whether inputs beyond the border have no weight, instead of standing for the border. */
  readonly excludesOutside: boolean;
  /** Whether the filter widens when the axis shrinks. */
  readonly antialias: boolean;
  /** Where the resized part begins and ends, from 0 to 1, for coordinates `tf_crop_and_resize`. */
  readonly crop: readonly [number, number];
}

/** An axis of which all is known. */
export interface WholeInterpolation extends Interpolation {
  readonly inputs: number;
  readonly outputs: number;
  readonly scale: number;
}

const single = Math.fround;

/** Coordinates that cut a part out; what lies outside of the input is a constant, without weights. */
export const cropping = 'tf_crop_and_resize';

type Coordinate = (position: number, axis: WholeInterpolation) => number;

const halfPixel: Coordinate = (position, { scale }) => single(single(single(position + 0.5) / scale) - 0.5);

/** Where an output lies among the inputs, by the names of the operator's attribute. */
const coordinates: Readonly<Record<string, Coordinate>> = {
  half_pixel: halfPixel,
  pytorch_half_pixel: (position, axis) => (axis.outputs > 1 ? halfPixel(position, axis) : 0),
  half_pixel_symmetric(position, axis) {
    const adjustment = single(axis.outputs / single(axis.scale * axis.inputs));
    const offset = single(single(axis.inputs / 2) * single(1 - adjustment));
    return single(offset + halfPixel(position, axis));
  },
  align_corners: (position, { inputs, outputs }) =>
    outputs === 1 ? 0 : single(single(position * single(inputs - 1)) / single(outputs - 1)),
  asymmetric: (position, { scale }) => single(position / scale),
  [cropping](position, { inputs, outputs, crop: [start, end] }) {
    const last = single(inputs - 1);
    if (outputs === 1) return single(single(0.5 * single(start + end)) * last);
    const step = single(single(single(end - start) * last) / single(outputs - 1));
    return single(single(start * last) + single(position * step));
  },
};

/** Whole positions, by the names of the operator's attribute; halves differ. */
const roundings: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

type Filter = (distance: number) => number;

const triangle: Filter = (distance) => Math.max(0, 1 - Math.abs(distance));

const cubicFilter =
  (a: number): Filter =>
  (signed) => {
    const distance = Math.abs(signed);
    if (distance < 1) return ((a + 2) * distance - (a + 3)) * distance * distance + 1;
    if (distance < 2) return (((distance - 5) * distance + 8) * distance - 4) * a;
    return 0;
  };

/** Adds the weights of inputs around a coordinate under a filter that reaches `support` inputs to either side. */
function addFiltered(
  weights: Float64Array,
  axis: WholeInterpolation,
  center: number,
  filter: Filter,
  support: number,
): void {
  const { inputs, excludesOutside } = axis;
  const stretch = axis.antialias && axis.scale < 1 ? axis.scale : 1;
  const first = Math.ceil(center - support / stretch);
  const last = Math.floor(center + support / stretch);
  let total = 0;
  for (let index = first; index <= last; index++) {
    const outside = index < 0 || index >= inputs;
    if (outside && excludesOutside) continue;
    const weight = filter((index - center) * stretch);
    const place = Math.min(Math.max(index, 0), inputs - 1);
    weights[place] = (weights[place] as number) + weight;
    total += weight;
  }
  const normalizes = excludesOutside || stretch !== 1;
  if (!normalizes || total === 0) return;
  for (let index = 0; index < inputs; index++) weights[index] = (weights[index] as number) / total;
}

/** Adds the weights of one output to a row of zeros. */
function addRow(weights: Float64Array, axis: WholeInterpolation, position: number): void {
  const { inputs, mode } = axis;
  const locate = coordinates[axis.coordinates] as Coordinate;
  const cuts = axis.coordinates === cropping;
  const found = axis.scale === 1 && !cuts ? position : locate(position, axis);
  if (cuts && (found < 0 || found > inputs - 1)) return;
  const clamp = (x: number): number => Math.min(Math.max(x, 0), inputs - 1);
  if (mode === 'nearest') {
    weights[clamp((roundings[axis.rounding] as (x: number) => number)(found))] = 1;
  } else if (mode === 'linear')
    addFiltered(weights, axis, axis.antialias ? found : clamp(found), triangle, 1);
  else addFiltered(weights, axis, found, cubicFilter(axis.cubic), 2);
}

/** Whether this file knows how the axis is resized. */
export const isKnownInterpolation = ({ mode, coordinates: name, rounding }: Interpolation): boolean =>
  ['nearest', 'linear', 'cubic'].includes(mode) &&
  Object.hasOwn(coordinates, name) &&
  Object.hasOwn(roundings, rounding);

/** The axis, if its matrix can be a constant: sizes are known, and not too large. */
export function wholeAxis<Axis extends Interpolation>(axis: Axis): (Axis & WholeInterpolation) | undefined {
  const { inputs, outputs, scale = 0, antialias } = axis;
  if (typeof inputs !== 'number' || typeof outputs !== 'number' || !(scale > 0)) return undefined;
  const reach = Math.max(1, inputs, antialias ? 1 / scale : 1);
  return outputs * reach <= interpolationElementsMax ? { ...axis, inputs, outputs, scale } : undefined;
}

/** Coordinates that do not depend on sizes where the scale is a whole number. */
const freeOfSizes: ReadonlySet<string> = new Set([
  ...['half_pixel', 'pytorch_half_pixel', 'half_pixel_symmetric', 'asymmetric'],
]);

/** Inputs of an axis that stands for one of unknown size. */
const sampleInputs = 8;

/** How often each input is simply repeated, if that is a whole number, whatever the sizes are. */
export function repetitions(axis: Interpolation): number | undefined {
  const { scale = 0, coordinates: name } = axis;
  const isFree = freeOfSizes.has(name) && Number.isInteger(scale) && scale > 1 && scale <= repetitionsMax;
  const sample = { ...axis, inputs: sampleInputs, outputs: sampleInputs * scale };
  const whole = wholeAxis(axis) ?? (isFree ? wholeAxis(sample) : undefined);
  if (!whole) return undefined;
  const times = whole.outputs / whole.inputs;
  const repeats =
    Number.isInteger(times) &&
    times > 0 &&
    interpolationMatrix(whole).every((weight, place) => {
      const output = Math.floor(place / whole.inputs);
      return weight === (Math.floor(output / times) === place % whole.inputs ? 1 : 0);
    });
  return repeats ? times : undefined;
}

/** The weights [outputs, inputs] of a known interpolation, row-major. */
export function interpolationMatrix(axis: WholeInterpolation): Float64Array {
  const { inputs, outputs } = axis;
  const matrix = new Float64Array(outputs * inputs);
  for (let position = 0; position < outputs; position++)
    addRow(matrix.subarray(position * inputs, (position + 1) * inputs), axis, position);
  return matrix;
}
