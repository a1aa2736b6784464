/** onnxruntime's own attention operators, as its optimizer writes them into models. */
import { floatOf, int, intOf, intsOf, microsoft } from '@murmuration/onnx';
import { typeCodes } from '../element-types.ts';
import type { LoweringContext } from '../passes/lower-operators.ts';
import {
  type AttentionInputs,
  attend,
  causalBias,
  joinHeads,
  refusePast,
  scaleOf,
  splitHeads,
} from './attention.ts';

/** onnxruntime's number for keys that padding hides. */
const paddingScore = -10_000;

/** Parts of a value along its last axis. */
function parts(
  { ops, backward }: LoweringContext,
  value: string,
  sizes: readonly number[],
): readonly string[] {
  return ops('Split', [value, backward.graph.int64s(sizes)], sizes.length, { axis: int(-1) });
}

const unsqueezed = ({ op, backward }: LoweringContext, value: string, axes: readonly number[]): string =>
  op('Unsqueeze', [value, backward.graph.int64s(axes)]);

/**
 * What a mask of keys adds to scores: keys that are present have a 1 at [batch, keys] or [batch, queries, keys], or
 * lie before a length at [batch].
 */
function paddingBias(context: LoweringContext, mask: string, key: string): string {
  const { op, backward, shapeOf, node } = context;
  const { graph } = backward;
  const rank = shapeOf(mask).length;
  if (rank < 1 || rank > 3) context.refuse(`expected a mask of 1 to 3 dimensions, got ${rank}`);
  const length = shapeOf(key)[2];
  const present = (): string => {
    if (rank > 1) return op('Cast', [mask], { to: int(typeCodes.bool) });
    const batch = shapeOf(context.input(0))[0];
    if (typeof batch === 'number' && shapeOf(mask)[0] !== batch)
      context.refuse(`expected one length for each of ${batch} sequences, got [${shapeOf(mask)}]`);
    const count =
      typeof length === 'number'
        ? graph.int64(length)
        : op('Squeeze', [backward.sizeValue(key, 2), graph.int64s([0])]);
    const positions = op('Range', [graph.int64(0), count, graph.int64(1)]);
    return op('Less', [
      positions,
      unsqueezed(context, op('Cast', [mask], { to: int(typeCodes.int64) }), [1]),
    ]);
  };
  const shaped = unsqueezed(context, present(), rank === 3 ? [1] : [1, 2]);
  const score = floatOf(node, 'mask_filter_value', paddingScore);
  return op('Where', [shaped, backward.number(0, key), backward.number(score, key)]);
}

/** Queries, keys and values with biases added; onnxruntime adds none to those whose heads are split already. */
function biased(
  context: LoweringContext,
  values: readonly string[],
  bias: string,
  widths: readonly number[],
): readonly string[] {
  if (bias === '') return values;
  const each = parts(context, bias, widths);
  return values.map((value, index) =>
    context.shapeOf(value).length === 3 ? context.op('Add', [value, each[index] as string]) : value,
  );
}

/** Attention with the bias that is the sixth input, a mask of keys, and causality, as the node has them. */
function attendMasked(context: LoweringContext, inputs: AttentionInputs, mask: string): string {
  const { query, key } = inputs;
  const added = context.input(5);
  const bias = [
    ...(added === '' ? [] : [added]),
    ...(mask === '' ? [] : [paddingBias(context, mask, key)]),
    ...(intOf(context.node, 'unidirectional', 0) === 1 ? [causalBias(context, query, key)] : []),
  ];
  const settings = { scale: scaleOf(context, query), softcap: 0, bias };
  return joinHeads(context, attend(context, inputs, settings).mixed);
}

/** Attention with separate queries, keys and values. */
export function multiHeadAttention(context: LoweringContext): readonly (string | undefined)[] {
  const { node, input, shapeOf } = context;
  refusePast(context, [6, 7]);
  if (input(1) === '' || input(2) === '' || shapeOf(input(1)).length === 5)
    context.refuse('expected separate queries, keys and values, got packed ones');
  const heads = intOf(node, 'num_heads', 0);
  const queryWidth = context.sizeOf(input(0), 2);
  const widthOf = (value: string): number =>
    shapeOf(value).length === 4 ? heads * context.sizeOf(value, 3) : context.sizeOf(value, 2);
  const [query = '', key = '', value = ''] = biased(context, [input(0), input(1), input(2)], input(3), [
    queryWidth,
    widthOf(input(1)),
    widthOf(input(2)),
  ]).map((each) => splitHeads(context, each, heads));
  const joined = attendMasked(context, { query, key, value, heads, keyHeads: heads }, input(4));
  return [joined, context.has(1) ? key : undefined, context.has(2) ? value : undefined];
}

/** Attention that also multiplies its input with the weights of queries, keys and values. */
export function packedAttention(context: LoweringContext): readonly (string | undefined)[] {
  const { node, input, op } = context;
  if (input(4) !== '') context.refuse('expected no keys and values of earlier runs, got some');
  if (intOf(node, 'do_rotary', 0) === 1) context.refuse('expected no rotation inside');
  const heads = intOf(node, 'num_heads', 0);
  const third = context.sizeOf(input(1), 1) / 3;
  const widths = intsOf(node, 'qkv_hidden_sizes') ?? [third, third, third];
  const product = op('MatMul', [input(0), input(1)]);
  const all = input(2) === '' ? product : op('Add', [product, input(2)]);
  const [query = '', key = '', value = ''] = parts(context, all, widths).map((each) =>
    splitHeads(context, each, heads),
  );
  return [attendMasked(context, { query, key, value, heads, keyHeads: heads }, input(3))];
}

/** Rotates queries or keys from position 0 on. */
function rotated(context: LoweringContext, value: string, heads: number): string {
  const { op, node, input, backward } = context;
  const position = input(9) === '' ? backward.graph.int64s([0]) : input(9);
  const attributes = {
    num_heads: int(heads),
    interleaved: int(intOf(node, 'rotary_interleaved', 0)),
  };
  return op('RotaryEmbedding', [value, position, input(7), input(8)], attributes, microsoft);
}

/**
 * Causal attention of decoders, without keys of earlier runs. Lengths of sequences are not looked at: what pads a
 * sequence stands behind it, where no earlier query sees it.
 */
export function groupQueryAttention(context: LoweringContext): readonly (string | undefined)[] {
  const { node, input } = context;
  refusePast(context, [3, 4]);
  if (input(11) !== '' || intOf(node, 'smooth_softmax', 0) === 1)
    context.refuse('expected a softmax without a sink, got one with');
  const heads = intOf(node, 'num_heads', 0);
  const keyHeads = intOf(node, 'kv_num_heads', 0);
  const packed = input(1) === '';
  const each = packed ? context.sizeOf(input(0), 2) / (heads + 2 * keyHeads) : 0;
  const joined = packed
    ? parts(context, input(0), [heads * each, keyHeads * each, keyHeads * each])
    : [input(0), input(1), input(2)];
  const rotates = intOf(node, 'do_rotary', 0) === 1;
  const [query = '', key = '', value = ''] = joined.map((part, index) => {
    const own = index === 0 ? heads : keyHeads;
    return splitHeads(context, rotates && index < 2 ? rotated(context, part, own) : part, own);
  });
  const window = intOf(node, 'local_window_size', -1);
  const bias = [...(input(10) === '' ? [] : [input(10)]), causalBias(context, query, key, window)];
  const settings = { scale: scaleOf(context, query), softcap: floatOf(node, 'softcap', 0), bias };
  const { mixed } = attend(context, { query, key, value, heads, keyHeads }, settings);
  return [joinHeads(context, mixed), context.has(1) ? key : undefined, context.has(2) ? value : undefined];
}
