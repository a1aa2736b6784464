import { type Attributes, int, intOf, ints, text, textOf } from '@murmuration/onnx';
import { typeCodes } from '../element-types.ts';
import { padAxes } from '../pad-axes.ts';
import { scatterBack } from './layout.ts';
import { fromFront, type GradientRule, type GradientRules, type RuleContext } from './rule.ts';

const adding = { reduction: text('add') };

/** The order of axes in which one axis comes first. */
const axisFirst = (rank: number, axis: number): readonly number[] => [
  axis,
  ...Array.from({ length: rank }, (_, each) => each).toSpliced(axis, 1),
];

/** Zeros of the first input's shape with its axes in another order. */
function zerosInOrder({ op, backward, input }: RuleContext, order: readonly number[]): string {
  if (order.every((axis, index) => axis === index)) return backward.zerosLike(input(0));
  return op('Expand', [backward.number(0, input(0)), backward.sizesValue(input(0), order)]);
}

/**
 * Adds slices of the gradient back to where `indices`, of rank `indicesRank`, chose them along an axis: the axis is
 * brought to the front and whole rows are added.
 */
function addRows(context: RuleContext, axis: number, indices: string, indicesRank: number): string {
  const { op, backward, gradient } = context;
  const rank = context.shape(0).length;
  const wide =
    backward.typeOf(indices) === 'int32' ? op('Cast', [indices], { to: int(typeCodes.int64) }) : indices;
  const column = op('Unsqueeze', [wide, backward.graph.int64s([-1])]);
  const order = axisFirst(rank, axis);
  const zeros = zerosInOrder(context, order);
  if (axis === 0) return op('ScatterND', [zeros, column, gradient], adding);
  const chosen = Array.from({ length: indicesRank }, (_, index) => axis + index);
  const before = Array.from({ length: axis }, (_, index) => index);
  const after = Array.from({ length: rank - 1 - axis }, (_, index) => axis + indicesRank + index);
  const rows =
    chosen.length === 0
      ? gradient
      : op('Transpose', [gradient], { perm: ints([...chosen, ...before, ...after]) });
  const sum = op('ScatterND', [zeros, column, rows], adding);
  return op('Transpose', [sum], { perm: ints(order.map((_, each) => order.indexOf(each))) });
}

/** A single constant position: zeros are put before and behind it. */
function putBetween(context: RuleContext, axis: number, position: number): string {
  const { op, backward, gradient } = context;
  const { graph } = backward;
  const size = context.shape(0)[axis];
  const scalar = context.backward.shapeOf(context.input(1)).length === 0;
  const thin = scalar ? op('Unsqueeze', [gradient, graph.int64s([axis])]) : gradient;
  if (typeof size === 'number') {
    const before = fromFront(position, size);
    return padAxes(backward, thin, [axis], graph.int64s([before, size - 1 - before]));
  }
  const others = op('Sub', [backward.sizeValue(context.input(0), axis), graph.int64s([1])]);
  const known = graph.int64s([position < 0 ? -1 - position : position]);
  const rest = op('Sub', [others, known]);
  const pads = position < 0 ? [rest, known] : [known, rest];
  return padAxes(backward, thin, [axis], op('Concat', pads, { axis: int(0) }));
}

const gather: GradientRule = (context) => {
  const { backward } = context;
  const axis = fromFront(intOf(context.node, 'axis', 0), context.shape(0).length);
  const indices = context.input(1);
  const rank = backward.shapeOf(indices).length;
  const known = backward.numbersOf(indices);
  if (known?.length === 1 && rank <= 1) return [putBetween(context, axis, known[0] as number)];
  return [addRows(context, axis, indices, rank)];
};

const gatherElements: GradientRule = (context) => {
  const axis = int(intOf(context.node, 'axis', 0));
  const inputs = [context.backward.zerosLike(context.input(0)), context.input(1), context.gradient];
  return [context.op('ScatterElements', inputs, { axis, ...adding })];
};

const gatherND: GradientRule = (context) => {
  if (intOf(context.node, 'batch_dims', 0) !== 0) return [scatterBack(context)];
  const inputs = [context.backward.zerosLike(context.input(0)), context.input(1), context.gradient];
  return [context.op('ScatterND', inputs, adding)];
};

/** The chosen values go back to where they came from. */
const topK: GradientRule = (context) => {
  const axis = int(intOf(context.node, 'axis', -1));
  const inputs = [context.backward.zerosLike(context.input(0)), context.output(1), context.gradient];
  return context.gradients[0] ? [context.op('ScatterElements', inputs, { axis })] : [];
};

const compress: GradientRule = (context) => {
  const { op, backward, node } = context;
  const flat = backward.graph.int64s([-1]);
  const chosen = op('Reshape', [op('NonZero', [context.input(1)]), flat]);
  if (node.attributes.axis)
    return [addRows(context, fromFront(intOf(node, 'axis', 0), context.shape(0).length), chosen, 1)];
  const zeros = op('Reshape', [backward.zerosLike(context.input(0)), flat]);
  const sum = op('ScatterElements', [zeros, chosen, context.gradient]);
  return [backward.reshapeLike(sum, context.input(0))];
};

/** Gradients by the two values: what meets the hot positions, and all the rest. */
const oneHot: GradientRule = (context) => {
  const { op, backward, gradient } = context;
  const values = context.input(2);
  const unit = op(
    'Concat',
    [0, 1].map((value) => op('Reshape', [backward.number(value, values), backward.graph.int64s([1])])),
    { axis: int(0) },
  );
  const hot = op('OneHot', [context.input(0), context.input(1), unit], context.attributes);
  const flat = backward.graph.int64s([-1]);
  const whole = { keepdims: int(0) };
  const on = op('Reshape', [op('ReduceSum', [op('Mul', [gradient, hot])], whole), flat]);
  const all = op('Reshape', [op('ReduceSum', [gradient], whole), flat]);
  return [undefined, undefined, op('Concat', [op('Sub', [all, on]), on], { axis: int(0) })];
};

/** What ScatterElements and ScatterND have in common: writing at indices, and reading there. */
interface Scatter {
  write(data: string, updates: string, reduction: string): string;
  read(data: string): string;
}

function elementScatter(context: RuleContext): Scatter {
  const axis: Attributes = { axis: int(intOf(context.node, 'axis', 0)) };
  const indices = context.input(1);
  return {
    write: (data, updates, reduction) =>
      context.op('ScatterElements', [data, indices, updates], { ...axis, reduction: text(reduction) }),
    read: (data) => context.op('GatherElements', [data, indices], axis),
  };
}

const rowScatter = (context: RuleContext): Scatter => ({
  write: (data, updates, reduction) =>
    context.op('ScatterND', [data, context.input(1), updates], { reduction: text(reduction) }),
  read: (data) => context.op('GatherND', [data, context.input(1)]),
});

/** The product of all nonzero factors at each place, and how many zeros there are, tell each factor's share. */
function scatteredProduct(context: RuleContext, { write, read }: Scatter): readonly (string | undefined)[] {
  const { op, backward, gradient } = context;
  const [data, updates] = [context.input(0), context.input(2)];
  const ones = op('Expand', [context.number(1), backward.shapeValue(data)]);
  const byData = (): string => op('Mul', [gradient, write(ones, updates, 'mul')]);
  const byUpdates = (): string => {
    const isZero = op('Equal', [updates, context.number(0)]);
    const nonzero = op('Where', [isZero, context.number(1), updates]);
    const zero = backward.castLike(isZero, updates);
    const zeros = read(write(backward.zerosLike(data), zero, 'add'));
    const share = op('Div', [read(op('Mul', [gradient, write(data, nonzero, 'mul')])), nonzero]);
    return op('Where', [op('Equal', [zeros, zero]), share, context.number(0)]);
  };
  return [context.needs(0) ? byData() : undefined, undefined, context.needs(2) ? byUpdates() : undefined];
}

/** All that reach the extreme share the gradient equally. */
function scatteredExtreme(context: RuleContext, { write, read }: Scatter): readonly (string | undefined)[] {
  const { op, backward, gradient } = context;
  const [data, updates, y] = [context.input(0), context.input(2), context.output(0)];
  const stays = backward.castLike(op('Equal', [data, y]), data);
  const wins = backward.castLike(op('Equal', [updates, read(y)]), data);
  const share = op('Div', [gradient, write(stays, wins, 'add')]);
  return [
    context.needs(0) ? op('Mul', [share, stays]) : undefined,
    undefined,
    context.needs(2) ? op('Mul', [read(share), wins]) : undefined,
  ];
}

/** Overwritten elements get nothing; of several updates of one element each gets the whole gradient. */
const scatter =
  (of: (context: RuleContext) => Scatter): GradientRule =>
  (context) => {
    const { backward, gradient } = context;
    const way = of(context);
    const reduction = textOf(context.node, 'reduction', 'none');
    if (reduction === 'mul') return scatteredProduct(context, way);
    if (reduction === 'max' || reduction === 'min') return scatteredExtreme(context, way);
    const kept = (): string =>
      reduction === 'add' ? gradient : way.write(gradient, backward.zerosLike(context.input(2)), 'none');
    return [
      context.needs(0) ? kept() : undefined,
      undefined,
      context.needs(2) ? way.read(gradient) : undefined,
    ];
  };

/** Operators that read or write elements by index. */
export const indexingRules: GradientRules = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatter(elementScatter),
  ScatterND: scatter(rowScatter),
  TopK: topK,
  Compress: compress,
  OneHot: oneHot,
};
