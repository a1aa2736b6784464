/**
 * Attention as two products and a softmax. Queries that share a head of keys are laid one after another along their
 * rows, so that keys and values are never repeated. Masks of truth values become numbers that are added: adding has
 * no gradient to compute, and a number that is far below any score is as good as minus infinity, without its NaN for
 * rows in which nothing may be seen.
 */
import { float, floatOf, int, intOf, ints, microsoft } from '@murmuration/onnx';
import type { LoweringContext } from '../passes/lower-operators.ts';

/** Far below any score, and so far from the limit of float32 that a few of them can be added. */
const hiddenScore = -1e30;

/** Queries, keys and values with their heads split: [batch, heads, length, width]. */
export interface AttentionInputs {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly heads: number;
  readonly keyHeads: number;
}

/** How scores become weights. */
export interface AttentionSettings {
  /** What scores are multiplied by. */
  readonly scale: number;
  /** 0: none. */
  readonly softcap: number;
  /** What is added to the scores; broadcast to [batch, heads, queries, keys]. */
  readonly bias: readonly string[];
}

/** What attention gives, and what lies on the way. */
export interface AttentionResult {
  /** [batch, heads, queries, width of values]. */
  readonly mixed: string;
  readonly scores: string;
  readonly capped: string;
  readonly masked: string;
  readonly weights: string;
}

/** [batch, length, heads·width] as [batch, heads, length, width]; other values as they are. */
export function splitHeads(context: LoweringContext, value: string, heads: number): string {
  const { op, backward, shapeOf } = context;
  if (shapeOf(value).length !== 3) return value;
  const width = shapeOf(value)[2];
  const each = typeof width === 'number' ? width / heads : -1;
  if (!Number.isInteger(each))
    context.refuse(`expected a width that ${heads} heads share evenly, got ${width}`);
  const split = op('Reshape', [value, backward.graph.int64s([0, 0, heads, each])]);
  return op('Transpose', [split], { perm: ints([0, 2, 1, 3]) });
}

/** [batch, heads, length, width] as [batch, length, heads·width]. */
export function joinHeads({ op, backward, shapeOf }: LoweringContext, value: string): string {
  const [, heads, , width] = shapeOf(value);
  const joined = typeof heads === 'number' && typeof width === 'number' ? heads * width : -1;
  const turned = op('Transpose', [value], { perm: ints([0, 2, 1, 3]) });
  return op('Reshape', [turned, backward.graph.int64s([0, 0, joined])]);
}

/** scale·q·kᵀ, in one operator where there is one. */
function scoresOf({ op, backward }: LoweringContext, query: string, key: string, scale: number): string {
  if (backward.typeOf(query) === 'float32')
    return op('FusedMatMul', [query, key], { transB: int(1), alpha: float(scale) }, microsoft);
  const scaled = op('Mul', [query, backward.number(scale, query)]);
  return op('MatMul', [scaled, op('Transpose', [key], { perm: ints([0, 1, 3, 2]) })]);
}

/** Attention over split heads. */
export function attend(
  context: LoweringContext,
  { query, key, value, heads, keyHeads }: AttentionInputs,
  settings: AttentionSettings,
): AttentionResult {
  const { op, backward } = context;
  const { graph } = backward;
  if (heads % keyHeads !== 0)
    context.refuse(`expected query heads that are a multiple of ${keyHeads} key heads, got ${heads}`);
  const grouped = heads !== keyHeads;
  const byKeyHead = (each: string): string =>
    grouped ? op('Reshape', [each, graph.int64s([0, keyHeads, -1, context.sizeOf(each, 3)])]) : each;
  const product = scoresOf(context, byKeyHead(query), key, settings.scale);
  const scores = grouped ? op('Reshape', [product, graph.int64s([0, heads, -1, 0])]) : product;
  const cap = (each: string): string => {
    if (settings.softcap === 0) return each;
    const limit = backward.number(settings.softcap, each);
    return op('Mul', [op('Tanh', [op('Div', [each, limit])]), limit]);
  };
  const capped = cap(scores);
  const masked = settings.bias.reduce((sum, bias) => op('Add', [sum, bias]), capped);
  const weights = op('Softmax', [masked], { axis: int(-1) });
  const rows = grouped ? op('Reshape', [weights, graph.int64s([0, keyHeads, -1, 0])]) : weights;
  const sums = op('MatMul', [rows, value]);
  const mixed = grouped
    ? op('Reshape', [sums, graph.int64s([0, heads, -1, context.sizeOf(value, 3)])])
    : sums;
  return { mixed, scores, capped, masked, weights };
}

/** 0 where a condition holds, and far below any score where not; one dimension per condition's. */
export const hideUnless = ({ op, backward }: LoweringContext, condition: string, like: string): string =>
  op('Where', [condition, backward.number(0, like), backward.number(hiddenScore, like)]);

/** Positions 0 … length − 1 of the axis before the last, as a column or a row. */
function positions(context: LoweringContext, value: string, as: 'column' | 'row'): string {
  const { op, backward } = context;
  const { graph } = backward;
  const length = backward.shapeOf(value)[2];
  const count =
    typeof length === 'number'
      ? graph.int64(length)
      : op('Squeeze', [backward.sizeValue(value, 2), graph.int64s([0])]);
  const range = op('Range', [graph.int64(0), count, graph.int64(1)]);
  return op('Unsqueeze', [range, graph.int64s([as === 'column' ? 1 : 0])]);
}

/**
 * What hides later keys from earlier queries, and keys that are `window` or more positions back, as numbers to add
 * [queries, keys]. Queries stand behind `earlier` keys, if there are any. One value for all nodes with the same
 * lengths.
 */
export function causalBias(
  context: LoweringContext,
  query: string,
  key: string,
  window = 0,
  earlier = '',
): string {
  const { op, backward, shapeOf } = context;
  const lengths = [shapeOf(query)[2], shapeOf(key)[2]];
  const make = (): string => {
    const columns = positions(context, key, 'row');
    const own = positions(context, query, 'column');
    const rows = earlier === '' ? own : op('Add', [own, backward.sizeValue(earlier, 2)]);
    const past = op('GreaterOrEqual', [rows, columns]);
    if (window <= 0) return hideUnless(context, past, query);
    const near = op('Less', [op('Sub', [rows, columns]), backward.graph.int64(window)]);
    return hideUnless(context, op('And', [past, near]), query);
  };
  const known = earlier === '' && lengths.every((length) => length !== undefined && length !== '?');
  return known ? context.once(`causal:${backward.typeOf(query)}:${lengths}:${window}`, make) : make();
}

/** Refuses keys and values of earlier runs, which training never has; ones without any length are none. */
export function refusePast(context: LoweringContext, indices: readonly number[]): void {
  for (const index of indices) {
    const past = context.input(index);
    if (past !== '' && context.shapeOf(past)[2] !== 0)
      context.refuse('expected no keys and values of earlier runs, got some; they have no gradient');
  }
}

/** The scale that a node sets, or one over the root of the heads' width. */
export function scaleOf(context: LoweringContext, query: string): number {
  const given = floatOf(context.node, 'scale', 0);
  return given !== 0 ? given : 1 / Math.sqrt(context.sizeOf(query, 3));
}

/** ONNX's Attention, with keys and values of earlier runs where they are given. */
export function attention(context: LoweringContext): readonly (string | undefined)[] {
  const { node, shapeOf, input, backward } = context;
  if (input(6) !== '') context.refuse('expected no lengths of unpadded keys, got some');
  const joined = shapeOf(input(0)).length === 3;
  const headsOf = (index: number, attribute: string): number =>
    joined ? intOf(node, attribute, 0) : context.sizeOf(input(index), 1);
  const [heads, keyHeads] = [headsOf(0, 'q_num_heads'), headsOf(1, 'kv_num_heads')];
  if (heads < 1 || keyHeads < 1)
    context.refuse(`expected q_num_heads and kv_num_heads with three-dimensional inputs, got ${heads}`);
  const query = splitHeads(context, input(0), heads);
  const after = (past: string, value: string): string =>
    past === '' ? value : context.op('Concat', [past, value], { axis: int(2) });
  const key = after(input(4), splitHeads(context, input(1), keyHeads));
  const value = after(input(5), splitHeads(context, input(2), keyHeads));
  const mask = input(3);
  const bias = [
    ...(mask === '' ? [] : [backward.typeOf(mask) === 'bool' ? hideUnless(context, mask, query) : mask]),
    ...(intOf(node, 'is_causal', 0) === 1 ? [causalBias(context, query, key, 0, input(4))] : []),
  ];
  const result = attend(
    context,
    { query, key, value, heads, keyHeads },
    { scale: scaleOf(context, query), softcap: floatOf(node, 'softcap', 0), bias },
  );
  const stages = [result.scores, result.masked, result.capped, result.weights];
  return [
    joined ? joinHeads(context, result.mixed) : result.mixed,
    context.has(1) ? key : undefined,
    context.has(2) ? value : undefined,
    context.has(3) ? stages[intOf(node, 'qk_matmul_output_mode', 0)] : undefined,
  ];
}
