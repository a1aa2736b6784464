import { rankMax } from '../defaults.ts';
import {
  addDimensions,
  broadcastShapes,
  divideDimensions,
  multiplyDimensions,
  unknown,
} from '../dimension.ts';
import { OnnxError } from '../errors.ts';
import type { KnownValue, ShapeContext, ShapeRule } from '../infer-shapes.ts';
import { type Dimension, type ElementType, intOf, intsOf } from '../model.ts';

const typeOf = ({ inputs }: ShapeContext): ElementType => inputs[0]?.type ?? 'float32';

/** An axis of a value, counted from the front. Throws `OnnxError` for one that it does not have. */
function axisOf({ where }: ShapeContext, axis: number, rank: number): number {
  const index = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(index) || index < 0 || index >= rank)
    throw new OnnxError(`${where}: expected an axis of ${rank} dimensions, got ${axis}`, {
      code: 'invalid-model',
      axis,
      rank,
    });
  return index;
}

/** Known elements of an input as numbers. */
function numbersOf(value: KnownValue | undefined): readonly number[] | undefined {
  const { elements } = value ?? {};
  return elements?.every((element) => typeof element === 'number')
    ? (elements as readonly number[])
    : undefined;
}

const unknownOfRank = (rank: number): readonly Dimension[] => Array.from({ length: rank }, () => unknown);

/** A shape given by an input's elements, or as many unknown dimensions as it has elements. */
function shapeFromInput(value: KnownValue | undefined): readonly Dimension[] | undefined {
  if (value?.elements) return value.elements;
  const rank = value?.shape?.[0];
  return typeof rank === 'number' && rank <= rankMax ? unknownOfRank(rank) : undefined;
}

const reshape: ShapeRule = (context) => {
  const [x, shape] = context.inputs;
  const wanted = shapeFromInput(shape);
  const type = typeOf(context);
  if (!wanted) return [{ type }];
  const copied = wanted.map((dimension, axis) =>
    dimension === 0 ? (x?.shape?.[axis] ?? unknown) : dimension,
  );
  const open = copied.indexOf(-1);
  if (open >= 0) {
    const whole = x?.shape ? multiplyDimensions(x.shape) : unknown;
    copied[open] = divideDimensions(whole, multiplyDimensions(copied.filter((_, axis) => axis !== open)));
  } else if (x?.shape) {
    const [before, after] = [multiplyDimensions(x.shape), multiplyDimensions(copied)];
    if (typeof before === 'number' && typeof after === 'number' && before !== after)
      throw new OnnxError(`${context.where}: cannot reshape [${x.shape}] to [${copied}]`, {
        code: 'invalid-model',
      });
  }
  return [{ type, shape: copied, elements: copied.length <= 1 ? x?.elements : undefined }];
};

const flatten: ShapeRule = (context) => {
  const shape = context.inputs[0]?.shape;
  const type = typeOf(context);
  if (!shape) return [{ type }];
  const given = intOf(context.node, 'axis', 1);
  const axis = given < 0 ? given + shape.length : given;
  return [{ type, shape: [multiplyDimensions(shape.slice(0, axis)), multiplyDimensions(shape.slice(axis))] }];
};

const transpose: ShapeRule = (context) => {
  const shape = context.inputs[0]?.shape;
  const permutation = intsOf(context.node, 'perm') ?? shape?.map((_, axis) => shape.length - 1 - axis);
  return [{ type: typeOf(context), shape: shape && permutation?.map((axis) => shape[axis] ?? unknown) }];
};

const concat: ShapeRule = (context) => {
  const { inputs, node } = context;
  const first = inputs[0]?.shape;
  if (!first || inputs.some((input) => !input?.shape)) return [{ type: typeOf(context) }];
  const axis = axisOf(context, intOf(node, 'axis', 0), first.length);
  const size = inputs.reduce<Dimension>(
    (sum, input) => addDimensions(sum, input?.shape?.[axis] ?? unknown),
    0,
  );
  const elements = inputs.every((input) => input?.elements)
    ? inputs.flatMap((input) => input?.elements ?? [])
    : undefined;
  return [{ type: typeOf(context), shape: first.with(axis, size), elements }];
};

const split: ShapeRule = (context) => {
  const { inputs, node } = context;
  const shape = inputs[0]?.shape;
  const type = typeOf(context);
  if (!shape) return node.outputs.map(() => ({ type }));
  const axis = axisOf(context, intOf(node, 'axis', 0), shape.length);
  const whole = shape[axis] ?? unknown;
  const count = node.outputs.length;
  const each = typeof whole === 'number' ? Math.ceil(whole / count) : divideDimensions(whole, count);
  const sizes = inputs[1]?.elements;
  return node.outputs.map((_, index) => {
    const last =
      typeof whole === 'number' && index === count - 1 ? whole - (each as number) * (count - 1) : each;
    return { type, shape: shape.with(axis, sizes ? (sizes[index] ?? unknown) : last) };
  });
};

/** Length of `start:end:step` along one dimension, by ONNX's clamping. */
function sliceLength(size: Dimension, start: Dimension, end: Dimension, step: number): Dimension {
  if (typeof start !== 'number') return unknown;
  if (typeof end !== 'number') return start === 0 && step === 1 ? end : unknown;
  if (typeof size !== 'number') {
    const openEnd = end >= 2 ** 31 && start === 0 && step === 1;
    const inside = start >= 0 && end > start && end < 2 ** 31 && step === 1;
    return openEnd ? size : inside && start + 1 === end ? 1 : unknown;
  }
  const clamp = (value: number, low: number, high: number) =>
    Math.min(Math.max(value < 0 ? value + size : value, low), high);
  const length =
    step > 0
      ? Math.ceil((clamp(end, 0, size) - clamp(start, 0, size)) / step)
      : Math.ceil((clamp(end, -1, size - 1) - clamp(start, 0, size - 1)) / step);
  return Math.max(0, length);
}

const slice: ShapeRule = (context) => {
  const [x, starts, ends, axesInput, stepsInput] = context.inputs;
  const type = typeOf(context);
  if (!x?.shape) return [{ type }];
  const rank = x.shape.length;
  const count = starts?.elements?.length ?? 0;
  const axes = axesInput ? numbersOf(axesInput) : Array.from({ length: count }, (_, axis) => axis);
  const steps = stepsInput ? numbersOf(stepsInput) : axes?.map(() => 1);
  if (!axes || !steps || !starts?.elements || !ends?.elements) return [{ type, shape: unknownOfRank(rank) }];
  let shape: readonly Dimension[] = x.shape;
  let elements = x.elements;
  axes.forEach((given, index) => {
    const axis = axisOf(context, given, rank);
    const start = starts.elements?.[index] ?? unknown;
    const end = ends.elements?.[index] ?? unknown;
    const step = steps[index] ?? 1;
    const plain = typeof start === 'number' && typeof end === 'number' && step === 1;
    elements = plain ? elements?.slice(start, end) : undefined;
    shape = shape.with(axis, sliceLength(shape[axis] ?? unknown, start, end, step));
  });
  return [{ type, shape, elements }];
};

const gather: ShapeRule = (context) => {
  const [x, indices] = context.inputs;
  const type = typeOf(context);
  if (!x?.shape || !indices?.shape) return [{ type }];
  const axis = axisOf(context, intOf(context.node, 'axis', 0), x.shape.length);
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const chosen = numbersOf(indices);
  const elements = x.elements;
  return [
    {
      type,
      shape,
      elements: elements && chosen?.map((index) => elements.at(index) ?? unknown),
    },
  ];
};

const gatherElements: ShapeRule = (context) => [{ type: typeOf(context), shape: context.inputs[1]?.shape }];

const gatherND: ShapeRule = (context) => {
  const [x, indices] = context.inputs;
  const depth = indices?.shape?.at(-1);
  if (!x?.shape || !indices?.shape || typeof depth !== 'number') return [{ type: typeOf(context) }];
  const batch = intOf(context.node, 'batch_dims', 0);
  return [{ type: typeOf(context), shape: [...indices.shape.slice(0, -1), ...x.shape.slice(batch + depth)] }];
};

/** Axes by the second input (newer operator sets) or by attribute (older ones). */
const axesOf = ({ inputs, node }: ShapeContext): readonly number[] | undefined =>
  inputs[1] ? numbersOf(inputs[1]) : intsOf(node, 'axes');

const squeeze: ShapeRule = (context) => {
  const x = context.inputs[0];
  const type = typeOf(context);
  if (!x?.shape) return [{ type }];
  const rank = x.shape.length;
  const axes = (axesOf(context) ?? x.shape.flatMap((dimension, axis) => (dimension === 1 ? [axis] : []))).map(
    (axis) => axisOf(context, axis, rank),
  );
  return [{ type, shape: x.shape.filter((_, axis) => !axes.includes(axis)), elements: x.elements }];
};

const unsqueeze: ShapeRule = (context) => {
  const x = context.inputs[0];
  const axes = axesOf(context);
  const type = typeOf(context);
  if (!x?.shape || !axes) return [{ type }];
  const rank = x.shape.length + axes.length;
  const added = new Set(axes.map((axis) => axisOf(context, axis, rank)));
  const rest = [...x.shape];
  const shape = Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : (rest.shift() ?? unknown)));
  return [{ type, shape, elements: rank <= 1 ? x.elements : undefined }];
};

const reduce: ShapeRule = (context) => {
  const { node, inputs } = context;
  const shape = inputs[0]?.shape;
  const type = typeOf(context);
  if (!shape) return [{ type }];
  const given = axesOf(context);
  if (!given && inputs[1]) return [{ type }];
  const none = given === undefined || given.length === 0;
  if (none && intOf(node, 'noop_with_empty_axes', 0) === 1) return [{ type, shape }];
  const axes = none ? shape.map((_, axis) => axis) : given.map((axis) => axisOf(context, axis, shape.length));
  const keep = intOf(node, 'keepdims', 1) === 1;
  return [
    {
      type,
      shape: keep
        ? shape.map((dimension, axis) => (axes.includes(axis) ? 1 : dimension))
        : shape.filter((_, axis) => !axes.includes(axis)),
    },
  ];
};

const argument: ShapeRule = (context) => {
  const shape = context.inputs[0]?.shape;
  if (!shape) return [{ type: 'int64' }];
  const axis = axisOf(context, intOf(context.node, 'axis', 0), shape.length);
  const keep = intOf(context.node, 'keepdims', 1) === 1;
  return [{ type: 'int64', shape: keep ? shape.with(axis, 1) : shape.toSpliced(axis, 1) }];
};

const expand: ShapeRule = (context) => {
  const [x, shape] = context.inputs;
  const wanted = shapeFromInput(shape);
  return [
    { type: typeOf(context), shape: x?.shape && wanted && broadcastShapes([x.shape, wanted], context.where) },
  ];
};

const pad: ShapeRule = (context) => {
  const [x, pads] = context.inputs;
  const amounts = pads?.elements;
  const rank = x?.shape?.length ?? 0;
  const simple = amounts && !context.inputs[3];
  return [
    {
      type: typeOf(context),
      shape: x?.shape?.map((dimension, axis) =>
        simple
          ? addDimensions(addDimensions(dimension, amounts[axis] ?? unknown), amounts[axis + rank] ?? unknown)
          : unknown,
      ),
    },
  ];
};

const tile: ShapeRule = (context) => {
  const [x, repeats] = context.inputs;
  return [
    {
      type: typeOf(context),
      shape: x?.shape?.map((dimension, axis) =>
        multiplyDimensions([dimension, repeats?.elements?.[axis] ?? unknown]),
      ),
    },
  ];
};

const reductions = ['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'SumSquare', 'LogSum', 'LogSumExp'];

/** Operators that move, choose, join or reduce elements. */
export const layoutRules: Readonly<Record<string, ShapeRule>> = {
  ...Object.fromEntries(reductions.map((kind) => [`Reduce${kind}`, reduce])),
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  ArgMax: argument,
  ArgMin: argument,
  Expand: expand,
  Pad: pad,
  Tile: tile,
};
