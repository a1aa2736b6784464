import { unifyDimensions, unknown } from '../dimension.ts';
import { type Dimension, intOf, textOf } from '../model.ts';
import { same } from './elementwise.ts';
import { axisOf, type KnownValue, requireRank, type ShapeRule, type ShapeRules, typeOf } from './rule.ts';

/** The shape with 1 from an axis on. */
const reducedFrom = (shape: readonly Dimension[] | undefined, first: number) =>
  shape?.map((size, axis) => (axis < first ? size : 1));

const layerNormalization: ShapeRule = (context) => {
  const shape = context.inputs[0]?.shape;
  const type = typeOf(context);
  const first = shape ? axisOf(context, intOf(context.node, 'axis', -1), shape.length) : 0;
  const statistics: KnownValue = { type: 'float32', shape: reducedFrom(shape, first) };
  return [{ type, shape }, statistics, statistics];
};

/** Normalization of a sum of two inputs, whose fourth output is that sum. */
const skipNormalization: ShapeRule = (context) => {
  const shape = context.inputs[0]?.shape;
  const type = typeOf(context);
  const statistics: KnownValue = { type: 'float32', shape: reducedFrom(shape, (shape?.length ?? 1) - 1) };
  return [{ type, shape }, statistics, statistics, { type, shape }];
};

/** Embeddings of words, positions and segments: normalized, the lengths by the mask, and the sum itself. */
const embedding: ShapeRule = (context) => {
  const [tokens, , words] = context.inputs;
  const type = typeOf(context, 2);
  const shape = tokens?.shape && [...tokens.shape, words?.shape?.[1] ?? unknown];
  return [
    { type, shape },
    { type: 'int32', shape: shape?.slice(0, 1) },
    { type, shape },
  ];
};

const batchNormalization: ShapeRule = (context) => {
  const [x, scale, , mean] = context.inputs;
  requireRank(context, x?.shape, 2);
  const channels = unifyDimensions(x?.shape?.[1] ?? unknown, scale?.shape?.[0] ?? unknown, context.where);
  const statistics: KnownValue = { type: mean?.type ?? typeOf(context), shape: [channels] };
  return [{ type: typeOf(context), shape: x?.shape }, ...Array.from({ length: 4 }, () => statistics)];
};

/** A loss over classes: a scalar, or one value per label. */
const classLoss: ShapeRule = (context) => {
  const [scores, labels] = context.inputs;
  const type = typeOf(context);
  if (scores?.shape && labels?.shape)
    unifyDimensions(scores.shape[0] ?? unknown, labels.shape[0] ?? unknown, context.where);
  const whole = textOf(context.node, 'reduction', 'mean') !== 'none';
  return [
    { type, shape: whole ? [] : labels?.shape },
    { type, shape: scores?.shape },
  ];
};

/** Normalizations and losses. */
export const normalizationRules: ShapeRules = {
  LayerNormalization: layerNormalization,
  SimplifiedLayerNormalization: layerNormalization,
  RMSNormalization: same,
  InstanceNormalization: same,
  GroupNormalization: same,
  BatchNormalization: batchNormalization,
  SoftmaxCrossEntropyLoss: classLoss,
  NegativeLogLikelihoodLoss: classLoss,
};

/** The same for onnxruntime's own operators. */
export const microsoftNormalizationRules: ShapeRules = {
  LayerNormalization: layerNormalization,
  SimplifiedLayerNormalization: layerNormalization,
  EmbedLayerNormalization: embedding,
  SkipLayerNormalization: skipNormalization,
  SkipSimplifiedLayerNormalization: skipNormalization,
};
