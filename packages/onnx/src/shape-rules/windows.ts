import {
  addDimensions,
  ceilDivideDimension,
  floorDivideDimension,
  isAtLeast,
  multiplyDimensions,
  subtractDimensions,
  unifyDimensions,
  unknown,
} from '../dimension.ts';
import { type Dimension, intOf, intsOf, textOf } from '../model.ts';
import {
  refuse,
  requireRank,
  type ShapeContext,
  type ShapeRule,
  type ShapeRules,
  shapeFrom,
  typeOf,
} from './rule.ts';

/** A window that slides along one spatial axis. */
interface Window {
  /** Length of the window, the gaps of a dilation included. */
  readonly extent: Dimension;
  readonly stride: number;
  readonly before: number;
  readonly after: number;
}

function amounts(context: ShapeContext, name: string, count: number, otherwise: number): readonly number[] {
  const given = intsOf(context.node, name);
  if (given && given.length < count) refuse(context, `expected ${count} ${name}, got [${given}]`);
  return given ?? Array.from({ length: count }, () => otherwise);
}

function windowsOf(context: ShapeContext, kernel: readonly Dimension[]): readonly Window[] {
  const count = kernel.length;
  const strides = amounts(context, 'strides', count, 1);
  const dilations = amounts(context, 'dilations', count, 1);
  const pads = amounts(context, 'pads', 2 * count, 0);
  if (strides.some((stride) => stride < 1) || dilations.some((dilation) => dilation < 1))
    refuse(context, `expected strides and dilations above 0, got [${strides}] and [${dilations}]`);
  return kernel.map((size, axis) => ({
    extent: addDimensions(multiplyDimensions([subtractDimensions(size, 1), dilations[axis] ?? 1]), 1),
    stride: strides[axis] ?? 1,
    before: pads[axis] ?? 0,
    after: pads[axis + count] ?? 0,
  }));
}

/** How often a window fits; with `ceil_mode` also where it hangs over, unless it would start behind the input. */
function windowCount(context: ShapeContext, size: Dimension, window: Window): Dimension {
  const { extent, stride } = window;
  const auto = textOf(context.node, 'auto_pad', 'NOTSET');
  if (auto.startsWith('SAME')) return ceilDivideDimension(size, stride);
  const [before, after] = auto === 'VALID' ? [0, 0] : [window.before, window.after];
  const room = subtractDimensions(addDimensions(size, before + after), extent);
  if (typeof room === 'number' && room < 0)
    refuse(context, `expected a window of ${extent} to fit into ${size} and ${before + after} of padding`);
  if (intOf(context.node, 'ceil_mode', 0) === 0) return addDimensions(floorDivideDimension(room, stride), 1);
  const count = addDimensions(ceilDivideDimension(room, stride), 1);
  const lastStart = multiplyDimensions([subtractDimensions(count, 1), stride]);
  if (typeof count === 'number' && typeof size === 'number' && typeof lastStart === 'number')
    return lastStart >= size + before ? count - 1 : count;
  return isAtLeast(extent, stride + after) ? count : unknown;
}

const slide = (
  context: ShapeContext,
  spatial: readonly Dimension[],
  kernel: readonly Dimension[],
): readonly Dimension[] => {
  if (kernel.length !== spatial.length)
    refuse(context, `expected a window of ${spatial.length} dimensions, got [${kernel}]`);
  return windowsOf(context, kernel).map((window, axis) =>
    windowCount(context, spatial[axis] ?? unknown, window),
  );
};

/** Where the weights of a convolution lie among its inputs. */
const convolution =
  (weights: number, resultType?: 'int32'): ShapeRule =>
  (context) => {
    const { node, where } = context;
    const [x, w] = [context.inputs[0], context.inputs[weights]];
    const type = resultType ?? (node.operator === 'QLinearConv' ? typeOf(context, 7) : typeOf(context));
    requireRank(context, x?.shape, 3);
    if (!x?.shape || !w?.shape) return [{ type }];
    if (w.shape.length !== x.shape.length)
      refuse(context, `expected weights of ${x.shape.length} dimensions, got [${w.shape}]`);
    const [batch = unknown, channels = unknown, ...spatial] = x.shape;
    const [filters = unknown, perGroup = unknown, ...kernel] = w.shape;
    unifyDimensions(channels, multiplyDimensions([perGroup, intOf(node, 'group', 1)]), where);
    return [
      { type, shape: [batch, filters, ...slide(context, spatial, intsOf(node, 'kernel_shape') ?? kernel)] },
    ];
  };

const transposedConvolution: ShapeRule = (context) => {
  const { node, where } = context;
  const [x, w] = context.inputs;
  const type = typeOf(context);
  requireRank(context, x?.shape, 3);
  if (!x?.shape || !w?.shape) return [{ type }];
  const [batch = unknown, channels = unknown, ...spatial] = x.shape;
  const [inner = unknown, perGroup = unknown, ...weights] = w.shape;
  unifyDimensions(channels, inner, where);
  const filters = multiplyDimensions([perGroup, intOf(node, 'group', 1)]);
  const windows = windowsOf(context, intsOf(node, 'kernel_shape') ?? weights);
  const extra = amounts(context, 'output_padding', spatial.length, 0);
  const given = intsOf(node, 'output_shape')?.slice(-spatial.length);
  const auto = textOf(node, 'auto_pad', 'NOTSET');
  const sizes = spatial.map((size, axis): Dimension => {
    const { extent, stride, before, after } = windows[axis] ?? {
      extent: unknown,
      stride: 1,
      before: 0,
      after: 0,
    };
    if (given) return given[axis] ?? unknown;
    if (auto.startsWith('SAME')) return multiplyDimensions([size, stride]);
    const cut = auto === 'VALID' ? 0 : before + after;
    const steps = multiplyDimensions([subtractDimensions(size, 1), stride]);
    return addDimensions(addDimensions(steps, extent), (extra[axis] ?? 0) - cut);
  });
  return [{ type, shape: [batch, filters, ...sizes] }];
};

const pool: ShapeRule = (context) => {
  const shape = context.inputs[0]?.shape;
  const type = typeOf(context);
  requireRank(context, shape, 3);
  const kernel = intsOf(context.node, 'kernel_shape');
  if (!shape || !kernel) return [{ type }, { type: 'int64' }];
  const pooled = [...shape.slice(0, 2), ...slide(context, shape.slice(2), kernel)];
  return [
    { type, shape: pooled },
    { type: 'int64', shape: pooled },
  ];
};

const globalPool: ShapeRule = (context) => {
  const shape = context.inputs[0]?.shape;
  requireRank(context, shape, 2);
  return [{ type: typeOf(context), shape: shape?.map((size, axis) => (axis < 2 ? size : 1)) }];
};

const unpool: ShapeRule = (context) => {
  const [x, , outputShape] = context.inputs;
  const type = typeOf(context);
  if (outputShape) return [{ type, shape: shapeFrom(outputShape) }];
  const kernel = intsOf(context.node, 'kernel_shape');
  if (!x?.shape || !kernel) return [{ type }];
  const { shape } = x;
  const sizes = windowsOf(context, kernel).map(({ extent, stride, before, after }, axis) => {
    const steps = multiplyDimensions([subtractDimensions(shape[axis + 2] ?? unknown, 1), stride]);
    return addDimensions(addDimensions(steps, extent), -before - after);
  });
  return [{ type, shape: [...shape.slice(0, 2), ...sizes] }];
};

/** Convolutions and pooling. */
export const windowRules: ShapeRules = {
  Conv: convolution(1),
  ConvInteger: convolution(1, 'int32'),
  QLinearConv: convolution(3),
  DeformConv: convolution(1),
  ConvTranspose: transposedConvolution,
  MaxPool: pool,
  AveragePool: pool,
  LpPool: pool,
  GlobalMaxPool: globalPool,
  GlobalAveragePool: globalPool,
  GlobalLpPool: globalPool,
  MaxUnpool: unpool,
};

/** The same for onnxruntime's own operators. */
export const microsoftWindowRules: ShapeRules = { FusedConv: convolution(1) };
