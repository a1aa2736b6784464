import { int, intOf, ints, intsOf, text } from '@murmuration/onnx';
import { fromFront, type GradientRule, type GradientRules, type RuleContext } from './rule.ts';

const rankOf = (context: RuleContext, index = 0): number =>
  context.backward.shapeOf(context.input(index)).length;

/** The elements stay in order: the gradient takes the input's shape. */
const reshape: GradientRule = (context) => [
  context.op('Reshape', [context.gradient, context.backward.shapeValue(context.input(0))]),
];

const transpose: GradientRule = (context) => {
  const rank = rankOf(context);
  const permutation =
    intsOf(context.node, 'perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  return [context.op('Transpose', [context.gradient], { perm: ints(inverse) })];
};

/** Sizes of values along an axis as one int64 list. */
function sizesAlong(context: RuleContext, values: readonly string[], axis: number): string {
  const { op, backward } = context;
  const sizes = values.map((value) => backward.shapeOf(value)[axis]);
  if (sizes.every((size) => typeof size === 'number')) return backward.graph.int64s(sizes);
  const parts = values.map((value) => op('Shape', [value], { start: int(axis), end: int(axis + 1) }));
  return op('Concat', parts, { axis: int(0) });
}

const concat: GradientRule = (context) => {
  const { backward, node, gradient } = context;
  const axis = fromFront(intOf(node, 'axis', 0), rankOf(context));
  if (node.inputs.length === 1) return [gradient];
  return backward.graph.nodes(
    'Split',
    [gradient, sizesAlong(context, node.inputs, axis)],
    node.inputs.map(() => 'backward.Split'),
    { axis: int(axis) },
  );
};

const split: GradientRule = (context) => {
  const { op, node, backward } = context;
  const axis = fromFront(intOf(node, 'axis', 0), rankOf(context));
  const parts = node.outputs.map((output, index) => context.gradients[index] ?? backward.zerosLike(output));
  return [parts.length === 1 ? parts[0] : op('Concat', parts, { axis: int(axis) })];
};

const adding = { reduction: text('add') };

/**
 * The gradient of any operator that chooses elements of its first input: the same operator, applied to the elements'
 * positions, says where each chosen gradient goes back to.
 */
function scatterBack(context: RuleContext): string {
  const { op, node, backward, gradient } = context;
  const { graph } = backward;
  const x = context.input(0);
  const shape = backward.shapeValue(x);
  const range = op('Range', [graph.int64(0), op('Size', [x]), graph.int64(1)]);
  const positions = op('Reshape', [range, shape]);
  const chosen = op(node.operator, [positions, ...node.inputs.slice(1)], node.attributes);
  const flat = graph.int64s([-1]);
  const zeros = op('Reshape', [backward.zerosLike(x), flat]);
  const targets = op('Reshape', [chosen, flat]);
  return op('Reshape', [
    op('ScatterElements', [zeros, targets, op('Reshape', [gradient, flat])], adding),
    shape,
  ]);
}

const chooses: GradientRule = (context) => [scatterBack(context)];

/** Where a slice without steps begins on each axis, when that is known for sure. */
function sliceBegins(context: RuleContext): readonly number[] | undefined {
  const { node, backward } = context;
  const shape = backward.shapeOf(context.input(0));
  const starts = backward.numbersOf(context.input(1));
  const axes = node.inputs[3] ? backward.numbersOf(context.input(3)) : starts?.map((_, axis) => axis);
  const steps = node.inputs[4] ? backward.numbersOf(context.input(4)) : [];
  if (!starts || !axes || !steps?.every((step) => step === 1)) return undefined;
  const begins = shape.map(() => 0);
  const inside = starts.every((start, index) => {
    const axis = fromFront(axes[index] ?? 0, shape.length);
    const size = shape[axis];
    begins[axis] = start;
    return start === 0 || (typeof size === 'number' && start > 0 && start <= size);
  });
  return inside ? begins : undefined;
}

/** A slice without steps gets zeros back around it; any other is scattered. */
const slice: GradientRule = (context) => {
  const { op, backward } = context;
  const begins = sliceBegins(context);
  if (!begins) return [scatterBack(context)];
  const before = backward.graph.int64s(begins);
  const missing = op('Sub', [backward.shapeValue(context.input(0)), op('Shape', [context.output(0)])]);
  const pads = op('Concat', [before, op('Sub', [missing, before])], { axis: int(0) });
  return [op('Pad', [context.gradient, pads])];
};

/** Rows of a table (an embedding) are added back as whole rows. */
const gather: GradientRule = (context) => {
  const { op, backward, gradient } = context;
  const axis = intOf(context.node, 'axis', 0);
  if (axis !== 0 && axis !== -rankOf(context)) return [scatterBack(context)];
  const column = op('Unsqueeze', [context.input(1), backward.graph.int64s([-1])]);
  return [op('ScatterND', [backward.zerosLike(context.input(0)), column, gradient], adding)];
};

const gatherElements: GradientRule = (context) => {
  const axis = int(intOf(context.node, 'axis', 0));
  const inputs = [context.backward.zerosLike(context.input(0)), context.input(1), context.gradient];
  return [context.op('ScatterElements', inputs, { axis, ...adding })];
};

const expand: GradientRule = (context) => [context.undo(context.gradient, 0), undefined];

const trilu: GradientRule = (context) => [
  context.op('Trilu', [context.gradient, ...context.node.inputs.slice(1)], context.node.attributes),
];

/** Operators that move, choose or join elements. */
export const layoutRules: GradientRules = {
  Reshape: reshape,
  Flatten: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: chooses,
  Expand: expand,
  Trilu: trilu,
};
