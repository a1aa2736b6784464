/**
 * What a training model would do on this machine: are its gradients right, how much memory and time does a step take?
 * It is run on samples of one's own, or on made-up ones (`made-up-samples.ts`).
 */
import { totalmem } from 'node:os';
import {
  type CheckedDirections,
  checkDirections,
  differentiate,
  estimateMemory,
  frozenOf,
  type MemoryEstimate,
  outsideTraining,
} from '@murmuration/autodiff';
import { createLayout, type ParameterLayout, tensorView } from '@murmuration/base';
import {
  initializeParameters,
  type Model,
  type ParameterDeclaration,
  parametersOf,
  type Tensor,
  type ValueInfo,
} from '@murmuration/onnx';
import { type InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import { readArrayData } from './array-samples.ts';
import { withCheckedText } from './checked-text.ts';
import { inspectionSteps, memoryShareMax } from './defaults.ts';
import { EngineError } from './errors.ts';
import { madeUpSamples } from './made-up-samples.ts';
import { createInput, sizeInputs } from './samples.ts';
import { createSession, runSession } from './session.ts';
import { readTextData } from './text-samples.ts';
import { valueRulesOf } from './value-rules.ts';
import { memoryBytesMax } from './vectors.ts';

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
    wanted?: readonly string[],
  ): Promise<Record<string, Float32Array>> => {
    const session = sessions.get(model) ?? (await createSession(model, threads));
    sessions.set(model, session);
    const given = session.inputNames.map((name): [string, RuntimeTensor] => {
      const { type, data, shape } = feeds[name] as Tensor;
      return [name, new RuntimeTensor(type as 'float32', data as Float32Array, shape)];
    });
    const outputs = await runSession(session, Object.fromEntries(given), [
      ...(wanted ?? session.outputNames),
    ]);
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

/** The parameters' first values: those given, or drawn. */
function firstValues(
  given: Float32Array,
  declarations: readonly ParameterDeclaration[],
  { length }: ParameterLayout,
): Float32Array {
  if (given.length > 0) return given;
  const bytes = 4 * length;
  if (bytes > memoryBytesMax)
    throw new EngineError(`expected parameters of at most ${memoryBytesMax} bytes, got ${length} of them`, {
      code: 'too-many-parameters',
      bytes,
      bytesMax: memoryBytesMax,
    });
  return initializeParameters(declarations, 'inspection');
}

/** How a training model is inspected. */
export interface InspectionOptions {
  readonly sizes: SampleSizes;
  readonly threads: number;
  /** Files of samples, as a run would train on; without them samples are made up. */
  readonly data?: readonly string[];
  /** What such files are. */
  readonly dataKind?: 'text' | 'arrays';
  /** Bytes that a step may take; nine tenths of the machine's memory unless given. */
  readonly memoryMaxBytes?: number;
}

/** The first samples of files. Throws `EngineError` as reading them does. */
function samplesFrom(
  paths: readonly string[],
  fed: Parameters<typeof valueRulesOf>[0],
  { sizes: { batch, context }, dataKind }: InspectionOptions,
): { readonly samples: readonly Tensor[]; readonly sizes: Readonly<Record<string, number>> } {
  const { inputs } = fed;
  const common = { paths, splitSeed: 'inspection', batch };
  const rules = valueRulesOf(fed);
  const read =
    dataKind === 'text'
      ? withCheckedText(readTextData({ ...common, context }), rules)
      : readArrayData({ ...common, inputs, rules });
  const { shapes, sizes } = sizeInputs(inputs, batch, read.sampleShapes ?? {});
  const filled = Object.fromEntries(
    inputs.map(({ name, type }) => [name, createInput(type as 'float32', shapes[name] ?? [])]),
  );
  read.source({ seed: 'inspection', position: 0 }).fill(filled);
  return { samples: Object.entries(filled).map(([name, values]) => ({ name, ...values })), sizes };
}

/** What one run takes. Throws `EngineError` `too-much-memory` for more than there is. */
function checkedMemory(
  training: Model,
  sizes: Readonly<Record<string, number>>,
  bytesMax = memoryShareMax * totalmem(),
): MemoryEstimate {
  const estimate = estimateMemory(training, sizes);
  const bytes = estimate.given + estimate.outputs + estimate.peak;
  if (bytes > bytesMax)
    throw new EngineError(
      `a step: expected at most ${Math.floor(bytesMax)} bytes of memory, got a graph that takes about ${bytes}`,
      { code: 'too-much-memory', bytes, bytesMax },
    );
  return estimate;
}

/**
 * Runs a training model on samples. Throws `EngineError` `bad-samples` for an input that cannot be made up or is too
 * large, `too-many-parameters`, `too-much-memory`, `bad-graph`, and what reading data throws; `AutodiffError` for a
 * graph without gradients.
 */
export async function inspectModel(
  { model: whole, parameters, frozen }: InspectedModel,
  options: InspectionOptions,
): Promise<ModelInspection> {
  const model = withoutDropout(whole);
  const declarations = parametersOf(model);
  const layout = createLayout(declarations);
  const frozenLayout = createLayout(frozenOf(model));
  const begun = firstValues(parameters, declarations, layout);
  const weights = [...tensorsOf(layout, begun), ...tensorsOf(frozenLayout, frozen)];
  const given = new Set(weights.map(({ name }) => name));
  const inputs = model.graph.inputs.filter(({ name }) => !given.has(name));
  const trained = declarations.filter(({ update }) => update === undefined).map(({ name }) => name);
  const training = differentiate(model, { loss: 'loss', parameters: trained });
  const wanted = symbolSizes(inputs, options.sizes);
  const read =
    options.data && samplesFrom(options.data, { model, inputs, layout, frozen: frozenLayout }, options);
  const sizes = { ...wanted, ...read?.sizes };
  const { peak, unknown } = checkedMemory(training, sizes, options.memoryMaxBytes);
  const samples = read?.samples ?? madeUpSamples(model, inputs, sizes);
  const feeds = Object.fromEntries([...weights, ...samples].map((tensor) => [tensor.name, tensor]));
  const run = createRunner(options.threads);
  const times: number[] = [];
  let loss = Number.NaN;
  for (let step = 0; step < inspectionSteps; step++) {
    const startedMs = performance.now();
    loss = (await run(training, feeds)).loss?.[0] ?? Number.NaN;
    times.push(performance.now() - startedMs);
  }
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
