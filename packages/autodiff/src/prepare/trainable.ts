/** Which of a graph's weights train. */
import { intOf, type Model, type Node, type Tensor, usedValues } from '@murmuration/onnx';
import { AutodiffError } from '../errors.ts';
import { withoutGradient } from '../rules/table.ts';
import { firstNames, matchesPattern } from './patterns.ts';

/** What trains: every weight, those with matching names, or small matrices beside chosen weights. */
export type Trainable =
  | { readonly kind: 'all' }
  /** Names of weights; `*` stands for any text, a pattern without it for any part of a name, `!` in front excludes. */
  | { readonly kind: 'pattern'; readonly patterns: readonly string[] }
  /**
   * Low-rank adaptation (Hu et al. 2021): y = x·W + (alpha/rank)·(x·A)·B with A and B trained. `targets` are patterns
   * of names of weights, or of the matrix products that use them.
   */
  | {
      readonly kind: 'lora';
      readonly rank: number;
      /** Twice the rank unless said otherwise. */
      readonly alpha?: number;
      readonly targets: readonly string[];
    };

/** Tables that exporters write like weights, and that nobody trains: the frequencies of rotary embeddings. */
const tables = ['*inv_freq', '*rotary_emb*'];

/** Where a single number is a weight like others: a bias, the slope of a PRelu. */
const singleWeights: Readonly<Record<string, readonly number[]>> = {
  Add: [0, 1],
  Gemm: [1, 2],
  MatMul: [0, 1],
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  PRelu: [1],
  BatchNormalization: [1, 2],
  LayerNormalization: [1, 2],
  InstanceNormalization: [1, 2],
};

const positionsIn = (
  table: Readonly<Record<string, readonly number[]>>,
  operator: string,
): readonly number[] => (Object.hasOwn(table, operator) ? (table[operator] ?? []) : []);

/** Values that stand where a single number is a weight. */
const singleWeightsOf = (model: Model): ReadonlySet<string> =>
  new Set(
    model.graph.nodes.flatMap(({ operator, inputs }) =>
      positionsIn(singleWeights, operator).map((index) => inputs[index] ?? ''),
    ),
  );

/** Inputs of operators that set how they work and are no weights, by position. */
const settingInputs: Readonly<Record<string, readonly number[]>> = {
  Clip: [1, 2],
  Dropout: [1],
  Pad: [2],
  Resize: [1, 2],
  OneHot: [2],
  QuantizeLinear: [1],
  DequantizeLinear: [1],
  BatchNormalization: [3, 4],
  RotaryEmbedding: [1, 2],
};

const usesAsWeight = (node: Node, name: string): boolean =>
  !withoutGradient.has(node.operator) &&
  (node.inputs.some(
    (input, index) => input === name && !positionsIn(settingInputs, node.operator).includes(index),
  ) ||
    (!node.inputs.includes(name) && usedValues(node).includes(name)));

/** The values on which the loss depends in a way that could have a gradient. */
function reachesLoss(model: Model, loss: string): ReadonlySet<string> {
  const reaching = new Set([loss]);
  for (const node of model.graph.nodes.toReversed()) {
    if (withoutGradient.has(node.operator) || !node.outputs.some((output) => reaching.has(output))) continue;
    for (const value of usedValues(node)) if (usesAsWeight(node, value)) reaching.add(value);
  }
  return reaching;
}

/**
 * The float32 initializers that reach the loss as weights: all that can train, in the order of the graph. A single
 * number counts where it is a bias or a slope, without dimensions never; known tables do not.
 */
export function weightsOf(model: Model, loss: string): readonly Tensor[] {
  const reaching = reachesLoss(model, loss);
  const singles = singleWeightsOf(model);
  return model.graph.initializers.filter(
    ({ name, type, shape, data }) =>
      type === 'float32' &&
      shape.length > 0 &&
      (data.length > 1 || singles.has(name)) &&
      reaching.has(name) &&
      !matchesPattern(name, tables),
  );
}

/** The weights among `weights` that patterns choose. Throws `AutodiffError` `bad-request` when one chooses nothing. */
export function chooseWeights(weights: readonly Tensor[], patterns: readonly string[]): readonly Tensor[] {
  const excluding = patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1));
  const including = patterns.filter((pattern) => !pattern.startsWith('!'));
  const idle = [...including, ...excluding].find(
    (pattern) => !weights.some(({ name }) => matchesPattern(name, [pattern])),
  );
  if (idle !== undefined || patterns.length === 0)
    throw new AutodiffError(
      `expected patterns that match weights, got ${idle === undefined ? 'none' : JSON.stringify(idle)}; ` +
        `the weights are ${firstNames(new Set(weights.map(({ name }) => name)))}`,
      { code: 'bad-request', patterns },
    );
  return weights.filter(
    ({ name }) =>
      (including.length === 0 || matchesPattern(name, including)) && !matchesPattern(name, excluding),
  );
}

/** A running statistic of a batch normalization in training mode. */
export interface Statistic {
  readonly name: string;
  /** How much of the old value a step keeps. */
  readonly momentum: number;
}

/** The running means and variances that training moves: those of nodes that normalize by the batch. */
export function statisticsOf(model: Model): readonly Statistic[] {
  const initializers = new Set(model.graph.initializers.map(({ name }) => name));
  const found = new Map<string, Statistic>();
  for (const node of model.graph.nodes) {
    if (node.operator !== 'BatchNormalization' || intOf(node, 'training_mode', 0) === 0) continue;
    const momentum = node.attributes.momentum?.kind === 'float' ? node.attributes.momentum.value : 0.9;
    for (const name of node.inputs.slice(3, 5))
      if (initializers.has(name)) found.set(name, { name, momentum });
  }
  return [...found.values()];
}
