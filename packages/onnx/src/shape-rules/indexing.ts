import {
  addDimensions,
  ceilDivideDimension,
  isAtLeast,
  multiplyDimensions,
  subtractDimensions,
  unifyDimensions,
  unknown,
} from '../dimension.ts';
import { type Dimension, intOf, intsOf } from '../model.ts';
import {
  axisOf,
  type KnownValue,
  numbersOf,
  refuse,
  requireRank,
  type ShapeContext,
  type ShapeRule,
  type ShapeRules,
  smallCount,
  typeOf,
  unknownOfRank,
} from './rule.ts';

/** From here on an end means "to the end": exporters write the largest 32-bit or 64-bit integer. */
const openEnd = 2 ** 31 - 1;

const isNegative = (bound: Dimension): boolean =>
  typeof bound === 'number'
    ? bound < 0
    : !isAtLeast(bound, 0) && isAtLeast(multiplyDimensions([-1, bound]), 0);

function numericLength(size: number, start: number, end: number, step: number): number {
  const clamp = (value: number, low: number, high: number) =>
    Math.min(Math.max(value < 0 ? value + size : value, low), high);
  const length =
    step > 0
      ? Math.ceil((clamp(end, 0, size) - clamp(start, 0, size)) / step)
      : Math.ceil((clamp(end, -1, size - 1) - clamp(start, 0, size - 1)) / step);
  return Math.max(0, length);
}

/** Length of `start:end:step` along one dimension; bounds that are symbols, or of a symbol, are taken to lie inside. */
function sliceLength(size: Dimension, start: Dimension, end: Dimension, step: number): Dimension {
  if (typeof size === 'number' && typeof start === 'number' && typeof end === 'number')
    return numericLength(size, start, end, step);
  if (step < 0) {
    const whole =
      (start === -1 || (typeof start === 'number' && start >= openEnd)) && typeof end === 'number';
    return whole && end <= -openEnd ? ceilDivideDimension(size, -step) : unknown;
  }
  const place = (bound: Dimension): Dimension => (isNegative(bound) ? addDimensions(size, bound) : bound);
  const from = place(start);
  const open = typeof end === 'number' && end >= openEnd;
  const to = open ? size : place(end);
  const length = subtractDimensions(to, from);
  const inside = open || isNegative(end) || typeof end === 'string' || isAtLeast(size, to) || length === 1;
  if (!inside || (typeof length === 'number' && length < 0)) return unknown;
  return step === 1 ? length : ceilDivideDimension(length, step);
}

/** The elements that a slice of a list keeps. */
function sliceElements(
  elements: readonly Dimension[],
  start: Dimension,
  end: Dimension,
  step: number,
): readonly Dimension[] | undefined {
  if (typeof start !== 'number' || typeof end !== 'number') return undefined;
  const size = elements.length;
  const first = start < 0 ? start + size : start;
  const from = step > 0 ? Math.max(0, first) : Math.min(first, size - 1);
  return Array.from(
    { length: numericLength(size, start, end, step) },
    (_, index) => elements[from + index * step] ?? unknown,
  );
}

/** Elements of a tensor of any rank, cut along its first axis: rows stay together. */
function sliceRows(
  value: KnownValue,
  start: Dimension,
  end: Dimension,
  step: number,
): readonly Dimension[] | undefined {
  const { elements, shape } = value;
  const rows = shape?.[0];
  if (!elements || typeof rows !== 'number' || rows === 0 || smallCount(shape) === undefined)
    return undefined;
  const width = elements.length / rows;
  const chosen = sliceElements(
    Array.from({ length: rows }, (_, row) => row),
    start,
    end,
    step,
  );
  return chosen?.flatMap((row) => elements.slice(Number(row) * width, (Number(row) + 1) * width));
}

interface Bounds {
  readonly starts: readonly Dimension[];
  readonly ends: readonly Dimension[];
  readonly axes: readonly number[];
  readonly steps: readonly number[];
}

/** A slice's bounds by inputs (newer operator sets) or by attributes (older ones). */
function boundsOf({ inputs, node }: ShapeContext): Bounds | undefined {
  const [, startsInput, endsInput, axesInput, stepsInput] = inputs;
  const starts = startsInput ? startsInput.elements : intsOf(node, 'starts');
  const ends = endsInput ? endsInput.elements : intsOf(node, 'ends');
  if (!starts || !ends) return undefined;
  const axes = axesInput ? numbersOf(axesInput) : (intsOf(node, 'axes') ?? starts.map((_, axis) => axis));
  const steps = stepsInput ? numbersOf(stepsInput) : starts.map(() => 1);
  return axes && steps && { starts, ends, axes, steps };
}

const slice: ShapeRule = (context) => {
  const x = context.inputs[0];
  const type = typeOf(context);
  if (!x?.shape) return [{ type }];
  const rank = x.shape.length;
  const bounds = boundsOf(context);
  if (!bounds) {
    const axes = numbersOf(context.inputs[3])?.map((axis) => axisOf(context, axis, rank));
    return [
      {
        type,
        shape: axes
          ? x.shape.map((size, axis) => (axes.includes(axis) ? unknown : size))
          : unknownOfRank(rank),
      },
    ];
  }
  let result: KnownValue = x;
  bounds.axes.forEach((given, index) => {
    const axis = axisOf(context, given, rank);
    const [start, end] = [bounds.starts[index] ?? unknown, bounds.ends[index] ?? unknown];
    const step = bounds.steps[index] ?? 1;
    if (step === 0) refuse(context, 'expected steps other than 0');
    const size = sliceLength(result.shape?.[axis] ?? unknown, start, end, step);
    result = {
      type,
      shape: result.shape?.with(axis, size),
      elements: axis === 0 ? sliceRows(result, start, end, step) : undefined,
    };
  });
  return [result];
};

const gather: ShapeRule = (context) => {
  const [x, indices] = context.inputs;
  const type = typeOf(context);
  if (!x?.shape || !indices?.shape) return [{ type }];
  const axis = axisOf(context, intOf(context.node, 'axis', 0), x.shape.length);
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const elements = x.shape.length === 1 ? x.elements : undefined;
  return [
    { type, shape, elements: elements && numbersOf(indices)?.map((index) => elements.at(index) ?? unknown) },
  ];
};

const likeIndices: ShapeRule = (context) => [{ type: typeOf(context), shape: context.inputs[1]?.shape }];

const gatherND: ShapeRule = (context) => {
  const [x, indices] = context.inputs;
  const depth = indices?.shape?.at(-1);
  if (!x?.shape || !indices?.shape || typeof depth !== 'number') return [{ type: typeOf(context) }];
  const batch = intOf(context.node, 'batch_dims', 0);
  if (batch < 0 || depth < 1 || batch + depth > x.shape.length)
    refuse(context, `expected indices into [${x.shape}], got [${indices.shape}] after ${batch} dimensions`);
  return [{ type: typeOf(context), shape: [...indices.shape.slice(0, -1), ...x.shape.slice(batch + depth)] }];
};

const scatter: ShapeRule = (context) => {
  const [x, indices, updates] = context.inputs;
  if (context.node.operator !== 'ScatterND' && indices?.shape && updates?.shape)
    indices.shape.forEach((size, axis) => {
      unifyDimensions(size, updates.shape?.[axis] ?? unknown, context.where);
    });
  return [{ type: typeOf(context), shape: x?.shape }];
};

const topK: ShapeRule = (context) => {
  const [x, count] = context.inputs;
  const type = typeOf(context);
  if (!x?.shape) return [{ type }, { type: 'int64' }];
  const axis = axisOf(context, intOf(context.node, 'axis', -1), x.shape.length);
  const kept = count ? (count.elements?.[0] ?? unknown) : intOf(context.node, 'k', 1);
  const shape = x.shape.with(axis, kept);
  return [
    { type, shape },
    { type: 'int64', shape },
  ];
};

const oneHot: ShapeRule = (context) => {
  const [indices, depth, values] = context.inputs;
  const type = values?.type ?? 'float32';
  if (!indices?.shape) return [{ type }];
  const rank = indices.shape.length + 1;
  const axis = axisOf(context, intOf(context.node, 'axis', -1), rank);
  return [{ type, shape: indices.shape.toSpliced(axis, 0, depth?.elements?.[0] ?? unknown) }];
};

const compress: ShapeRule = (context) => {
  const x = context.inputs[0];
  const type = typeOf(context);
  const { axis } = context.node.attributes;
  if (axis?.kind !== 'int') return [{ type, shape: [unknown] }];
  return [{ type, shape: x?.shape?.with(axisOf(context, axis.value, x.shape.length), unknown) }];
};

const nonZero: ShapeRule = ({ inputs }) => [
  { type: 'int64', shape: [inputs[0]?.shape ? Math.max(1, inputs[0].shape.length) : unknown, unknown] },
];

const unique: ShapeRule = (context) => {
  const x = context.inputs[0];
  const { axis } = context.node.attributes;
  const shape =
    axis?.kind === 'int' ? x?.shape?.with(axisOf(context, axis.value, x.shape.length), unknown) : [unknown];
  const places = { type: 'int64', shape: [unknown] } as const;
  return [{ type: typeOf(context), shape }, places, places, places];
};

const nonMaxSuppression: ShapeRule = () => [{ type: 'int64', shape: [unknown, 3] }];

const roiRows =
  (height: string, width: string): ShapeRule =>
  (context) => {
    const [x, rois] = context.inputs;
    const pooled = intsOf(context.node, 'pooled_shape');
    requireRank(context, x?.shape, 4, 4);
    return [
      {
        type: typeOf(context),
        shape: [
          rois?.shape?.[0] ?? unknown,
          x?.shape?.[1] ?? unknown,
          pooled?.[0] ?? intOf(context.node, height, 1),
          pooled?.[1] ?? intOf(context.node, width, 1),
        ],
      },
    ];
  };

/** Operators that choose or place elements by index. */
export const indexingRules: ShapeRules = {
  Slice: slice,
  Gather: gather,
  GatherElements: likeIndices,
  GatherND: gatherND,
  Scatter: scatter,
  ScatterElements: scatter,
  ScatterND: scatter,
  TensorScatter: scatter,
  TopK: topK,
  OneHot: oneHot,
  Compress: compress,
  NonZero: nonZero,
  Unique: unique,
  NonMaxSuppression: nonMaxSuppression,
  RoiAlign: roiRows('output_height', 'output_width'),
  MaxRoiPool: roiRows('output_height', 'output_width'),
};
