/** What the question `step` trains: each case is one function on both sides. */
import { prepareTraining } from '@murmuration/autodiff';
import {
  type GptConfig,
  gpt,
  initializeParameters,
  int,
  type Model,
  parametersKey,
  parametersOf,
  readModel,
} from '@murmuration/onnx';
import type { PyTorch } from './pytorch.ts';
import { resnet18 } from './resnet18.ts';

/** A model with the values that training starts from. */
export interface Start {
  readonly model: Model;
  readonly parameters: Float32Array;
}

/** What samples look like: windows of text, or arrays by input name. */
export type Samples =
  | { readonly kind: 'text'; readonly context: number }
  | { readonly kind: 'images'; readonly height: number; readonly width: number; readonly classes: number };

/** One row of the table. */
export interface StepCase {
  readonly name: string;
  /** Whether the row is part of the figures; else it is shown beside them. */
  readonly counts: boolean;
  readonly batch: number;
  readonly samples: Samples;
  /** Steps of one turn, about a second of them, and pairs of turns. */
  readonly steps: number;
  readonly pairs: number;
  /** The model's settings as `scripts/step-pytorch.py` reads them. */
  readonly pytorch: Readonly<Record<string, unknown>>;
  /** Our side's model; an exported one comes from PyTorch. */
  start(exporter: () => PyTorch): Promise<Start>;
}

interface Transformer extends GptConfig {
  readonly batch: number;
  /** Tokens of a sample; at most `context`. */
  readonly used: number;
  readonly tied?: boolean;
  readonly steps: number;
  readonly pairs: number;
}

const seed = 'bench';

/** gpt with the token embedding as output head, as GPT-2 has it. */
function tieHead(model: Model): Model {
  const head = 'head.weight';
  const nodes = model.graph.nodes.map((node) =>
    node.inputs.includes(head)
      ? { ...node, inputs: [node.inputs[0] ?? '', 'embedding.token'], attributes: { transB: int(1) } }
      : node,
  );
  const inputs = model.graph.inputs.filter(({ name }) => name !== head);
  const parameters = parametersOf(model).filter(({ name }) => name !== head);
  const metadata = { ...model.metadata, [parametersKey]: JSON.stringify(parameters) };
  return { ...model, metadata, graph: { ...model.graph, nodes, inputs } };
}

function gptCase(name: string, size: Transformer): StepCase {
  const { batch, used, tied = false, steps, pairs, ...config } = size;
  return {
    ...{ name, counts: true, batch, steps, pairs },
    samples: { kind: 'text', context: used },
    pytorch: { model: 'gpt', ...config, batch, used, tied },
    async start() {
      const whole = gpt(config);
      const model = tied ? tieHead(whole) : whole;
      return { model, parameters: initializeParameters(parametersOf(model), seed) };
    },
  };
}

/** A GPT-2 as PyTorch exports it, prepared like any other file. */
function exportedCase(name: string, size: Transformer, how: { dynamo: boolean; opset: number }): StepCase {
  const { batch, used, steps, pairs, ...config } = size;
  const pytorch = { model: 'gpt2', ...config, batch, used };
  return {
    ...{ name, counts: false, batch, steps, pairs, pytorch },
    samples: { kind: 'text', context: used },
    async start(exporter) {
      const python = exporter();
      try {
        const file = await python.export(pytorch, how);
        const { model, parameters } = prepareTraining(readModel(file), {
          loss: { kind: 'output' },
          trains: { kind: 'all' },
          text: { tokens: 'tokens', targets: 'targets' },
        });
        return { model, parameters };
      } finally {
        python.close();
      }
    },
  };
}

const image = { classes: 1_000, height: 64, width: 64 };
const small = { vocabulary: 260, context: 128, used: 128, width: 128, layers: 4, heads: 4, batch: 8 };
const turns = { steps: 12, pairs: 11 };

/** In the order of the table. */
export const stepCases: readonly StepCase[] = [
  gptCase('0.9M', { ...small, ...turns }),
  gptCase('5M', { ...small, width: 256, layers: 6, heads: 8, batch: 16, steps: 3, pairs: 11 }),
  gptCase('27M', {
    ...{ vocabulary: 8_192, context: 256, used: 256, width: 512, layers: 6, heads: 8, batch: 4 },
    ...{ steps: 2, pairs: 7 },
  }),
  gptCase('124M', {
    ...{ vocabulary: 50_257, context: 1_024, used: 256, width: 768, layers: 12, heads: 12, batch: 4 },
    ...{ tied: true, steps: 1, pairs: 5 },
  }),
  {
    ...{ name: 'resnet18', counts: true, batch: 16, steps: 3, pairs: 9 },
    samples: { kind: 'images', ...image },
    pytorch: { model: 'resnet18', batch: 16, ...image },
    async start() {
      const model = resnet18(image);
      return { model, parameters: initializeParameters(parametersOf(model), seed) };
    },
  },
  exportedCase('gpt2-torchscript', { ...small, ...turns }, { dynamo: false, opset: 17 }),
  exportedCase('gpt2-primitives', { ...small, ...turns }, { dynamo: false, opset: 14 }),
  exportedCase('gpt2-dynamo', { ...small, ...turns }, { dynamo: true, opset: 18 }),
];
