/**
 * The decoder-only transformer as a forward graph (Radford et al. 2019): token + learned position embedding, blocks
 * of pre-LayerNorm causal self-attention and GELU MLP (4 × width), a last LayerNorm and an untied output head.
 *
 * Activations are kept as [batch·context, width], so that every weight meets them in one Gemm with its bias, and so
 * that a weight's gradient is one Gemm too; only attention needs [batch, heads, context, width/heads]. Keys have no
 * bias: it would add the same number to all scores of a query, which softmax cancels. The scores' division by
 * √(width/heads) is part of the queries' Gemm, where it costs nothing.
 */
import { gptBounds, initialDeviation } from './defaults.ts';
import { OnnxError } from './errors.ts';
import { createGraphBuilder, type GraphBuilder } from './graph-builder.ts';
import type { GptConfig, InitialDistribution, ParameterDeclaration } from './index.ts';
import { float, float32Tensor, int, ints, type Model, tensorAttribute } from './model.ts';
import { parametersKey } from './parameters.ts';

/** A uniform distribution of standard deviation d has the limit d·√3. */
const uniform = (deviation: number): InitialDistribution => ({
  kind: 'uniform',
  limit: deviation * Math.sqrt(3),
});
const constant = (value: number): InitialDistribution => ({ kind: 'constant', value });

function checkConfig(config: GptConfig): void {
  for (const [key, maximum] of Object.entries(gptBounds)) {
    const value = config[key as keyof GptConfig];
    if (!Number.isSafeInteger(value) || value < 1 || value > maximum)
      throw new OnnxError(`gpt ${key}: expected an integer from 1 to ${maximum}, got ${String(value)}`, {
        code: 'bad-config',
        key,
        value,
      });
  }
  if (config.width % config.heads !== 0)
    throw new OnnxError(`gpt width: expected a multiple of heads = ${config.heads}, got ${config.width}`, {
      code: 'bad-config',
      key: 'width',
      value: config.width,
    });
}

/** Builds one model: the graph so far, and the parameters declared so far. */
class GptBuilder {
  readonly config: GptConfig;
  readonly graph: GraphBuilder = createGraphBuilder('gpt');
  readonly parameters: ParameterDeclaration[] = [];
  /** Shapes made at run time: of heads [batch, context, heads, width/heads]. */
  headShape = '';
  /** [context, context]: 0 where a query may look, else a number that softmax makes 0. */
  mask = '';

  constructor(config: GptConfig) {
    this.config = config;
  }

  parameter(name: string, shape: readonly number[], initial: InitialDistribution): string {
    const isBorder = /^(embedding|head)\./.test(name);
    this.parameters.push({
      name,
      shape,
      initial,
      decays: shape.length > 1,
      ...(isBorder && { hidden: false }),
    });
    return this.graph.input(name, 'float32', shape);
  }

  norm(name: string, x: string): string {
    const { width } = this.config;
    const gain = this.parameter(`${name}.gain`, [width], constant(1));
    const bias = this.parameter(`${name}.bias`, [width], constant(0));
    return this.graph.node(
      'LayerNormalization',
      [x, gain, bias],
      { axis: int(-1), epsilon: float(1e-5) },
      name,
    );
  }

  /** scale·(x·weight + bias). */
  linear(
    name: string,
    x: string,
    [from, to]: readonly [number, number],
    deviation: number,
    { biased = true, scale = 1 }: { biased?: boolean; scale?: number } = {},
  ): string {
    const weight = this.parameter(`${name}.weight`, [from, to], uniform(deviation));
    const bias = biased ? [this.parameter(`${name}.bias`, [to], constant(0))] : [];
    const attributes = scale === 1 ? {} : { alpha: float(scale), beta: float(scale) };
    return this.graph.node('Gemm', [x, weight, ...bias], attributes, name);
  }

  /** [batch·context, width] → [batch, heads, …] in the order of `permutation`. */
  heads(x: string, permutation: readonly number[]): string {
    const split = this.graph.node('Reshape', [x, this.headShape]);
    return this.graph.node('Transpose', [split], { perm: ints(permutation) });
  }

  attention(name: string, x: string): string {
    const { graph } = this;
    const { width, heads, layers } = this.config;
    const scale = 1 / Math.sqrt(width / heads);
    const query = this.linear(`${name}.query`, x, [width, width], initialDeviation, { scale });
    const key = this.linear(`${name}.key`, x, [width, width], initialDeviation, { biased: false });
    const value = this.linear(`${name}.value`, x, [width, width], initialDeviation);
    const scores = graph.node(
      'MatMul',
      [this.heads(query, [0, 2, 1, 3]), this.heads(key, [0, 2, 3, 1])],
      {},
      `${name}.scores`,
    );
    const masked = graph.node('Add', [scores, this.mask]);
    const weights = graph.node('Softmax', [masked], { axis: int(-1) }, `${name}.weights`);
    const mixed = graph.node('MatMul', [weights, this.heads(value, [0, 2, 1, 3])]);
    const together = graph.node('Transpose', [mixed], { perm: ints([0, 2, 1, 3]) });
    const flat = graph.node('Reshape', [together, graph.int64s([-1, width])]);
    return this.linear(`${name}.output`, flat, [width, width], initialDeviation / Math.sqrt(2 * layers));
  }

  mlp(name: string, x: string): string {
    const { width, layers } = this.config;
    const wide = this.linear(`${name}.expand`, x, [width, 4 * width], initialDeviation);
    const active = this.graph.node('Gelu', [wide]);
    return this.linear(
      `${name}.contract`,
      active,
      [4 * width, width],
      initialDeviation / Math.sqrt(2 * layers),
    );
  }

  embedding(tokens: string): string {
    const { graph } = this;
    const { vocabulary, context, width, heads } = this.config;
    const batchSize = graph.node('Shape', [tokens], { start: int(0), end: int(1) }, 'batch');
    const contextSize = graph.node('Shape', [tokens], { start: int(1), end: int(2) }, 'context');
    this.headShape = graph.node(
      'Concat',
      [batchSize, contextSize, graph.int64s([heads, width / heads])],
      { axis: int(0) },
      'headShape',
    );
    const square = graph.node('Concat', [contextSize, contextSize], { axis: int(0) });
    const hidden = graph.node('ConstantOfShape', [square], {
      value: tensorAttribute(float32Tensor('', [-1e9])),
    });
    this.mask = graph.node('Trilu', [hidden, graph.int64(1)], { upper: int(1) }, 'mask');

    const table = this.parameter('embedding.token', [vocabulary, width], uniform(initialDeviation));
    const positions = this.parameter('embedding.position', [context, width], uniform(initialDeviation));
    const seen = graph.node('Slice', [positions, graph.int64s([0]), contextSize, graph.int64s([0])]);
    const sum = graph.node('Add', [graph.node('Gather', [table, tokens]), seen]);
    return graph.node('Reshape', [sum, graph.int64s([-1, width])], {}, 'embedding');
  }

  build(): Model {
    const { graph } = this;
    const { vocabulary, width, layers } = this.config;
    const tokens = graph.input('tokens', 'int64', ['batch', 'context']);
    const targets = graph.input('targets', 'int64', ['batch', 'context']);
    let stream = this.embedding(tokens);
    for (let layer = 0; layer < layers; layer++) {
      const name = `layer.${layer}`;
      const attended = this.attention(`${name}.attention`, this.norm(`${name}.attention.norm`, stream));
      stream = graph.node('Add', [stream, attended]);
      const processed = this.mlp(`${name}.mlp`, this.norm(`${name}.mlp.norm`, stream));
      stream = graph.node('Add', [stream, processed]);
    }
    const scores = this.linear('head', this.norm('norm', stream), [width, vocabulary], initialDeviation, {
      biased: false,
    });

    const logitsShape = graph.node('Concat', ['batch', 'context', graph.int64s([vocabulary])], {
      axis: int(0),
    });
    const logits = graph.node('Reshape', [scores, logitsShape], {}, 'logits');
    const logProbabilities = graph.node('LogSoftmax', [scores], { axis: int(-1) });
    const column = graph.node('Reshape', [targets, graph.int64s([-1, 1])]);
    const chosen = graph.node('GatherElements', [logProbabilities, column], { axis: int(1) });
    const mean = graph.node('ReduceMean', [chosen], { keepdims: int(0) });
    const loss = graph.node('Neg', [mean], {}, 'loss');
    graph.output(loss, 'float32', []);
    graph.output(logits, 'float32', ['batch', 'context', vocabulary]);
    return graph.model({ [parametersKey]: JSON.stringify(this.parameters) });
  }
}

/**
 * The transformer's training model: inputs `tokens` and `targets` (int64 [batch, context], context at most
 * `config.context`) and the parameters; outputs `loss` (mean nats per token) and `logits`. Throws `OnnxError`
 * `bad-config`.
 */
export function gpt(config: GptConfig): Model {
  checkConfig(config);
  return new GptBuilder(config).build();
}
