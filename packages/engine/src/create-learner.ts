/** Makes the learner of a run on the chosen device, or on the CPU when the device does not take the run. */
import type { RunConfig } from '@murmuration/base';
import { createDeviceLearner } from './device/device-learner.ts';
import type { DeviceChoice } from './device/devices.ts';
import { EngineError } from './errors.ts';
import { createHostLearner, type Learner } from './learner.ts';
import type { Optimizer } from './optimizers/optimizer.ts';
import { createTrainingProgram } from './program.ts';
import { createTrainingGraph, type TrainingGraphInit } from './training-graph.ts';

/** A learner, and where it works. */
export interface PlacedLearner {
  readonly learner: Learner;
  readonly device: DeviceChoice;
}

/** Throws `EngineError` `bad-graph`. */
export async function createLearner(
  init: TrainingGraphInit & {
    readonly inner: RunConfig['inner'];
    readonly frozen: Float32Array;
    readonly optimizer: Optimizer;
    readonly threads: number;
    readonly device: DeviceChoice;
  },
): Promise<PlacedLearner> {
  const { optimizer, device, runModel, sizes, inner } = init;
  const { declarations, layout } = runModel;
  const { parameters, gradient } = optimizer;
  if (device.name === 'webgpu')
    try {
      const learner = await createDeviceLearner({
        ...{ declarations, layout, inner, optimizer, dimensions: sizes.sizes },
        frozen: { layout: runModel.frozen, values: init.frozen },
        graph: createTrainingGraph(init),
      });
      return { learner, device };
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'device-failed') throw error;
      return createLearner({ ...init, device: { wish: device.wish, name: 'cpu', reason: error.message } });
    }
  const program = await createTrainingProgram({ ...init, parameters, gradient });
  return { learner: createHostLearner(program, optimizer), device };
}
