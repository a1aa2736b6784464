import { type Dimension, int, intOf, ints, intsOf, text } from '@murmuration/onnx';
import { fromFront, type GradientRule, type GradientRules, type RuleContext } from './rule.ts';
import { slice } from './slice.ts';

const rankOf = (context: RuleContext, index = 0): number => context.shape(index).length;

/** The elements stay in order: the gradient takes the input's shape. */
const reshape: GradientRule = (context) => [context.backward.reshapeLike(context.gradient, context.input(0))];

/** Where the axes are listed, the opposite operator with the same list; else by shape. */
const opposite =
  (operator: string): GradientRule =>
  (context) =>
    context.input(1) === '' ? reshape(context) : [context.op(operator, [context.gradient, context.input(1)])];

const transpose: GradientRule = (context) => {
  const rank = rankOf(context);
  const permutation =
    intsOf(context.node, 'perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  return [context.op('Transpose', [context.gradient], { perm: ints(inverse) })];
};

/** Sizes of values along an axis as one int64 list. */
function sizesAlong({ op, backward }: RuleContext, values: readonly string[], axis: number): string {
  const sizes = values.map((value) => backward.shapeOf(value)[axis]);
  if (sizes.every((size) => typeof size === 'number')) return backward.graph.int64s(sizes);
  return op(
    'Concat',
    values.map((value) => backward.sizeValue(value, axis)),
    { axis: int(0) },
  );
}

const concat: GradientRule = (context) => {
  const { node, gradient } = context;
  const axis = fromFront(intOf(node, 'axis', 0), rankOf(context));
  if (node.inputs.length === 1) return [gradient];
  const sizes = sizesAlong(context, node.inputs, axis);
  return context.ops('Split', [gradient, sizes], node.inputs.length, { axis: int(axis) });
};

const split: GradientRule = (context) => {
  const { op, node, backward } = context;
  const axis = fromFront(intOf(node, 'axis', 0), rankOf(context));
  const parts = node.outputs.map((output, index) => context.gradients[index] ?? backward.zerosLike(output));
  return [parts.length === 1 ? parts[0] : op('Concat', parts, { axis: int(axis) })];
};

const adding = { reduction: text('add') };

/**
 * The gradient of any operator that chooses or repeats elements of its first input: the same operator, applied to the
 * elements' positions, says where each gradient goes back to.
 */
export function scatterBack(context: RuleContext): string {
  const { op, node, backward, gradient } = context;
  const { graph } = backward;
  const x = context.input(0);
  const count = op('ReduceProd', [backward.shapeValue(x)], { keepdims: int(0) });
  const range = op('Range', [graph.int64(0), count, graph.int64(1)]);
  const positions = op('Reshape', [range, backward.shapeValue(x)]);
  const chosen = op(node.operator, [positions, ...node.inputs.slice(1)], node.attributes);
  const flat = graph.int64s([-1]);
  const zeros = op('Reshape', [backward.zerosLike(x), flat]);
  const targets = op('Reshape', [chosen, flat]);
  const scattered = op('ScatterElements', [zeros, targets, op('Reshape', [gradient, flat])], adding);
  return op('Reshape', [scattered, backward.shapeValue(x)]);
}

/**
 * Padding with a constant is undone by padding with the amounts negated; what a mirrored, repeated or wrapped border
 * receives goes back to the elements that it came from.
 */
const pad: GradientRule = (context) => {
  const { op, node, backward, gradient } = context;
  const mode = node.attributes.mode?.value ?? 'constant';
  if (mode !== 'constant') return [scatterBack(context)];
  const known = backward.numbersOf(context.input(1));
  const negated = known
    ? backward.graph.int64s(known.map((amount) => -amount))
    : op('Neg', [context.input(1)]);
  const axes = context.input(3) === '' ? [] : ['', context.input(3)];
  const inner = op('Pad', [gradient, negated, ...axes]);
  const whole = { keepdims: int(0) };
  const border = (): string =>
    op('Reshape', [
      op('Sub', [op('ReduceSum', [gradient], whole), op('ReduceSum', [inner], whole)]),
      backward.shapeValue(context.input(2)),
    ]);
  return [inner, undefined, context.needs(2) ? border() : undefined];
};

/** With the output as [repeats, size, repeats, size, …], the gradient is the sum over the repeats. */
const tile: GradientRule = (context) => {
  const { op, backward } = context;
  const { graph } = backward;
  const shape = context.shape(0);
  const repeats = backward.numbersOf(context.input(1));
  const column = graph.int64s([-1, 1]);
  const interleaved = (): string => {
    const pairs = [context.input(1), backward.shapeValue(context.input(0))].map((list) =>
      op('Reshape', [list, column]),
    );
    return op('Reshape', [op('Concat', pairs, { axis: int(1) }), graph.int64s([-1])]);
  };
  const isStatic = (sizes: readonly Dimension[]): sizes is readonly number[] =>
    sizes.every((size) => typeof size === 'number');
  const wide =
    repeats && isStatic(shape)
      ? graph.int64s(shape.flatMap((size, axis) => [repeats[axis] ?? 1, size]))
      : interleaved();
  const axes = graph.int64s(shape.map((_, axis) => 2 * axis));
  return [op('ReduceSum', [op('Reshape', [context.gradient, wide]), axes], { keepdims: int(0) })];
};

const expand: GradientRule = (context) => [context.undo(context.gradient, 0), undefined];

const trilu: GradientRule = (context) => [
  context.op('Trilu', [context.gradient, ...context.node.inputs.slice(1)], context.attributes),
];

/** The running sum from the other end. */
const cumulativeSum: GradientRule = (context) => {
  const reverse = intOf(context.node, 'reverse', 0) === 1;
  return [
    context.op('CumSum', [context.gradient, context.input(1)], {
      ...context.attributes,
      reverse: int(reverse ? 0 : 1),
    }),
  ];
};

/** Reversing twice is doing nothing. */
const reverseSequence: GradientRule = (context) => [
  context.op('ReverseSequence', [context.gradient, context.input(1)], context.attributes),
];

/** Cropping and padding around the center undo each other. */
const centerCropPad: GradientRule = (context) => {
  const { op, node, backward } = context;
  const axes = intsOf(node, 'axes');
  const rank = rankOf(context);
  const target = axes
    ? backward.sizesValue(
        context.input(0),
        axes.map((axis) => fromFront(axis, rank)),
      )
    : backward.shapeValue(context.input(0));
  return [op('CenterCropPad', [context.gradient, target], context.attributes)];
};

/** Operators that move, join, repeat or border elements. */
export const layoutRules: GradientRules = {
  Reshape: reshape,
  Flatten: reshape,
  Squeeze: opposite('Unsqueeze'),
  Unsqueeze: opposite('Squeeze'),
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Slice: (context) => [slice(context) ?? scatterBack(context)],
  Pad: pad,
  Tile: tile,
  Expand: expand,
  Trilu: trilu,
  CumSum: cumulativeSum,
  ReverseSequence: reverseSequence,
  CenterCropPad: centerCropPad,
};
