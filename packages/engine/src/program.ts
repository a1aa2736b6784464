/** Programs: sessions of onnxruntime over vectors that stay where they are. */

import { gradientName, outsideTraining } from '@murmuration/autodiff';
import { type ParameterLayout, tensorView } from '@murmuration/base';
import { type Model, pruneModel } from '@murmuration/onnx';
import { Tensor } from 'onnxruntime-node';
import type { DeviceName } from './device/devices.ts';
import { createProviderSession } from './device/provider-session.ts';
import { skipFinalReshapes } from './final-reshapes.ts';
import type { RunModel } from './model.ts';
import type { Inputs } from './samples.ts';
import { createInPlaceSession, createSession, runSession } from './session.ts';
import { createTrainingGraph, type TrainingGraphInit, tensorsOf, wantedBy } from './training-graph.ts';

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

const viewTensors = (vector: Float32Array, layout: ParameterLayout): Record<string, Tensor> =>
  Object.fromEntries(
    layout.slots.map((slot) => [slot.name, new Tensor('float32', tensorView(vector, slot), slot.shape)]),
  );

/** Where gradients are written, each in the shape in which the graph gives it. */
function gradientTensors(
  gradient: Float32Array,
  layout: ParameterLayout,
  { graph }: Model,
): Record<string, Tensor> {
  const shapes = new Map(graph.outputs.map(({ name, shape }) => [name, shape]));
  return Object.fromEntries(
    layout.slots.map((slot) => {
      const name = gradientName(slot.name);
      const shape = shapes.get(name)?.map(Number) ?? slot.shape;
      return [name, new Tensor('float32', tensorView(gradient, slot), shape)];
    }),
  );
}

/**
 * Differentiates the model and holds its session; gradients are written into `gradient` where they lie. Throws
 * `EngineError` `bad-graph`, `device-failed`.
 */
export async function createTrainingProgram(
  init: ProgramInit &
    TrainingGraphInit & {
      readonly parameters: Float32Array;
      readonly gradient: Float32Array;
      /** Where the graph runs. */
      readonly provider: DeviceName;
    },
): Promise<TrainingProgram> {
  const { runModel, frozen, parameters, gradient, sizes, threads, provider } = init;
  const { model: whole, inputs, feeds, drawMasks } = createTrainingGraph(init);
  const model = skipFinalReshapes(whole);
  const session =
    provider === 'cpu'
      ? await createInPlaceSession(model, threads, sizes.sizes)
      : await createProviderSession(model, provider, sizes.sizes);
  const loss = new Float32Array(1);
  const wanted = model.graph.inputs.map(({ name }) => name);
  const allFeeds = wantedBy(wanted, {
    ...viewTensors(parameters, runModel.layout),
    ...viewTensors(frozen, runModel.frozen),
    ...feeds,
  });
  const fetches = {
    ...gradientTensors(gradient, runModel.layout, model),
    loss: new Tensor('float32', loss, []),
  };
  return {
    inputs,
    async run(counter) {
      drawMasks(counter);
      await session.run(allFeeds, fetches);
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
