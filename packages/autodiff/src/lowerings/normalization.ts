import { float, floatOf, int, intOf, tensorAttribute } from '@murmuration/onnx';
import { typeCodes } from '../element-types.ts';
import type { Lowering, LoweringContext, Lowerings } from '../passes/lower-operators.ts';

/** onnxruntime's default for normalizations that it fuses. */
const skipEpsilon = 1e-12;

/** Root-mean-square normalization by onnxruntime's operator that also gives the inverse deviation. */
function simplified(
  { ops, node }: LoweringContext,
  x: string,
  gain: string,
  axis: number,
  epsilon: number,
): readonly [string, string] {
  const attributes = {
    axis: int(axis),
    epsilon: float(floatOf(node, 'epsilon', epsilon)),
    stash_type: int(1),
  };
  const [y = '', inverse = ''] = ops('SimplifiedLayerNormalization', [x, gain], 2, attributes);
  return [y, inverse];
}

const rootMeanSquare: Lowering = (context) =>
  simplified(context, context.input(0), context.input(1), intOf(context.node, 'axis', -1), 1e-5);

/** A sum and its normalization: inputs x, skip, then what the normalization has, then the sum's bias. */
const skip =
  (biasIndex: number, normalize: (context: LoweringContext, sum: string) => string): Lowering =>
  (context) => {
    const { op, input } = context;
    if (context.has(1) || context.has(2)) context.refuse('expected nobody to read mean and deviation');
    const bias = input(biasIndex);
    const first = bias === '' ? input(0) : op('Add', [input(0), bias]);
    const sum = op('Add', [first, input(1)]);
    return [normalize(context, sum), undefined, undefined, context.has(3) ? sum : undefined];
  };

const layerNorm = ({ op, node }: LoweringContext, x: string, gain: string, bias: string): string =>
  op('LayerNormalization', bias === '' ? [x, gain] : [x, gain, bias], {
    axis: int(-1),
    epsilon: float(floatOf(node, 'epsilon', skipEpsilon)),
  });

/** Embeddings of words, positions and segments, added and normalized. */
const embed: Lowering = (context) => {
  const { op, input, backward, has } = context;
  const { graph } = backward;
  const length = op('Squeeze', [backward.sizeValue(input(0), 1), graph.int64s([0])]);
  const positions = input(8) || op('Range', [graph.int64(0), length, graph.int64(1)]);
  const rows = (table: string, indices: string): string =>
    op('Gather', [table, op('Cast', [indices], { to: int(typeCodes.int64) })]);
  const placed = op('Add', [rows(input(2), input(0)), rows(input(3), positions)]);
  const sum = input(1) === '' ? placed : op('Add', [placed, rows(input(4), input(1))]);
  const zero = { name: '', type: 'int32', shape: [1], data: Int32Array.of(0) } as const;
  const lengths = (): string =>
    input(7) === ''
      ? op('ConstantOfShape', [backward.sizeValue(input(0), 0)], { value: tensorAttribute(zero) })
      : op('ReduceSum', [input(7), graph.int64s([1])], { keepdims: int(0) });
  return [
    layerNorm(context, sum, input(5), input(6)),
    has(1) ? lengths() : undefined,
    has(2) ? sum : undefined,
  ];
};

/** Normalizations. */
export const normalizationLowerings: Lowerings = {
  RMSNormalization: rootMeanSquare,
  SimplifiedLayerNormalization: rootMeanSquare,
  'com.microsoft:SkipLayerNormalization': skip(4, (context, sum) =>
    layerNorm(context, sum, context.input(2), context.input(3)),
  ),
  'com.microsoft:SkipSimplifiedLayerNormalization': skip(
    3,
    (context, sum) => simplified(context, sum, context.input(2), -1, skipEpsilon)[0],
  ),
  'com.microsoft:EmbedLayerNormalization': embed,
};
