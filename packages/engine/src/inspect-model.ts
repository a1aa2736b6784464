/**
 * What a training model would do on this machine: are its gradients right, how much memory and time does a step take?
 * It is run on made-up samples: random floats, integers 0 and 1.
 */
import {
  type CheckedDirections,
  checkDirections,
  differentiate,
  estimateMemory,
  frozenOf,
  outsideTraining,
} from '@murmuration/autodiff';
import { createLayout, createRandom, type ParameterLayout, tensorView } from '@murmuration/base';
import {
  initializeParameters,
  type Model,
  parametersOf,
  type Tensor,
  type ValueInfo,
} from '@murmuration/onnx';
import { type InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import { inspectionSteps } from './defaults.ts';
import { EngineError } from './errors.ts';
import { createInput, isArrayType } from './samples.ts';
import { createSession, runSession } from './session.ts';

/** A training model with its values, as preparing a file gives it. */
export interface InspectedModel {
  readonly model: Model;
  /** Empty when all parameters begin by their declarations. */
  readonly parameters: Float32Array;
  readonly frozen: Float32Array;
}

/** What was found. */
export interface ModelInspection {
  readonly gradients: readonly CheckedDirections[];
  /** Bytes: the graph's values in one step, and the engine's vectors. */
  readonly memory: { readonly activations: number; readonly vectors: number; readonly unknown: number };
  /** Forward and backward pass, the median of a few, ms. */
  readonly stepMs: number;
  readonly loss: number;
}

/** θ, θ_local, residual, gradient and two moments. */
const vectorsPerParameter = 6;

/** Sizes of the symbols of a model's inputs. */
export interface SampleSizes {
  /** Of symbols without a size of their own: the first dimension of an input, and the others. */
  readonly batch: number;
  readonly context: number;
  readonly named: Readonly<Record<string, number>>;
}

function symbolSizes(
  inputs: readonly ValueInfo[],
  { batch, context, named }: SampleSizes,
): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const { shape } of inputs)
    shape?.forEach((dimension, axis) => {
      if (typeof dimension === 'string') sizes[dimension] ??= axis === 0 ? batch : context;
    });
  return { ...sizes, ...named };
}

function sampleOf({ name, type, shape }: ValueInfo, sizes: Readonly<Record<string, number>>): Tensor {
  if (!shape)
    throw new EngineError(`input ${name}: expected a declared rank, got none`, {
      code: 'bad-samples',
      input: name,
    });
  const dimensions = shape.map((dimension) =>
    typeof dimension === 'number' ? dimension : (sizes[dimension] ?? 1),
  );
  if (!isArrayType(type))
    throw new EngineError(`input ${name}: expected float32, int64, int32, uint8 or bool, got ${type}`, {
      code: 'bad-samples',
      input: name,
    });
  const { data } = createInput(type, dimensions);
  const random = createRandom(`sample/${name}`);
  for (let i = 0; i < data.length; i++)
    if (data instanceof Float32Array) data[i] = 2 * random.unit() - 1;
    else data[i] = data instanceof BigInt64Array ? BigInt(random.below(2)) : random.below(2);
  return { name, type, shape: dimensions, data };
}

const tensorsOf = (layout: ParameterLayout, vector: Float32Array): readonly Tensor[] =>
  layout.slots.map((slot) => ({
    name: slot.name,
    type: 'float32',
    shape: slot.shape,
    data: tensorView(vector, slot),
  }));

/** Runs models on this machine; each is loaded once. */
function createRunner(threads: number) {
  const sessions = new Map<Model, InferenceSession>();
  return async (
    model: Model,
    feeds: Readonly<Record<string, Tensor>>,
  ): Promise<Record<string, Float32Array>> => {
    const session = sessions.get(model) ?? (await createSession(model, threads));
    sessions.set(model, session);
    const given = session.inputNames.map((name): [string, RuntimeTensor] => {
      const { type, data, shape } = feeds[name] as Tensor;
      return [name, new RuntimeTensor(type as 'float32', data as Float32Array, shape)];
    });
    const outputs = await runSession(session, Object.fromEntries(given), [...session.outputNames]);
    return Object.fromEntries(
      Object.entries(outputs).map(([name, tensor]) => [name, tensor.data as Float32Array]),
    );
  };
}

/** Dropout as outside training: a loss that is drawn anew at each pass has no slope. */
const withoutDropout = (model: Model): Model => ({
  ...model,
  graph: {
    ...model.graph,
    nodes: model.graph.nodes.map((node) => (node.operator === 'Dropout' ? outsideTraining(node) : node)),
  },
});

/**
 * Runs a training model on made-up samples. Throws `EngineError` `bad-samples` for an input that cannot be made up or is too large,
 * `bad-graph`; `AutodiffError` for a graph without gradients.
 */
export async function inspectModel(
  { model: whole, parameters, frozen }: InspectedModel,
  options: { readonly sizes: SampleSizes; readonly threads: number },
): Promise<ModelInspection> {
  const model = withoutDropout(whole);
  const declarations = parametersOf(model);
  const layout = createLayout(declarations);
  const begun = parameters.length > 0 ? parameters : initializeParameters(declarations, 'inspection');
  const weights = [...tensorsOf(layout, begun), ...tensorsOf(createLayout(frozenOf(model)), frozen)];
  const given = new Set(weights.map(({ name }) => name));
  const inputs = model.graph.inputs.filter(({ name }) => !given.has(name));
  const sizes = symbolSizes(inputs, options.sizes);
  const samples = inputs.map((input) => sampleOf(input, sizes));
  const feeds = Object.fromEntries([...weights, ...samples].map((tensor) => [tensor.name, tensor]));
  const trained = declarations.filter(({ update }) => update === undefined).map(({ name }) => name);
  const training = differentiate(model, { loss: 'loss', parameters: trained });
  const run = createRunner(options.threads);
  const times: number[] = [];
  let loss = Number.NaN;
  for (let step = 0; step < inspectionSteps; step++) {
    const startedMs = performance.now();
    loss = (await run(training, feeds)).loss?.[0] ?? Number.NaN;
    times.push(performance.now() - startedMs);
  }
  const { peak, unknown } = estimateMemory(training, sizes);
  const gradients = await checkDirections(model, feeds, { loss: 'loss', parameters: trained, run });
  return {
    gradients,
    memory: {
      activations: peak,
      vectors: 4 * (vectorsPerParameter * layout.length + frozen.length),
      unknown,
    },
    stepMs: times.toSorted((left, right) => left - right)[Math.floor(times.length / 2)] as number,
    loss,
  };
}
