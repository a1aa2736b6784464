/**
 * The weights of a resized axis whose sizes are known only when the graph runs, computed by the graph: a row of output
 * positions, where each lies among the inputs, and how near that is to each input. In single precision, step by step
 * as `interpolation.ts` computes them ahead.
 */
import { int } from '@murmuration/onnx';
import { typeCodes } from './element-types.ts';
import type { Interpolation } from './interpolation.ts';
import { type RuleContext, unsupported } from './rules/rule.ts';

/** Sizes of an axis and the positions 0, 1, … of its outputs, as float32 values of the graph. */
interface Axis {
  readonly inputs: string;
  readonly outputs: string;
  readonly scale: string;
  readonly positions: string;
}

type Coordinate = (context: RuleContext, axis: Axis) => string;

const float = ({ backward }: RuleContext, value: number): string => backward.graph.float32(value);

const halfPixel: Coordinate = (context, { positions, scale }) => {
  const { op } = context;
  const half = float(context, 0.5);
  return op('Sub', [op('Div', [op('Add', [positions, half]), scale]), half]);
};

/** Where outputs lie among the inputs, by the names of the operator's attribute. */
const coordinates: Readonly<Record<string, Coordinate>> = {
  half_pixel: halfPixel,
  pytorch_half_pixel: (context, axis) => {
    const { op } = context;
    const several = op('Greater', [axis.outputs, float(context, 1)]);
    return op('Where', [several, halfPixel(context, axis), float(context, 0)]);
  },
  half_pixel_symmetric: (context, axis) => {
    const { op } = context;
    const adjustment = op('Div', [axis.outputs, op('Mul', [axis.scale, axis.inputs])]);
    const middle = op('Div', [axis.inputs, float(context, 2)]);
    const offset = op('Mul', [middle, op('Sub', [float(context, 1), adjustment])]);
    return op('Add', [offset, halfPixel(context, axis)]);
  },
  align_corners: (context, { inputs, outputs, positions }) => {
    const { op } = context;
    const one = float(context, 1);
    const steps = op('Max', [op('Sub', [outputs, one]), one]);
    return op('Div', [op('Mul', [positions, op('Sub', [inputs, one])]), steps]);
  },
  asymmetric: ({ op }, { positions, scale }) => op('Div', [positions, scale]),
};

/** Whole positions, by the names of the operator's attribute; halves differ. */
const roundings: Readonly<Record<string, (context: RuleContext, x: string) => string>> = {
  round_prefer_floor: (context, x) => context.op('Ceil', [context.op('Sub', [x, float(context, 0.5)])]),
  round_prefer_ceil: (context, x) => context.op('Floor', [context.op('Add', [x, float(context, 0.5)])]),
  floor: ({ op }, x) => op('Floor', [x]),
  ceil: ({ op }, x) => op('Ceil', [x]),
};

/** The numbers 0, 1, … below a size as float32 of shape [size], and the size itself of shape [1]. */
function counted({ op, backward }: RuleContext, size: string): readonly [string, string] {
  const { graph } = backward;
  const limit = op('Reshape', [size, graph.int64s([])]);
  const positions = op('Range', [graph.int64(0), limit, graph.int64(1)]);
  const to = { to: int(typeCodes.float32) };
  return [op('Cast', [positions], to), op('Cast', [size], to)];
}

/**
 * The weights [outputs, inputs] of an axis of the node's first input, in float32. Throws `AutodiffError` `unsupported`
 * for filters that reach further than the next pixel, and for parts that are cut out.
 */
export function interpolationAtRunTime(
  context: RuleContext,
  axis: Interpolation & { readonly axis: number },
): string {
  const { op, backward, node } = context;
  const { mode, antialias, scale } = axis;
  const locate = Object.hasOwn(coordinates, axis.coordinates) ? coordinates[axis.coordinates] : undefined;
  const round = roundings[axis.rounding];
  const widens = antialias && !(scale !== undefined && scale >= 1);
  if (!locate || !round || (mode !== 'nearest' && (mode !== 'linear' || widens)))
    throw unsupported(
      node,
      'expected numbers as sizes, or mode nearest or linear without antialias and cropping: the sizes of axis ' +
        `${axis.axis} are [${axis.inputs}] and [${axis.outputs}], got ${mode} with ${axis.coordinates}`,
    );
  const [indices, inputs] = counted(context, backward.sizeValue(context.input(0), axis.axis));
  const [positions, outputs] = counted(context, backward.sizeValue(context.output(0), axis.axis));
  const ratio = scale === undefined ? op('Div', [outputs, inputs]) : float(context, scale);
  const found = locate(context, { inputs, outputs, positions, scale: ratio });
  const chosen = mode === 'nearest' ? round(context, found) : found;
  const last = op('Sub', [inputs, float(context, 1)]);
  const inside = op('Min', [op('Max', [chosen, float(context, 0)]), last]);
  const column = op('Unsqueeze', [inside, backward.graph.int64s([1])]);
  if (mode === 'nearest') return op('Cast', [op('Equal', [column, indices])], { to: int(typeCodes.float32) });
  const distance = op('Abs', [op('Sub', [column, indices])]);
  return op('Max', [op('Sub', [float(context, 1), distance]), float(context, 0)]);
}
