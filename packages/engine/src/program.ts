/** Programs: sessions of onnxruntime over vectors that stay where they are. */

import { differentiate, maskDropout, noiseOf, outsideTraining } from '@murmuration/autodiff';
import { FactError, type ParameterLayout, tensorView } from '@murmuration/base';
import { type Model, pruneModel } from '@murmuration/onnx';
import { Tensor } from 'onnxruntime-node';
import { EngineError } from './errors.ts';
import type { RunModel } from './model.ts';
import { createNoise, type Noise } from './noise.ts';
import { createInput, type Inputs, type InputValues, isArrayType, type SizedInputs } from './samples.ts';
import { createInPlaceSession, createSession, runSession } from './session.ts';

/** One micro-batch's forward and backward pass. */
export interface TrainingProgram {
  /** Written before each `run`. */
  readonly inputs: Inputs;
  /** Resolves to the loss. Masks of dropout are drawn anew by the counter. */
  run(counter: number): Promise<number>;
}

/** A forward pass over any batch, as outside training. */
export interface ForwardProgram {
  run(parameters: Float32Array, inputs: Inputs): Promise<Float32Array>;
}

/** What both kinds are made of. */
interface ProgramInit {
  readonly runModel: RunModel;
  /** Values of the weights that never train, flat. */
  readonly frozen: Float32Array;
  readonly threads: number;
}

const viewTensors = (vector: Float32Array, layout: ParameterLayout, prefix = ''): Record<string, Tensor> =>
  Object.fromEntries(
    layout.slots.map((slot) => [
      `${prefix}${slot.name}`,
      new Tensor('float32', tensorView(vector, slot), slot.shape),
    ]),
  );

const tensorOf = ({ type, shape, data }: InputValues): Tensor =>
  new Tensor(type as 'float32', data as Float32Array, shape);

const tensorsOf = (inputs: Inputs): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, tensorOf(values)]));

/** onnxruntime refuses values for inputs that a graph does not have. */
const wantedBy = <Value>(
  names: readonly string[],
  values: Readonly<Record<string, Value>>,
): Record<string, Value> =>
  Object.fromEntries(
    names.flatMap((name) => (Object.hasOwn(values, name) ? [[name, values[name] as Value]] : [])),
  );

/** The model with the inputs' sizes as numbers. */
const withShapes = (model: Model, shapes: SizedInputs['shapes']): Model => ({
  ...model,
  graph: {
    ...model.graph,
    inputs: model.graph.inputs.map((input) => ({
      ...input,
      ...(shapes[input.name] && { shape: shapes[input.name] }),
    })),
  },
});

/** The graph of a step for these sizes: dropout by masks, and the backward pass. */
function trainingModel(
  { model, layout }: RunModel,
  { shapes }: SizedInputs,
  checkpointActivations: boolean,
): Model {
  try {
    const masked = maskDropout(withShapes(model, shapes));
    const parameters = layout.slots.map(({ name }) => name);
    const hold = checkpointActivations ? 'cuts' : 'costly';
    return differentiate(masked, { loss: 'loss', parameters, hold });
  } catch (error) {
    if (!(error instanceof FactError)) throw error;
    throw new EngineError(error.message, { code: 'bad-graph', facts: error.facts }, { cause: error });
  }
}

function createMasks(model: Model, seed: string): Noise {
  const shapes = new Map(model.graph.inputs.map(({ name, shape }) => [name, shape]));
  const inputs = noiseOf(model).map(({ name, keep }) => ({
    name,
    keep,
    shape: (shapes.get(name) ?? []).map(Number),
  }));
  return createNoise(inputs, seed);
}

/**
 * Differentiates the model and holds its session; gradients are written into `gradient` where they lie. Throws
 * `EngineError` `bad-graph`.
 */
export async function createTrainingProgram(
  init: ProgramInit & {
    readonly parameters: Float32Array;
    readonly gradient: Float32Array;
    readonly sizes: SizedInputs;
    readonly noiseSeed: string;
    readonly checkpointActivations: boolean;
  },
): Promise<TrainingProgram> {
  const { runModel, frozen, parameters, gradient, sizes, threads, noiseSeed } = init;
  const training = trainingModel(runModel, sizes, init.checkpointActivations);
  const noise = createMasks(training, noiseSeed);
  const session = await createInPlaceSession(training, threads, sizes.sizes);
  const inputs = Object.fromEntries(
    runModel.inputs.map(({ name, type }) => {
      if (!isArrayType(type))
        throw new EngineError(`input ${name}: expected a type that samples have, got ${type}`, {
          code: 'bad-graph',
          input: name,
        });
      return [name, createInput(type, sizes.shapes[name] ?? [])];
    }),
  );
  const loss = new Float32Array(1);
  const masks = Object.entries(noise.masks).map(([name, data]): [string, Tensor] => {
    const shape = training.graph.inputs.find((input) => input.name === name)?.shape ?? [];
    return [name, new Tensor('bool', data, shape.map(Number))];
  });
  const wanted = training.graph.inputs.map(({ name }) => name);
  const feeds = wantedBy(wanted, {
    ...viewTensors(parameters, runModel.layout),
    ...viewTensors(frozen, runModel.frozen),
    ...tensorsOf(inputs),
    ...Object.fromEntries(masks),
  });
  const fetches = {
    ...viewTensors(gradient, runModel.layout, 'gradient:'),
    loss: new Tensor('float32', loss, []),
  };
  return {
    inputs,
    async run(counter) {
      if (masks.length > 0) noise.fill(counter);
      await session.run(feeds, fetches);
      return loss[0] as number;
    },
  };
}

/** The part of the model that computes one output, without what is for training only. */
export async function createForwardProgram(
  init: ProgramInit & { readonly output: string },
): Promise<ForwardProgram> {
  const { runModel, frozen, output, threads } = init;
  const { model } = runModel;
  const still = { ...model, graph: { ...model.graph, nodes: model.graph.nodes.map(outsideTraining) } };
  const session = await createSession(pruneModel(still, [output]), threads);
  return {
    async run(parameters, inputs) {
      const feeds = wantedBy(session.inputNames, {
        ...viewTensors(parameters, runModel.layout),
        ...viewTensors(frozen, runModel.frozen),
        ...tensorsOf(inputs),
      });
      const result = (await runSession(session, feeds, [output]))[output] as Tensor;
      return result.data as Float32Array;
    },
  };
}
