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
export { describeNode } from './describe-node.ts';
export { OnnxError } from './errors.ts';
export { checkExternalLocation, type ReadExternal } from './external-data.ts';
export { gpt } from './gpt.ts';
export * from './graph-builder.ts';
export { inferNode, inferShapes, inferSubgraph, type KnownValue, type KnownValues } from './infer-shapes.ts';
export * from './model.ts';
export { embedParameters, initializeParameters, parametersKey, parametersOf } from './parameters.ts';
export { type Polynomial, parse as parsePolynomial } from './polynomial.ts';
export { pruneModel } from './prune.ts';
export { type ReadModelInit, readModel } from './read-model.ts';
export { withRunnableOpset } from './runnable-opset.ts';
export { simplifyModel } from './simplify/simplify-model.ts';
export {
  allNames,
  allNodes,
  capturedValues,
  givenNames,
  mapSubgraphs,
  renameGraph,
  renameValues,
  subgraphsOf,
  usedValues,
} from './subgraphs.ts';
export { upgradeModel } from './upgrade/upgrade-model.ts';
export { writeModel } from './write-model.ts';

/** How a parameter's first values are drawn, exact on every platform; or `given`: they come from elsewhere. */
export type InitialDistribution =
  | { readonly kind: 'uniform'; readonly limit: number }
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'given' };

/**
 * How a parameter changes when the optimizer does not move it: a running mean of what batches show (batch
 * normalization). Its "gradient" is its difference to the batch's value, and a step does
 * value ← value − (1 − momentum) · gradient, outside of clipping and weight decay.
 */
export interface AverageUpdate {
  readonly kind: 'average';
  /** In [0, 1). */
  readonly momentum: number;
}

/** One parameter of a training model: a float32 input of the graph. */
export interface ParameterDeclaration {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initial: InitialDistribution;
  /** Whether weight decay applies. */
  readonly decays: boolean;
  /** Unless given, the optimizer moves it. */
  readonly update?: AverageUpdate;
  /** False for a matrix at the network's border (an embedding, an output layer), which Muon leaves to AdamW. */
  readonly hidden?: boolean;
}

/** Sizes of the transformer. `context` is the longest one; `width` is a multiple of `heads`. */
export interface GptConfig {
  readonly vocabulary: number;
  readonly context: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
}
