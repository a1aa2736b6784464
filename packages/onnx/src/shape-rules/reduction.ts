import { intOf } from '../model.ts';
import { reduceElements } from './elements.ts';
import { axisOf, integersBy, type ShapeRule, type ShapeRules, typeOf, unknownOfRank } from './rule.ts';

const reduce: ShapeRule = (context) => {
  const { node, inputs } = context;
  const x = inputs[0];
  const type = typeOf(context);
  if (!x?.shape) return [{ type }];
  const { shape } = x;
  const given = integersBy(context, 1, 'axes');
  const isEmpty = inputs[1]?.shape?.length === 1 && inputs[1].shape[0] === 0;
  const keep = intOf(node, 'keepdims', 1) === 1;
  if (!given && inputs[1] && !isEmpty) {
    const rank = keep ? shape.length : shape.length - Number(inputs[1].shape?.[0] ?? Number.NaN);
    return [{ type, shape: rank >= 0 ? unknownOfRank(rank) : undefined }];
  }
  const none = given === undefined || given.length === 0;
  if (none && intOf(node, 'noop_with_empty_axes', 0) === 1) return [{ type, shape }];
  const axes = new Set(
    none ? shape.map((_, axis) => axis) : given.map((axis) => axisOf(context, axis, shape.length)),
  );
  return [
    {
      type,
      shape: keep
        ? shape.map((size, axis) => (axes.has(axis) ? 1 : size))
        : shape.filter((_, axis) => !axes.has(axis)),
      elements: axes.size === shape.length ? reduceElements(node.operator, x) : undefined,
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

const kinds = ['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'SumSquare', 'LogSum', 'LogSumExp'];

/** Sums, means, products and extremes along axes, and where those are. */
export const reductionRules: ShapeRules = {
  ...Object.fromEntries(kinds.map((kind) => [`Reduce${kind}`, reduce])),
  ArgMax: argument,
  ArgMin: argument,
};
