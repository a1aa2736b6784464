import { int, intOf, type Node } from '../model.ts';
import { type Change, type ChangeContext, refuse, withAttributes, withInput } from './change.ts';

/** Statistics per activation: every element of an example is its own channel. */
function perActivation(node: Node, context: ChangeContext): Node {
  const [x = '', ...vectors] = node.inputs;
  const y = node.outputs[0] ?? '';
  if (node.outputs.slice(1).some((output) => output !== '' && context.isUsed(output)))
    refuse(node, 'one output of a normalization per activation');
  const flat = context.fresh(`${y}:flat`);
  context.after('Reshape', [flat, context.op('Shape', [x])], y);
  const vector = context.int64s([-1]);
  return {
    ...withAttributes(node, ['spatial']),
    inputs: [
      context.op('Flatten', [x], { axis: int(1) }),
      ...vectors.map((each) => context.op('Reshape', [each, vector])),
    ],
    outputs: [flat],
  };
}

const spatial: Change = {
  since: 9,
  apply: (node, context) =>
    intOf(node, 'spatial', 1) === 0 ? perActivation(node, context) : withAttributes(node, ['spatial']),
};

/** Further outputs were what told training from inference. */
const trainingMode: Change = {
  since: 14,
  apply: (node, context) => {
    const [y = '', ...statistics] = node.outputs;
    const saved = statistics.slice(2).find((output) => output !== '' && context.isUsed(output));
    if (saved !== undefined) refuse(node, `saved statistics that nothing uses, got a use of ${saved}`);
    const trains = statistics.some((output) => output !== '');
    if (!trains) return { ...node, outputs: [y] };
    const [mean = '', variance = ''] = statistics;
    return withAttributes({ ...node, outputs: [y, mean, variance] }, [], { training_mode: int(1) });
  },
};

/** Scale and bias per group become scale and bias per channel. */
const perChannel: Change = {
  since: 21,
  late: true,
  apply: (node, context) => {
    const x = node.inputs[0] ?? '';
    const groups = intOf(node, 'num_groups', 1);
    const channels = context.known(x)?.shape?.[1];
    if (groups < 1 || (typeof channels === 'number' && channels % groups !== 0))
      refuse(node, `groups that divide the channels, got ${groups} for ${channels}`);
    const shape =
      typeof channels === 'number'
        ? context.int64s([groups, channels / groups])
        : context.op(
            'Concat',
            [
              context.int64s([groups]),
              context.op('Div', [
                context.op('Shape', [x], { start: int(1), end: int(2) }),
                context.int64s([groups]),
              ]),
            ],
            { axis: int(0) },
          );
    const spread = (value: string): string =>
      context.op('Reshape', [
        context.op('Expand', [context.op('Unsqueeze', [value, context.int64s([1])]), shape]),
        context.int64s([-1]),
      ]);
    const [, scale = '', bias = ''] = node.inputs;
    return withInput(withInput(node, 1, spread(scale)), 2, spread(bias));
  },
};

const outputsOf = (node: Node): string => node.outputs[0] ?? '';

/** Before opset 13 the dimensions from `axis` on were one. */
const overOneAxis: Change = {
  since: 13,
  late: true,
  apply: (node, context) => {
    const x = node.inputs[0] ?? '';
    const axis = intOf(node, 'axis', 1);
    const shape = context.known(x)?.shape;
    const first = axis < 0 && shape ? axis + shape.length : axis;
    if (first === -1 || shape?.slice(first + 1).every((dimension) => dimension === 1))
      return withAttributes(node, ['axis'], { axis: int(first) });
    const y = outputsOf(node);
    const flat = context.fresh(`${y}:flat`);
    context.after('Reshape', [flat, context.op('Shape', [x])], y);
    return {
      ...withAttributes(node, ['axis'], { axis: int(1) }),
      inputs: [context.op('Flatten', [x], { axis: int(first) })],
      outputs: [flat],
    };
  },
};

/** Operators that normalize, by name. */
export const normalizationChanges: Readonly<Record<string, readonly Change[]>> = {
  BatchNormalization: [spatial, trainingMode],
  GroupNormalization: [perChannel],
  Softmax: [overOneAxis],
  LogSoftmax: [overOneAxis],
  Hardmax: [overOneAxis],
};
