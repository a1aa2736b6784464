/** Small models of different kinds for devices. */
import {
  createGraphBuilder,
  float,
  type GraphBuilder,
  type InitialDistribution,
  int,
  ints,
  type Model,
  type ParameterDeclaration,
  parametersKey,
} from '@murmuration/onnx';

/** A graph whose parameters are declared as they are used. */
class Layers {
  readonly graph: GraphBuilder;
  readonly #declarations: ParameterDeclaration[] = [];

  constructor(name: string) {
    this.graph = createGraphBuilder(name);
  }

  parameter(
    name: string,
    shape: readonly number[],
    initial: InitialDistribution,
    more: Pick<ParameterDeclaration, 'update'> = {},
  ): string {
    this.#declarations.push({ name, shape, initial, decays: shape.length > 1, ...more });
    return this.graph.input(name, 'float32', shape);
  }

  weight(name: string, shape: readonly number[]): string {
    return this.parameter(name, shape, { kind: 'uniform', limit: 0.4 });
  }

  normalize(name: string, x: string, channels: number): string {
    const constant = (value: number): InitialDistribution => ({ kind: 'constant', value });
    const update = { kind: 'average', momentum: 0.9 } as const;
    const [y = ''] = this.graph.nodes(
      'BatchNormalization',
      [
        x,
        this.parameter(`${name}.scale`, [channels], constant(1)),
        this.parameter(`${name}.shift`, [channels], constant(0)),
        this.parameter(`${name}.mean`, [channels], constant(0), { update }),
        this.parameter(`${name}.variance`, [channels], constant(1), { update }),
      ],
      [`${name}.normal`, `${name}.nextMean`, `${name}.nextVariance`],
      { training_mode: int(1), momentum: float(0.9) },
    );
    return y;
  }

  /** Ends with the cross-entropy of scores [n, classes]. */
  model(scores: string, label: string): Model {
    const [loss = ''] = this.graph.nodes('SoftmaxCrossEntropyLoss', [scores, label], ['loss']);
    this.graph.output(loss, 'float32', []);
    return this.graph.model({ [parametersKey]: JSON.stringify(this.#declarations) });
  }
}

/** `image` [n, 2, 6, 6] and `label`: convolutions with strides and groups, batch normalization, pooling. */
export function convolutional(): Model {
  const layers = new Layers('convolutional');
  const { graph } = layers;
  const image = graph.input('image', 'float32', ['n', 2, 6, 6]);
  const label = graph.input('label', 'int64', ['n']);
  const first = graph.node('Conv', [image, layers.weight('first', [4, 2, 3, 3])], {
    kernel_shape: ints([3, 3]),
    pads: ints([1, 1, 1, 1]),
  });
  const active = graph.node('Relu', [layers.normalize('norm', first, 4)]);
  const pooled = graph.node('MaxPool', [active], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) });
  const grouped = graph.node('Conv', [pooled, layers.weight('grouped', [4, 2, 2, 2])], {
    kernel_shape: ints([2, 2]),
    strides: ints([1, 1]),
    group: int(2),
  });
  const flat = graph.node('Flatten', [graph.node('GlobalAveragePool', [grouped])], { axis: int(1) });
  return layers.model(graph.node('MatMul', [flat, layers.weight('head', [4, 3])]), label);
}

/** `series` [n, 4, 3] and `label`: an LSTM whose last state is told apart. */
export function recurrent(): Model {
  const layers = new Layers('recurrent');
  const { graph } = layers;
  const series = graph.input('series', 'float32', ['n', 4, 3]);
  const label = graph.input('label', 'int64', ['n']);
  const turned = graph.node('Transpose', [series], { perm: ints([1, 0, 2]) });
  const [, last = ''] = graph.nodes(
    'LSTM',
    [
      turned,
      layers.weight('gates', [1, 20, 3]),
      layers.weight('recurrence', [1, 20, 5]),
      layers.weight('biases', [1, 40]),
    ],
    ['', 'last'],
    { hidden_size: int(5) },
  );
  const state = graph.node('Squeeze', [last, graph.int64s([0])]);
  return layers.model(graph.node('MatMul', [state, layers.weight('head', [5, 3])]), label);
}

/**
 * `row` [n, 6] and `label`: batch normalization of rows, root-mean-square normalization, many pieces, and the sums of
 * exponentials.
 */
export function rewritten(): Model {
  const layers = new Layers('rewritten');
  const { graph } = layers;
  const row = graph.input('row', 'float32', ['n', 6]);
  const label = graph.input('label', 'int64', ['n']);
  const even = layers.normalize('even', row, 6);
  const wide = graph.node('MatMul', [even, layers.weight('wide', [6, 20])]);
  const scale = layers.parameter('scale', [20], { kind: 'constant', value: 1 });
  const normal = graph.node('RMSNormalization', [wide, scale], { axis: int(-1) });
  const pieces = graph.nodes(
    'Split',
    [graph.node('HardSigmoid', [normal]), graph.int64s(Array.from({ length: 10 }, () => 2))],
    Array.from({ length: 10 }, (_, index) => `piece.${index}`),
    { axis: int(1) },
  );
  const hot = graph.node('Mul', [normal, graph.float32(60)]);
  const sums = graph.node('ReduceLogSumExp', [hot, graph.int64s([1])], { keepdims: int(1) });
  const joined = graph.node(
    'Concat',
    [...pieces.toReversed(), graph.node('Mul', [sums, graph.float32(0.01)])],
    {
      axis: int(1),
    },
  );
  return layers.model(graph.node('MatMul', [joined, layers.weight('head', [21, 3])]), label);
}
