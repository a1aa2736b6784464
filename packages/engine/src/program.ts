/** Programs: sessions of onnxruntime over vectors that stay where they are. */

import { differentiate } from '@murmuration/autodiff';
import { FactError, type ParameterLayout, tensorView } from '@murmuration/base';
import { type Model, pruneModel } from '@murmuration/onnx';
import { Tensor } from 'onnxruntime-node';
import { EngineError } from './errors.ts';
import { createSession, runSession } from './session.ts';

/** One inner step's forward and backward pass. */
export interface TrainingProgram {
  /** int64 [batch, context], row by row; written before each `run`. */
  readonly tokens: BigInt64Array;
  readonly targets: BigInt64Array;
  /** Fills the gradient; resolves to the loss (mean nats per token). */
  run(): Promise<number>;
}

/** A forward pass over any batch. */
export interface ForwardProgram {
  /** `tokens`, `targets`: batch · context values, row by row. */
  run(
    parameters: Float32Array,
    tokens: BigInt64Array,
    targets: BigInt64Array,
    context: number,
  ): Promise<Float32Array>;
}

const viewTensors = (vector: Float32Array, layout: ParameterLayout, prefix = ''): Record<string, Tensor> =>
  Object.fromEntries(
    layout.slots.map((slot) => [
      `${prefix}${slot.name}`,
      new Tensor('float32', tensorView(vector, slot), slot.shape),
    ]),
  );

/** Differentiates the model and holds its session; gradients are written into `gradient` where they lie. */
export async function createTrainingProgram(init: {
  readonly model: Model;
  readonly layout: ParameterLayout;
  readonly parameters: Float32Array;
  readonly gradient: Float32Array;
  readonly batch: number;
  readonly context: number;
  readonly threads: number;
}): Promise<TrainingProgram> {
  const { model, layout, parameters, gradient, batch, context, threads } = init;
  let training: Model;
  try {
    training = differentiate(model, { loss: 'loss', parameters: layout.slots.map(({ name }) => name) });
  } catch (error) {
    if (!(error instanceof FactError)) throw error;
    throw new EngineError(error.message, { code: 'bad-graph', facts: error.facts }, { cause: error });
  }
  const session = await createSession(training, threads, { batch, context });
  const tokens = new BigInt64Array(batch * context);
  const targets = new BigInt64Array(batch * context);
  const loss = new Float32Array(1);
  const feeds = {
    ...viewTensors(parameters, layout),
    tokens: new Tensor('int64', tokens, [batch, context]),
    targets: new Tensor('int64', targets, [batch, context]),
  };
  const fetches = {
    ...viewTensors(gradient, layout, 'gradient:'),
    loss: new Tensor('float32', loss, []),
  };
  return {
    tokens,
    targets,
    async run() {
      await runSession(session, feeds, fetches);
      return loss[0] as number;
    },
  };
}

/** The part of the model that computes one output. */
export async function createForwardProgram(init: {
  readonly model: Model;
  readonly layout: ParameterLayout;
  readonly output: 'loss' | 'logits';
  readonly threads: number;
}): Promise<ForwardProgram> {
  const pruned = pruneModel(init.model, [init.output]);
  const session = await createSession(pruned, init.threads);
  const wanted = new Set(pruned.graph.inputs.map(({ name }) => name));
  return {
    async run(parameters, tokens, targets, context) {
      const dimensions = [tokens.length / context, context];
      const feeds = {
        ...viewTensors(parameters, init.layout),
        tokens: new Tensor('int64', tokens, dimensions),
        targets: new Tensor('int64', targets, dimensions),
      };
      const given = Object.fromEntries(Object.entries(feeds).filter(([name]) => wanted.has(name)));
      const output = (await runSession(session, given, [init.output]))[init.output] as Tensor;
      return output.data as Float32Array;
    },
  };
}
