import { type Attributes, float, floats, int, ints, microsoft, text } from '@murmuration/onnx';
import { tensor } from '../run-model.ts';
import { type CaseInput, integers, type RuleCase, truths, x } from './rule-case.ts';

const fixed = (shape: readonly number[], axes: readonly number[]): CaseInput => ({ shape, fixed: axes });
/** A weight or bias: its sizes are numbers. */
const weight = (...shape: readonly number[]): CaseInput =>
  fixed(
    shape,
    shape.map((_, axis) => axis),
  );
/** [batch, length, width] of which batch and length may be symbols. */
const joined = (...shape: readonly number[]): CaseInput => fixed(shape, [2]);
/** [batch, heads, length, width] likewise. */
const split = (...shape: readonly number[]): CaseInput => fixed(shape, [1, 3]);
const int32s = (values: readonly number[], shape: readonly number[]): CaseInput => ({
  constant: tensor(shape, values, 'int32'),
});
const table = (rows: number, columns: number): CaseInput => ({
  constant: tensor(
    [rows, columns],
    Array.from({ length: rows * columns }, (_, index) => Math.sin(1 + index)),
  ),
});
const seen = truths([1, 1, 0, 1, 0, 1, 1, 1, 0, 1, 1, 0], [3, 4]);

const heads = (query: number, key: number): Attributes => ({
  q_num_heads: int(query),
  kv_num_heads: int(key),
});
const multi: Attributes = { num_heads: int(2) };
const grouped: Attributes = { num_heads: int(4), kv_num_heads: int(2) };
const lengths: readonly CaseInput[] = [int32s([2, 2], [2]), int32s([3], [])];
const cache: readonly CaseInput[] = [table(5, 4), table(5, 4)];

const ofOnnx: readonly RuleCase[] = [
  { operator: 'Attention', inputs: [split(2, 2, 3, 4), split(2, 2, 5, 4), split(2, 2, 5, 3)] },
  {
    operator: 'Attention',
    inputs: [joined(2, 3, 8), joined(2, 4, 4), joined(2, 4, 6)],
    attributes: heads(4, 2),
    note: 'grouped queries',
  },
  {
    operator: 'Attention',
    inputs: [split(2, 4, 3, 2), split(2, 2, 3, 2), split(2, 2, 3, 2)],
    attributes: { is_causal: int(1), scale: float(0.9) },
    note: 'causal, grouped queries',
  },
  {
    operator: 'Attention',
    inputs: [joined(2, 3, 4), joined(2, 4, 4), joined(2, 4, 4), seen],
    attributes: { ...heads(2, 2), softcap: float(1.5) },
    note: 'mask and cap',
  },
  {
    operator: 'Attention',
    inputs: [split(2, 2, 3, 2), split(2, 2, 4, 2), split(2, 2, 4, 2), x(2, 1, 3, 4)],
    attributes: { is_causal: int(1), qk_matmul_output_mode: int(1) },
    note: 'trained bias',
  },
  {
    operator: 'Attention',
    inputs: [split(2, 2, 3, 2), split(2, 2, 4, 2), split(2, 2, 4, 2), 'absent', 'absent', 'absent'],
    attributes: { qk_matmul_output_mode: int(3) },
    outputs: 4,
    note: 'all outputs',
  },
  { operator: 'RMSNormalization', inputs: [x(2, 3, 5), x(5)] },
  {
    operator: 'RMSNormalization',
    inputs: [x(2, 3, 4), x(3, 4)],
    attributes: { axis: int(1), epsilon: float(0.1) },
  },
  { operator: 'SimplifiedLayerNormalization', inputs: [x(3, 5), x(5)] },
  {
    operator: 'RotaryEmbedding',
    inputs: [split(2, 2, 3, 8), ...cache, integers([0, 1, 2, 3, 4, 1], [2, 3])],
  },
  {
    operator: 'RotaryEmbedding',
    inputs: [joined(2, 3, 16), table(5, 3), table(5, 3), integers([4, 0, 2, 2, 1, 0], [2, 3])],
    attributes: { num_heads: int(2), interleaved: int(1), rotary_embedding_dim: int(6) },
    note: 'interleaved, part of the width',
  },
  {
    operator: 'RotaryEmbedding',
    inputs: [
      split(1, 2, 3, 8),
      ...[1, 2].map(
        (seed): CaseInput => ({
          constant: tensor(
            [1, 3, 4],
            Array.from({ length: 12 }, (_, index) => Math.cos(seed * index)),
          ),
        }),
      ),
    ],
    note: 'cosines per position',
  },
];

const trainedAngles: readonly RuleCase[] = [
  {
    operator: 'RotaryEmbedding',
    inputs: [joined(2, 3, 16), weight(5, 3), weight(5, 3), integers([4, 0, 2, 2, 1, 0], [2, 3])],
    attributes: { num_heads: int(2), interleaved: int(1), rotary_embedding_dim: int(6) },
    note: 'trained angles',
  },
  {
    operator: 'RotaryEmbedding',
    inputs: [split(2, 2, 3, 8), fixed([2, 3, 4], [2]), fixed([2, 3, 4], [2])],
    note: 'trained angles per position',
  },
  {
    operator: 'RotaryEmbedding',
    domain: microsoft,
    inputs: [joined(2, 3, 16), integers([1]), weight(5, 4), weight(5, 4)],
    attributes: { num_heads: int(2) },
    note: 'trained angles from a position on',
  },
  {
    operator: 'RotaryEmbedding',
    domain: microsoft,
    inputs: [joined(2, 3, 16), integers([1]), table(5, 4), table(5, 4)],
    attributes: { num_heads: int(2), interleaved: int(1) },
    note: 'from a position on',
  },
];

const ofMicrosoft = (cases: readonly RuleCase[]): readonly RuleCase[] =>
  cases.map((each) => ({ ...each, domain: microsoft }));

const attentionOfMicrosoft = ofMicrosoft([
  {
    operator: 'MultiHeadAttention',
    inputs: [joined(2, 3, 6), joined(2, 4, 6), joined(2, 4, 4), weight(16)],
    attributes: multi,
    note: 'bias',
  },
  {
    operator: 'MultiHeadAttention',
    inputs: [
      joined(2, 3, 6),
      joined(2, 4, 6),
      joined(2, 4, 6),
      'absent',
      int32s([1, 1, 1, 0, 1, 1, 0, 0], [2, 4]),
      fixed([2, 1, 3, 4], []),
    ],
    attributes: multi,
    note: 'padding and trained bias',
  },
  {
    operator: 'MultiHeadAttention',
    inputs: [joined(2, 3, 6), joined(2, 3, 6), joined(2, 3, 6), 'absent', int32s([3, 2], [2])],
    attributes: { ...multi, unidirectional: int(1), scale: float(0.7) },
    outputs: 3,
    note: 'causal, lengths, all outputs',
  },
  {
    operator: 'MultiHeadAttention',
    inputs: [joined(2, 3, 6), split(2, 2, 4, 3), split(2, 2, 4, 3), weight(18)],
    attributes: multi,
    note: 'split keys',
  },
  {
    operator: 'GroupQueryAttention',
    inputs: [
      joined(2, 3, 64),
      joined(2, 3, 32),
      joined(2, 3, 32),
      'absent',
      'absent',
      ...lengths,
      ...[table(5, 8), table(5, 8)],
    ],
    attributes: { ...grouped, do_rotary: int(1), rotary_interleaved: int(1) },
    note: 'rotation',
  },
  {
    operator: 'GroupQueryAttention',
    inputs: [joined(2, 3, 64), 'absent', 'absent', 'absent', 'absent', ...lengths],
    attributes: { ...grouped, local_window_size: int(2), softcap: float(1.5), scale: float(0.5) },
    note: 'packed, window and cap',
  },
  {
    operator: 'Attention',
    inputs: [joined(2, 3, 4), weight(4, 16), weight(16), int32s([1, 1, 0, 1, 1, 1], [2, 3])],
    attributes: { ...multi, qkv_hidden_sizes: ints([6, 6, 4]), unidirectional: int(1) },
    note: 'packed weights',
  },
]);

const fusedOfMicrosoft = ofMicrosoft([
  { operator: 'BiasGelu', inputs: [x(3, 5), x(5)] },
  { operator: 'FastGelu', inputs: [x(3, 5), x(5)] },
  { operator: 'FastGelu', inputs: [x(3, 5)] },
  { operator: 'QuickGelu', inputs: [x(3, 5)], attributes: { alpha: float(1.3) } },
  { operator: 'Gelu', inputs: [x(3, 5)] },
  { operator: 'Trilu', inputs: [x(4, 4)], attributes: { upper: int(0) } },
  { operator: 'TransposeMatMul', inputs: [x(3, 4), x(5, 4)], attributes: { transB: int(1) } },
  { operator: 'SkipLayerNormalization', inputs: [x(2, 3, 5), x(2, 3, 5), x(5), x(5), x(5)] },
  { operator: 'SkipSimplifiedLayerNormalization', inputs: [x(2, 3, 5), x(2, 3, 5), x(5), x(5)] },
  {
    operator: 'EmbedLayerNormalization',
    inputs: [
      int32s([1, 2, 3, 4, 5, 0], [2, 3]),
      int32s([0, 1, 1, 0, 0, 1], [2, 3]),
      x(6, 4),
      x(5, 4),
      x(2, 4),
      x(4),
      x(4),
      int32s([1, 1, 0, 1, 1, 1], [2, 3]),
    ],
    outputs: 2,
    onlyStatic: true,
  },
  {
    operator: 'FusedConv',
    inputs: [x(1, 2, 4, 4), x(3, 2, 3, 3), x(3), x(1, 3, 2, 2)],
    attributes: { activation: text('LeakyRelu'), activation_params: floats([0.2]) },
    onlyStatic: true,
  },
  {
    operator: 'FusedGemm',
    inputs: [x(4, 5), x(3, 5), x(3)],
    attributes: { transB: int(1), activation: text('Sigmoid') },
  },
]);

/** Attention, what transformers need beside it, and what onnxruntime's optimizer makes of both. */
export const attentionCases: readonly RuleCase[] = [
  ...ofOnnx,
  ...trainedAngles,
  ...attentionOfMicrosoft,
  ...fusedOfMicrosoft,
];
