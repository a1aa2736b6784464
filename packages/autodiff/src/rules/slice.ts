/**
 * The gradient of a slice by adding zeros: between the elements where there is a step, then around them. Starts may be
 * known only when the graph runs, axes and steps must be constants. All arithmetic is on int64 lists with one element
 * per sliced axis; where sizes are known the lists are constants.
 */
import { type Dimension, int } from '@murmuration/onnx';
import { typeCodes } from '../element-types.ts';
import { padAxes } from '../pad-axes.ts';
import { fromFront, type RuleContext } from './rule.ts';

interface Sliced {
  readonly axes: readonly number[];
  readonly steps: readonly number[];
}

function slicedAxes({ node, backward, shape }: RuleContext): Sliced | undefined {
  const count = backward.knownShape(node.inputs[1] ?? '')?.[0];
  if (typeof count !== 'number') return undefined;
  const every = Array.from({ length: count }, (_, axis) => axis);
  const axes = node.inputs[3] ? backward.numbersOf(node.inputs[3]) : every;
  const steps = node.inputs[4] ? backward.numbersOf(node.inputs[4]) : every.map(() => 1);
  const rank = shape(0).length;
  return axes && steps && { axes: axes.map((axis) => fromFront(axis, rank)), steps };
}

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

/** Position of the first chosen element along each axis. */
function firstPositions(context: RuleContext, { axes, steps }: Sliced, sizes: readonly Dimension[]): string {
  const { op, backward } = context;
  const { graph } = backward;
  const starts = backward.numbersOf(context.input(1));
  const highest = steps.map((step) => (step < 0 ? 1 : 0));
  const known = starts?.map((start, index) => {
    const size = sizes[index];
    if (start === 0) return 0;
    if (typeof size !== 'number') return undefined;
    return clamp(start < 0 ? start + size : start, 0, size - (highest[index] ?? 0));
  });
  if (known?.every((start) => start !== undefined)) return graph.int64s(known);
  const size = backward.sizesValue(context.input(0), axes);
  const given = op('Cast', [context.input(1)], { to: int(typeCodes.int64) });
  const zero = graph.int64(0);
  const fromEnd = op('Where', [op('Less', [given, zero]), op('Add', [given, size]), given]);
  return op('Min', [op('Max', [fromEnd, zero]), op('Sub', [size, graph.int64s(highest)])]);
}

/** The gradient with elements that run backwards turned round, and zeros between elements that are a step apart. */
function spreadApart(context: RuleContext, { axes, steps }: Sliced): string {
  const { op, backward } = context;
  const { graph } = backward;
  const turned = axes.filter((_, index) => (steps[index] ?? 1) < 0);
  const last = graph.int64s(turned.map(() => -1));
  const first = graph.int64s(turned.map(() => -(2 ** 52)));
  let gradient =
    turned.length === 0
      ? context.gradient
      : op('Slice', [context.gradient, last, first, graph.int64s(turned), last]);
  axes.forEach((axis, index) => {
    const step = Math.abs(steps[index] ?? 1);
    if (step === 1) return;
    const apart = op('Unsqueeze', [gradient, graph.int64s([axis + 1])]);
    const padded = padAxes(backward, apart, [axis + 1], graph.int64s([0, step - 1]));
    const shape = backward.shapeOf(gradient);
    const merged = shape.map((_, each) =>
      each === axis
        ? op('Mul', [backward.sizeValue(gradient, each), graph.int64s([step])])
        : backward.sizeValue(gradient, each),
    );
    const size = shape[axis];
    const constant = shape.with(axis, typeof size === 'number' ? size * step : -1);
    const target = constant.every((dimension) => typeof dimension === 'number')
      ? graph.int64s(constant)
      : op('Concat', merged, { axis: int(0) });
    gradient = op('Reshape', [padded, target]);
  });
  return gradient;
}

/** The gradient by a slice's input; absent where its axes or steps are not constants. */
export function slice(context: RuleContext): string | undefined {
  const sliced = slicedAxes(context);
  if (!sliced) return undefined;
  const { op, backward } = context;
  const { graph } = backward;
  const { axes, steps } = sliced;
  const shape = context.shape(0);
  const sizes = axes.map((axis) => shape[axis] ?? '?');
  const spread = spreadApart(context, sliced);
  const spreadShape = backward.shapeOf(spread);
  const spreadSizes = axes.map((axis) => spreadShape[axis] ?? '?');
  const first = firstPositions(context, sliced, sizes);
  const isConstant = (list: readonly Dimension[]): list is readonly number[] =>
    list.every((size) => typeof size === 'number');
  const firstKnown = backward.numbersOf(first);
  const constantSteps = steps.map((step) => Math.max(0, -step));
  if (firstKnown && isConstant(sizes) && isConstant(spreadSizes)) {
    const before = firstKnown.map((start, index) => {
      const step = constantSteps[index] ?? 0;
      return step === 0 ? start : start - ((spreadSizes[index] as number) / step - 1) * step;
    });
    const after = before.map((start, index) => (sizes[index] ?? 0) - start - (spreadSizes[index] ?? 0));
    return padAxes(backward, spread, axes, graph.int64s([...before, ...after]));
  }
  const length = backward.sizesValue(spread, axes);
  const backwards = steps.some((step) => step < 0);
  const turnedLength = backwards
    ? op('Mul', [
        op('Sub', [length, graph.int64s(constantSteps)]),
        graph.int64s(steps.map((step) => (step < 0 ? 1 : 0))),
      ])
    : undefined;
  const before = turnedLength ? op('Sub', [first, turnedLength]) : first;
  const missing = op('Sub', [backward.sizesValue(context.input(0), axes), op('Add', [before, length])]);
  return padAxes(backward, spread, axes, op('Concat', [before, missing], { axis: int(0) }));
}
