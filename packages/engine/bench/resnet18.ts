/** ResNet-18 as torchvision has it, with batch normalization in training mode and a cross-entropy loss. */
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

/** Sizes of the images and of what is told apart; height and width are multiples of 32. */
export interface Resnet18Config {
  readonly classes: number;
  readonly height: number;
  readonly width: number;
}

/** Channels and first stride of the four stages of two blocks each. */
const stages = [
  { channels: 64, stride: 1 },
  { channels: 128, stride: 2 },
  { channels: 256, stride: 2 },
  { channels: 512, stride: 2 },
] as const;

/** The weight of a batch in the running statistics is 1 − momentum. */
const momentum = 0.9;
const epsilon = 1e-5;

/** Layers that declare their parameters as they are built. */
class Layers {
  readonly builder: GraphBuilder;
  readonly declarations: ParameterDeclaration[] = [];

  constructor(builder: GraphBuilder) {
    this.builder = builder;
  }

  parameter(
    name: string,
    shape: readonly number[],
    initial: InitialDistribution,
    more: Pick<ParameterDeclaration, 'update'> = {},
  ): string {
    this.declarations.push({ name, shape, initial, decays: shape.length > 1, ...more });
    return this.builder.input(name, 'float32', shape);
  }

  /** A convolution without bias, padded so that only the stride shrinks. */
  convolve(name: string, x: string, from: number, to: number, size: number, stride: number): string {
    const limit = Math.sqrt(6 / (to * size * size));
    const weight = this.parameter(`${name}.weight`, [to, from, size, size], { kind: 'uniform', limit });
    const pad = Math.floor(size / 2);
    return this.builder.node('Conv', [x, weight], {
      kernel_shape: ints([size, size]),
      strides: ints([stride, stride]),
      pads: ints([pad, pad, pad, pad]),
    });
  }

  normalize(name: string, x: string, channels: number): string {
    const one: InitialDistribution = { kind: 'constant', value: 1 };
    const zero: InitialDistribution = { kind: 'constant', value: 0 };
    const update = { kind: 'average', momentum } as const;
    const inputs = [
      this.parameter(`${name}.weight`, [channels], one),
      this.parameter(`${name}.bias`, [channels], zero),
      this.parameter(`${name}.running_mean`, [channels], zero, { update }),
      this.parameter(`${name}.running_var`, [channels], one, { update }),
    ];
    return this.builder.node('BatchNormalization', [x, ...inputs], {
      epsilon: float(epsilon),
      momentum: float(momentum),
      training_mode: int(1),
    });
  }

  block(name: string, x: string, from: number, to: number, stride: number): string {
    const { builder } = this;
    const first = this.normalize(`${name}.bn1`, this.convolve(`${name}.conv1`, x, from, to, 3, stride), to);
    const relu = builder.node('Relu', [first]);
    const second = this.normalize(`${name}.bn2`, this.convolve(`${name}.conv2`, relu, to, to, 3, 1), to);
    const straight = (): string => {
      const shrunk = this.convolve(`${name}.downsample.0`, x, from, to, 1, stride);
      return this.normalize(`${name}.downsample.1`, shrunk, to);
    };
    const added = builder.node('Add', [second, stride === 1 && from === to ? x : straight()]);
    return builder.node('Relu', [added]);
  }
}

/**
 * The training model: inputs `images` float32 [batch, 3, height, width] and `labels` int64 [batch] (symbolic batch),
 * outputs `loss` (mean nats) and `logits` [batch, classes]. Parameters have torchvision's names, in its order, running
 * statistics among them.
 */
export function resnet18(config: Resnet18Config): Model {
  const { classes, height, width } = config;
  const builder = createGraphBuilder('resnet18');
  const layers = new Layers(builder);
  const images = builder.input('images', 'float32', ['batch', 3, height, width]);
  const labels = builder.input('labels', 'int64', ['batch']);
  const stem = layers.normalize('bn1', layers.convolve('conv1', images, 3, 64, 7, 2), 64);
  let x = builder.node('MaxPool', [builder.node('Relu', [stem])], {
    kernel_shape: ints([3, 3]),
    strides: ints([2, 2]),
    pads: ints([1, 1, 1, 1]),
  });
  let from = 64;
  stages.forEach(({ channels, stride }, stage) => {
    x = layers.block(`layer${stage + 1}.0`, x, from, channels, stride);
    x = layers.block(`layer${stage + 1}.1`, x, channels, channels, 1);
    from = channels;
  });
  const features = builder.node('Flatten', [builder.node('GlobalAveragePool', [x])]);
  const uniform = { kind: 'uniform', limit: 1 / Math.sqrt(from) } as const;
  const weight = layers.parameter('fc.weight', [classes, from], uniform);
  const bias = layers.parameter('fc.bias', [classes], uniform);
  const logits = builder.node('Gemm', [features, weight, bias], { transB: int(1) }, 'logits');
  builder.node('SoftmaxCrossEntropyLoss', [logits, labels], {}, 'loss');
  builder.output('loss', 'float32', []);
  builder.output('logits', 'float32', ['batch', classes]);
  return builder.model({ [parametersKey]: JSON.stringify(layers.declarations) });
}
