import {
  addDimensions,
  floorDivideDimension,
  multiplyDimensions,
  quotientDimension,
  subtractDimensions,
  unknown,
} from '../dimension.ts';
import { type Dimension, intOf, intsOf, textOf } from '../model.ts';
import { same } from './elementwise.ts';
import {
  axisOf,
  type KnownValue,
  refuse,
  requireRank,
  type ShapeContext,
  type ShapeRule,
  type ShapeRules,
  typeOf,
} from './rule.ts';

/** Y, Y_h and, for LSTM, Y_c; `layout` 1 has the batch first. */
const recurrent: ShapeRule = (context) => {
  const { node, inputs } = context;
  const [x, , recurrence] = inputs;
  const type = typeOf(context);
  requireRank(context, x?.shape, 3, 3);
  const directions = textOf(node, 'direction', 'forward') === 'bidirectional' ? 2 : 1;
  const hidden = recurrence?.shape?.[2] ?? (intOf(node, 'hidden_size', 0) || unknown);
  const [first = unknown, second = unknown] = x?.shape ?? [];
  const batchFirst = intOf(node, 'layout', 0) === 1;
  const state = { type, shape: batchFirst ? [first, directions, hidden] : [directions, second, hidden] };
  const all = {
    type,
    shape: batchFirst ? [first, second, directions, hidden] : [first, directions, second, hidden],
  };
  return [all, state, state];
};

/** One attention input as [batch, heads, length, width], whether its heads are split or not. */
function splitHeads(value: KnownValue | undefined, heads: number): readonly Dimension[] | undefined {
  const shape = value?.shape;
  if (shape?.length === 4) return shape;
  const [batch = unknown, length = unknown, width = unknown] = shape ?? [];
  return (
    shape && [
      batch,
      heads > 0 ? heads : unknown,
      length,
      heads > 0 ? quotientDimension(width, heads) : unknown,
    ]
  );
}

const attention: ShapeRule = (context) => {
  const { node, inputs } = context;
  const [query, key, value, , pastKey] = inputs;
  const type = typeOf(context);
  requireRank(context, query?.shape, 3, 4);
  const keyHeads = intOf(node, 'kv_num_heads', 0);
  const q = splitHeads(query, intOf(node, 'q_num_heads', 0));
  const k = splitHeads(key, keyHeads);
  const v = splitHeads(value, keyHeads);
  if (!q || !k || !v) return node.outputs.map(() => ({ type }));
  const [batch = unknown, heads = unknown, length = unknown] = q;
  const width = v[3] ?? unknown;
  const total = addDimensions(pastKey ? (pastKey.shape?.[2] ?? unknown) : 0, k[2] ?? unknown);
  const joined = query?.shape?.length === 3;
  return [
    {
      type,
      shape: joined ? [batch, length, multiplyDimensions([heads, width])] : [batch, heads, length, width],
    },
    { type, shape: [...k.slice(0, 2), total, k[3] ?? unknown] },
    { type, shape: [...v.slice(0, 2), total, width] },
    { type, shape: [batch, heads, length, total] },
  ];
};

/** onnxruntime's attention over separate or packed queries, keys and values. */
const multiHeadAttention: ShapeRule = (context) => {
  const { node, inputs } = context;
  const [query, key, value] = inputs;
  const type = typeOf(context);
  if (!query?.shape) return node.outputs.map(() => ({ type }));
  const heads = intOf(node, 'num_heads', 1);
  const [batch = unknown, length = unknown, width = unknown] = query.shape;
  if (query.shape.length === 5) {
    const packed = multiplyDimensions([query.shape[2] ?? unknown, query.shape[4] ?? unknown]);
    return [{ type, shape: [batch, length, packed] }];
  }
  const past = inputs[6] ? (inputs[6].shape?.[2] ?? unknown) : 0;
  const cached = key?.shape?.length === 4;
  const lengthOfKeys = cached ? (key?.shape?.[2] ?? unknown) : (key?.shape?.[1] ?? unknown);
  const widthOfValues = !value
    ? width
    : value.shape?.length === 4
      ? multiplyDimensions([heads, value.shape[3] ?? unknown])
      : (value.shape?.[2] ?? unknown);
  const total = addDimensions(past, lengthOfKeys);
  return [
    { type, shape: [batch, length, widthOfValues] },
    { type, shape: [batch, heads, total, quotientDimension(width, heads)] },
    { type, shape: [batch, heads, total, quotientDimension(widthOfValues, heads)] },
    { type, shape: [batch, heads, length, total] },
  ];
};

/** onnxruntime's attention that makes queries, keys and values itself: one product with packed weights. */
const packedAttention: ShapeRule = (context) => {
  const { node, inputs } = context;
  const [x, weights, , , past] = inputs;
  const type = typeOf(context);
  if (!x?.shape) return node.outputs.map(() => ({ type }));
  const [batch = unknown, length = unknown] = x.shape;
  const heads = intOf(node, 'num_heads', 1);
  const width = intsOf(node, 'qkv_hidden_sizes')?.[2] ?? quotientDimension(weights?.shape?.[1] ?? unknown, 3);
  const total = addDimensions(past ? (past.shape?.[3] ?? unknown) : 0, length);
  return [
    { type, shape: [batch, length, width] },
    { type, shape: [2, batch, heads, total, quotientDimension(width, heads)] },
  ];
};

const groupQueryAttention: ShapeRule = (context) => {
  const { node, inputs } = context;
  const [query, key] = inputs;
  const type = typeOf(context);
  const [heads, keyHeads] = [intOf(node, 'num_heads', 1), intOf(node, 'kv_num_heads', 1)];
  const [batch = unknown, length = unknown, width = unknown] = query?.shape ?? [];
  const headWidth = quotientDimension(width, key ? heads : heads + 2 * keyHeads);
  const present = { type, shape: [batch, keyHeads, unknown, headWidth] };
  return [
    { type, shape: query?.shape && [batch, length, multiplyDimensions([headWidth, heads])] },
    present,
    present,
  ];
};

/** The half of a spectrum that a real signal needs. */
const oneSide = (length: Dimension): Dimension => addDimensions(floorDivideDimension(length, 2), 1);

function transformAxis(context: ShapeContext, rank: number): number | undefined {
  const { node, inputs } = context;
  if (inputs[2]) {
    const given = inputs[2].elements?.[0];
    return typeof given === 'number' ? axisOf(context, given, rank) : undefined;
  }
  const isOld = node.attributes.axis?.kind === 'int';
  return axisOf(context, isOld ? intOf(node, 'axis', 1) : -2, rank);
}

const discreteFourier: ShapeRule = (context) => {
  const { node, inputs } = context;
  const shape = inputs[0]?.shape;
  const type = typeOf(context);
  requireRank(context, shape, 2);
  if (!shape) return [{ type }];
  const axis = transformAxis(context, shape.length);
  if (axis === undefined) return [{ type, shape: shape.map(() => unknown) }];
  const length = inputs[1] ? (inputs[1].elements?.[0] ?? unknown) : (shape[axis] ?? unknown);
  const one = intOf(node, 'onesided', 0) === 1;
  const inverse = intOf(node, 'inverse', 0) === 1;
  if (one && inverse) {
    const whole = inputs[1] ? length : multiplyDimensions([2, subtractDimensions(length, 1)]);
    return [{ type, shape: shape.with(axis, whole).with(-1, 1) }];
  }
  return [{ type, shape: shape.with(axis, one ? oneSide(length) : length).with(-1, 2) }];
};

const shortTimeFourier: ShapeRule = (context) => {
  const { node, inputs } = context;
  const [signal, stepInput, window, lengthInput] = inputs;
  const type = typeOf(context);
  const step = stepInput?.elements?.[0];
  const length = lengthInput ? (lengthInput.elements?.[0] ?? unknown) : (window?.shape?.[0] ?? unknown);
  const [batch = unknown, samples = unknown] = signal?.shape ?? [];
  if (typeof step === 'number' && step < 1) refuse(context, `expected a step above 0, got ${step}`);
  const frames =
    typeof step === 'number'
      ? addDimensions(floorDivideDimension(subtractDimensions(samples, length), step), 1)
      : unknown;
  return [{ type, shape: [batch, frames, intOf(node, 'onesided', 1) === 1 ? oneSide(length) : length, 2] }];
};

/** Recurrent networks, attention, and transforms of signals. */
export const sequenceRules: ShapeRules = {
  LSTM: recurrent,
  GRU: recurrent,
  RNN: recurrent,
  Attention: attention,
  RotaryEmbedding: same,
  DFT: discreteFourier,
  STFT: shortTimeFourier,
};

/** The same for onnxruntime's own operators. */
export const microsoftSequenceRules: ShapeRules = {
  RotaryEmbedding: same,
  Attention: packedAttention,
  MultiHeadAttention: multiHeadAttention,
  GroupQueryAttention: groupQueryAttention,
};
