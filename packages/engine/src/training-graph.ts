/** The graph of a step, and what is fed to it beside weights. */
import { differentiate, maskDropout, noiseOf } from '@murmuration/autodiff';
import { FactError } from '@murmuration/base';
import type { Model } from '@murmuration/onnx';
import { Tensor } from 'onnxruntime-node';
import { EngineError } from './errors.ts';
import type { RunModel } from './model.ts';
import { createNoise, type Noise } from './noise.ts';
import { createInput, type Inputs, type InputValues, isArrayType, type SizedInputs } from './samples.ts';

/** How a run's model becomes a step's. */
export interface TrainingGraphInit {
  readonly runModel: RunModel;
  readonly sizes: SizedInputs;
  readonly noiseSeed: string;
  readonly checkpointActivations: boolean;
}

/** Forward and backward pass for samples of one size: outputs `loss` and `gradient:P` for each parameter P. */
export interface TrainingGraph {
  readonly model: Model;
  /** Samples: written before each run. */
  readonly inputs: Inputs;
  /** Tensors over the samples and over the masks of dropout. */
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** Draws the masks anew by the counter. */
  drawMasks(counter: number): void;
}

const tensorOf = ({ type, shape, data }: InputValues): Tensor =>
  new Tensor(type as 'float32', data as Float32Array, shape);

/** Tensors over values of inputs. */
export const tensorsOf = (inputs: Inputs): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, tensorOf(values)]));

/** onnxruntime refuses values for inputs that a graph does not have. */
export const wantedBy = <Value>(
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

/** Dropout by masks, and the backward pass. */
function trainingModel({ runModel, sizes, checkpointActivations }: TrainingGraphInit): Model {
  const { model, layout } = runModel;
  try {
    const masked = maskDropout(withShapes(model, sizes.shapes));
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

/** Differentiates the model and makes room for samples and masks. Throws `EngineError` `bad-graph`. */
export function createTrainingGraph(init: TrainingGraphInit): TrainingGraph {
  const { runModel, sizes, noiseSeed } = init;
  const model = trainingModel(init);
  const noise = createMasks(model, noiseSeed);
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
  const masks = Object.entries(noise.masks).map(([name, data]): [string, Tensor] => {
    const shape = model.graph.inputs.find((input) => input.name === name)?.shape ?? [];
    return [name, new Tensor('bool', data, shape.map(Number))];
  });
  return {
    model,
    inputs,
    feeds: { ...tensorsOf(inputs), ...Object.fromEntries(masks) },
    drawMasks(counter) {
      if (masks.length > 0) noise.fill(counter);
    },
  };
}
