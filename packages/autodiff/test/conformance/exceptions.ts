/**
 * Models whose stored outputs stock onnxruntime's CPU provider does not give, and models whose gradients central
 * differences cannot confirm, by reason. Tests require each one listed to fail, so that the lists stay exact.
 */
import type { ConformanceCase } from './cases.ts';

/** How the lists name a case. */
export const caseKey = ({ name, opset }: ConformanceCase): string => `${name}@${opset}`;

type Exceptions = Readonly<Record<string, readonly string[]>>;

/** Models that run and give other values each time. */
export const atRandom: readonly string[] = [
  ...['training_dropout', 'training_dropout_default', 'training_dropout_mask'].flatMap((name) => [
    `${name}@13`,
    `${name}@22`,
  ]),
  ...['training_dropout_default_mask@13', 'training_dropout_default_mask@22'],
  ...['bernoulli@15', 'bernoulli_double@15', 'bernoulli_seed@15'],
  ...['bernoulli@22', 'bernoulli_double@22', 'bernoulli_seed@22'],
];

/** Reason → models that are not run, or give something else. */
export const notEqual: Exceptions = {
  'drawn at random': atRandom,
  'onnxruntime has no kernel for a power of unsigned integers': [
    ...['pow_types_float32_uint32@15', 'pow_types_float32_uint64@15'],
  ],
  'onnxruntime has no recurrent kernel for layout 1': [
    ...['gru_batchwise@14', 'gru_batchwise@22', 'lstm_batchwise@14', 'lstm_batchwise@22'],
    ...['simple_rnn_batchwise@14', 'simple_rnn_batchwise@22'],
  ],
  'onnxruntime aligns the corners of a cut-off grid otherwise': [
    ...[
      'resize_downsample_scales_cubic_align_corners',
      'resize_downsample_scales_linear_align_corners',
    ].flatMap((name) => [`${name}@13`, `${name}@19`]),
  ],
  'onnxruntime reads the indices of MaxUnpool as places in the larger output': [
    ...['maxunpool_export_with_output_shape@11', 'maxunpool_export_with_output_shape@22'],
  ],
  'the batched Scan of operator set 8 is not upgraded': ['scan_sum@8'],
  'the stored input has another rank than the model declares': [
    ...['castlike_BFLOAT16_to_FLOAT@15', 'castlike_BFLOAT16_to_FLOAT_expanded@15'],
    ...['castlike_FLOAT_to_BFLOAT16@15', 'castlike_FLOAT_to_BFLOAT16_expanded@15'],
  ],
};

/** Reason → models of operators with a rule whose gradients are not confirmed. */
export const notChecked: Exceptions = {
  'the rule refuses a largest element counted by columns': [
    ...['maxpool_with_argmax_2d_precomputed_strides@12', 'maxpool_with_argmax_2d_precomputed_strides@22'],
  ],
};

/** All models of a table. */
export const listed = (exceptions: Exceptions): ReadonlySet<string> =>
  new Set(Object.values(exceptions).flat());
