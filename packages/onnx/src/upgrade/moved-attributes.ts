/** Settings that were attributes once and are inputs now. */
import { int, type Node } from '../model.ts';
import { type Change, type ChangeContext, withAttributes, withInput } from './change.ts';

/** An attribute's value as a constant; a single integer is a list of one unless `scalar`. */
function constantFrom(node: Node, name: string, context: ChangeContext, scalar: boolean): string | undefined {
  const attribute = node.attributes[name];
  switch (attribute?.kind) {
    case 'ints':
      return context.int64s(attribute.value);
    case 'int':
      return context.int64s([attribute.value], scalar ? [] : [1]);
    case 'floats':
      return context.float32s(attribute.value);
    default:
      return undefined;
  }
}

/** Attributes by the index of the input that takes their place. */
const moved = (since: number, names: Readonly<Record<string, number>>): Change => ({
  since,
  apply: (node, context) => {
    let changed = withAttributes(node, Object.keys(names));
    for (const [name, index] of Object.entries(names)) {
      const value = constantFrom(node, name, context, false);
      if (value !== undefined) changed = withInput(changed, index, value);
    }
    return changed;
  },
});

/** An empty list of axes meant all of them, as no list does. */
const reducedAxes = (since: number): Change => {
  const { apply } = moved(since, { axes: 1 });
  return {
    since,
    apply: (node, context) => {
      const axes = node.attributes.axes;
      return axes?.kind === 'ints' && axes.value.length === 0
        ? withAttributes(node, ['axes'])
        : apply(node, context);
    },
  };
};

const slice: Change = {
  since: 10,
  apply: (node, context) => {
    const starts = node.attributes.starts;
    const count = starts?.kind === 'ints' ? starts.value.length : 0;
    const axes = node.attributes.axes ?? {
      kind: 'ints',
      value: Array.from({ length: count }, (_, axis) => axis),
    };
    const whole = { ...node, attributes: { ...node.attributes, axes } };
    return moved(10, { starts: 1, ends: 2, axes: 3 }).apply(whole, context);
  },
};

/** A constant of the type of another value: float32 where that is known to be the type. */
export function scalarLike(context: ChangeContext, value: number, like: string): string {
  const constant = context.float32s([value], []);
  return context.known(like)?.type === 'float32' ? constant : context.op('CastLike', [constant, like]);
}

const pad: Change = {
  since: 11,
  late: true,
  apply: (node, context) => {
    const value = node.attributes.value;
    const changed = moved(11, { pads: 1 }).apply(withAttributes(node, ['value']), context);
    return value?.kind === 'float' && value.value !== 0
      ? withInput(changed, 2, scalarLike(context, value.value, node.inputs[0] ?? ''))
      : changed;
  },
};

const clip: Change = {
  since: 11,
  late: true,
  apply: (node, context) => {
    let changed = withAttributes(node, ['min', 'max']);
    for (const [name, index] of [
      ['min', 1],
      ['max', 2],
    ] as const) {
      const bound = node.attributes[name];
      if (bound?.kind === 'float')
        changed = withInput(changed, index, scalarLike(context, bound.value, node.inputs[0] ?? ''));
    }
    return changed;
  },
};

const splitInto: Change = {
  since: 18,
  apply: (node) =>
    node.inputs[1] ? node : withAttributes(node, [], { num_outputs: int(node.outputs.length) }),
};

const fourierAxis: Change = {
  since: 20,
  apply: (node, context) => {
    const axis = node.attributes.axis?.kind === 'int' ? node.attributes.axis.value : 1;
    return withInput(withAttributes(node, ['axis']), 2, context.int64s([axis], []));
  },
};

const reductions = [
  ...['ReduceL1', 'ReduceL2', 'ReduceLogSum', 'ReduceLogSumExp', 'ReduceMax'],
  ...['ReduceMean', 'ReduceMin', 'ReduceProd', 'ReduceSumSquare'],
];

/** Operators with settings that became inputs. */
export const movedAttributes: Readonly<Record<string, readonly Change[]>> = {
  ...Object.fromEntries(reductions.map((operator) => [operator, [reducedAxes(18)]])),
  ReduceSum: [reducedAxes(13)],
  Squeeze: [reducedAxes(13)],
  Unsqueeze: [moved(13, { axes: 1 })],
  Split: [moved(13, { split: 1 }), splitInto],
  Slice: [slice],
  TopK: [moved(10, { k: 1 })],
  Pad: [pad],
  Clip: [clip],
  DFT: [fourierAxis],
};
