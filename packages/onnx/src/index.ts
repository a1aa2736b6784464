/**
 * ONNX models as plain values: read from and written to protobuf bytes, checked, given shapes; and `gpt(config)`,
 * the decoder-only transformer that the demo trains.
 *
 * A *training model* of this project is a forward graph whose parameters are graph inputs (no data inside), listed
 * with shape and initial distribution under the metadata key `murmuration.parameters` (JSON). Other inputs of gpt:
 * `tokens`, `targets` (int64 [batch, context], symbolic dimensions). Outputs: `loss` (float scalar, mean nats per
 * token), `logits` (float [batch, context, vocabulary]).
 *
 * @example
 * const model = gpt({ vocabulary: 260, context: 128, width: 128, layers: 4, heads: 4 });
 * const vector = initializeParameters(parametersOf(model), 'seed');
 * const file = writeModel(embedParameters(model, vector));
 */
export { checkModel } from './check-model.ts';
export { OnnxError } from './errors.ts';
export { gpt } from './gpt.ts';
export * from './graph-builder.ts';
export { inferShapes, type KnownValue } from './infer-shapes.ts';
export * from './model.ts';
export { embedParameters, initializeParameters, parametersKey, parametersOf } from './parameters.ts';
export { pruneModel } from './prune.ts';
export { readModel } from './read-model.ts';
export { writeModel } from './write-model.ts';

/** How a parameter's first values are drawn; exact on every platform. */
export type InitialDistribution =
  | { readonly kind: 'uniform'; readonly limit: number }
  | { readonly kind: 'constant'; readonly value: number };

/** One parameter of a training model: a float32 input of the graph. */
export interface ParameterDeclaration {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initial: InitialDistribution;
  /** Whether weight decay applies. */
  readonly decays: boolean;
}

/** Sizes of the transformer. `context` is the longest one; `width` is a multiple of `heads`. */
export interface GptConfig {
  readonly vocabulary: number;
  readonly context: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
}
