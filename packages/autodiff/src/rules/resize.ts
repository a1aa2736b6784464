import {
  type Dimension,
  describeNode,
  floatOf,
  int,
  intOf,
  ints,
  intsOf,
  type Tensor,
  textOf,
} from '@murmuration/onnx';
import { AutodiffError } from '../errors.ts';
import {
  cropping,
  type Interpolation,
  interpolationMatrix,
  isKnownInterpolation,
  repetitions,
  wholeAxis,
} from '../interpolation.ts';
import { interpolationAtRunTime } from '../interpolation-at-run-time.ts';
import { fromFront, type GradientRule, type GradientRules, type RuleContext, unsupported } from './rule.ts';

/** An axis that changes, and how; its sizes may be known only when the graph runs. */
interface ResizedAxis extends Interpolation {
  readonly axis: number;
}

type Sizes = readonly Dimension[];

/** Constant numbers of an input, floats too. */
function constantNumbers({ backward, node }: RuleContext, value: string): readonly number[] {
  const data = backward.constantOf(value)?.data;
  const numbers = data ? Array.from(data as ArrayLike<number | bigint>, Number) : backward.numbersOf(value);
  if (!numbers) throw unsupported(node, `expected constant scales, got ${value}`);
  return numbers;
}

/** A dimension that must be a number. */
function sizeOf({ node }: RuleContext, value: string, size: unknown): number {
  if (typeof size === 'number') return size;
  throw new AutodiffError(
    `${describeNode(node)}: expected numbers as resized sizes of ${value}, got ${size}`,
    {
      code: 'unknown-shape',
      node: node.name,
      value,
    },
  );
}

/** The scale of each axis, where the model says it; else it follows from the sizes. */
function scalesOf(context: RuleContext, axes: readonly number[]): readonly number[] | undefined {
  const { node, backward } = context;
  const [x, scales, sizes] = [context.input(0), context.input(2), context.input(3)];
  if (scales !== '' && backward.knownShape(scales)?.[0] !== 0) return constantNumbers(context, scales);
  const policy = textOf(node, 'keep_aspect_ratio_policy', 'stretch');
  if (policy === 'stretch') return undefined;
  const from = backward.shapeOf(x);
  const ratios = constantNumbers(context, sizes).map((size, index) =>
    Math.fround(size / sizeOf(context, x, from[axes[index] ?? 0])),
  );
  const common = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
  return axes.map(() => common);
}

/** The part of each axis that is cut out, from 0 to 1. */
function cropsOf(context: RuleContext, count: number): readonly (readonly [number, number])[] {
  const cuts = textOf(context.node, 'coordinate_transformation_mode', 'half_pixel') === cropping;
  const bounds = cuts ? constantNumbers(context, context.input(1)) : [];
  return Array.from({ length: count }, (_, index) => [bounds[index] ?? 0, bounds[index + count] ?? 1]);
}

/** The axes that change, in ascending order. */
function resizedAxes(context: RuleContext): readonly ResizedAxis[] {
  const { node, backward } = context;
  const [from, to] = [context.input(0), context.output(0)].map(backward.shapeOf) as [Sizes, Sizes];
  const axes = (intsOf(node, 'axes') ?? from.map((_, axis) => axis)).map((axis) =>
    fromFront(axis, from.length),
  );
  const scales = scalesOf(context, axes);
  const crops = cropsOf(context, axes.length);
  const isWhole = ([start, end]: readonly [number, number]): boolean => start === 0 && end === 1;
  const changed = axes.flatMap((axis, index): readonly ResizedAxis[] => {
    const crop = crops[index] as readonly [number, number];
    const stays = scales ? scales[index] === 1 : from[axis] === to[axis] && from[axis] !== '?';
    if (stays && isWhole(crop)) return [];
    const [inputs, outputs] = [from[axis] ?? '?', to[axis] ?? '?'];
    const known = typeof inputs === 'number' && typeof outputs === 'number';
    return [
      {
        axis,
        inputs,
        outputs,
        crop,
        scale: scales?.[index] ?? (known ? Math.fround(outputs / inputs) : undefined),
        mode: textOf(node, 'mode', 'nearest'),
        coordinates: textOf(node, 'coordinate_transformation_mode', 'half_pixel'),
        rounding: textOf(node, 'nearest_mode', 'round_prefer_floor'),
        cubic: floatOf(node, 'cubic_coeff_a', -0.75),
        excludesOutside: intOf(node, 'exclude_outside', 0) === 1,
        antialias: intOf(node, 'antialias', 0) === 1,
      },
    ];
  });
  const strange = changed.find((each) => !isKnownInterpolation(each));
  if (strange)
    throw unsupported(
      node,
      `expected a known way of resizing, got ${strange.mode} with ${strange.coordinates} and ${strange.rounding}`,
    );
  return changed.toSorted((a, b) => a.axis - b.axis);
}

/** The gradient of repeated pixels: the sum over each block, which is its mean times its size. */
function sumBlocks({ op, backward, gradient }: RuleContext, times: ReadonlyMap<number, number>): string {
  const factors = [2, 3].map((axis) => times.get(axis) ?? 1);
  const mean = op('AveragePool', [gradient], { kernel_shape: ints(factors), strides: ints(factors) });
  const size = factors.reduce((product, factor) => product * factor, 1);
  return op('Mul', [mean, backward.number(size, gradient)]);
}

/** The weights [outputs, inputs] of an axis in the type of the gradient: a constant, or computed as the graph runs. */
function weightsOf(context: RuleContext, axis: ResizedAxis): string {
  const { backward, gradient, output } = context;
  const whole = wholeAxis(axis);
  if (!whole) return backward.castLike(interpolationAtRunTime(context, axis), gradient);
  const values = interpolationMatrix(whole);
  const type = backward.typeOf(gradient) === 'float64' ? 'float64' : 'float32';
  const data = type === 'float64' ? values : Float32Array.from(values);
  const tensor: Tensor = {
    name: `${output(0)}.weights${axis.axis}`,
    type,
    shape: [whole.outputs, whole.inputs],
    data,
  };
  return backward.graph.initializer(tensor);
}

/** Mᵀ along one axis of rows, where the sizes behind the axis are numbers: rows are carried along. */
function shrinkRows(context: RuleContext, value: string, axis: ResizedAxis): string {
  const { op, node, backward } = context;
  const { graph } = backward;
  const outputs = sizeOf(context, node.name, axis.outputs);
  const behind = context
    .shape(0)
    .slice(axis.axis + 1)
    .reduce<number>((product, size) => product * sizeOf(context, node.name, size), 1);
  const weights = weightsOf(context, axis);
  if (behind === 1) return op('MatMul', [op('Reshape', [value, graph.int64s([-1, outputs])]), weights]);
  const turned = op('Transpose', [weights], { perm: ints([1, 0]) });
  return op('MatMul', [turned, op('Reshape', [value, graph.int64s([-1, outputs, behind])])]);
}

/** Mᵀ along one axis of a value of the node's rank. */
function shrinkAxis(context: RuleContext, value: string, axis: ResizedAxis): string {
  const { op } = context;
  const weights = weightsOf(context, axis);
  const rank = context.shape(0).length;
  if (axis.axis === rank - 1) return op('MatMul', [value, weights]);
  if (axis.axis === rank - 2)
    return op('MatMul', [op('Transpose', [weights], { perm: ints([1, 0]) }), value]);
  const swapped = Array.from({ length: rank }, (_, each) => each)
    .with(axis.axis, rank - 1)
    .with(rank - 1, axis.axis);
  const swap = { perm: ints(swapped) };
  return op('Transpose', [op('MatMul', [op('Transpose', [value], swap), weights])], swap);
}

/**
 * Resizing is linear along each axis: y = M·x, so the gradient is dx = Mᵀ·dy, axis by axis from the last to the first.
 */
const resize: GradientRule = (context) => {
  const { op, backward, gradient } = context;
  const x = context.input(0);
  const axes = resizedAxes(context);
  if (axes.length === 0) return [gradient];
  const times = new Map(axes.map((axis) => [axis.axis, repetitions(axis)]));
  const repeats = [...times].every(([axis, count]) => axis >= 2 && count !== undefined);
  if (repeats && context.shape(0).length === 4 && backward.typeOf(x) === 'float32')
    return [sumBlocks(context, times as ReadonlyMap<number, number>)];
  const behind = [...axes.map(({ outputs }) => outputs), ...context.shape(0).slice((axes[0]?.axis ?? 0) + 1)];
  const shrink = behind.every((size) => typeof size === 'number') ? shrinkRows : shrinkAxis;
  const result = axes.toReversed().reduce<string>((value, axis) => shrink(context, value, axis), gradient);
  return [op('Reshape', [result, backward.shapeValue(x)])];
};

/** Channels that go into blocks of pixels come back out of them. */
const depthToSpace: GradientRule = (context) => {
  const { op, node, gradient, backward } = context;
  const size = intOf(node, 'blocksize', 1);
  const back = op('SpaceToDepth', [gradient], { blocksize: int(size) });
  if (textOf(node, 'mode', 'DCR') === 'DCR') return [back];
  const channels = context.shape(0)[1];
  if (typeof channels !== 'number') throw unsupported(node, `expected a number of channels, got ${channels}`);
  const area = size * size;
  const order = Array.from(
    { length: channels },
    (_, channel) => (channel % area) * (channels / area) + Math.floor(channel / area),
  );
  return [op('Gather', [back, backward.graph.int64s(order)], { axis: int(1) })];
};

const spaceToDepth: GradientRule = ({ op, node, gradient }) => [
  op('DepthToSpace', [gradient], { blocksize: int(intOf(node, 'blocksize', 1)) }),
];

/** Operators that change the sizes of images. */
export const resizeRules: GradientRules = {
  Resize: resize,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
};
