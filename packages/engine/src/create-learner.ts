/** Makes the learner of a run on the chosen device, or on the CPU when the device does not take the run. */
import { createRandom, type ParameterLayout, type RunConfig } from '@murmuration/base';
import { comparedSteps, deviceErrorMax } from './defaults.ts';
import { createDeviceLearner } from './device/device-learner.ts';
import { type DeviceChoice, type DeviceName, oneLine } from './device/devices.ts';
import { EngineError } from './errors.ts';
import { createHostLearner, type Learner } from './learner.ts';
import type { RunModel } from './model.ts';
import type { Optimizer } from './optimizers/optimizer.ts';
import { createTrainingProgram } from './program.ts';
import { createTrainingGraph, type TrainingGraphInit } from './training-graph.ts';

/** A learner, and where it works. */
export interface PlacedLearner {
  readonly learner: Learner;
  readonly device: DeviceChoice;
}

/** What a learner is made of; its optimizer is fresh. */
export interface LearnerInit extends TrainingGraphInit {
  readonly inner: RunConfig['inner'];
  readonly frozen: Float32Array;
  readonly optimizer: Optimizer;
  readonly threads: number;
  readonly device: DeviceChoice;
}

/** Small parameters of either sign; running statistics are 1, so that a variance is none that cannot be. */
function fillParameters(parameters: Float32Array, { averages }: RunModel): void {
  const random = createRandom('trial');
  for (let i = 0; i < parameters.length; i++) parameters[i] = (random.unit() - 0.5) / 4;
  for (const { start, end } of averages) parameters.fill(1, start, end);
}

/** Numbers between −1 and 1; indices stay 0, which every table has. */
function fillInputs({ inputs }: Learner): void {
  const random = createRandom('trial');
  for (const { data } of Object.values(inputs))
    if (data instanceof Float32Array) for (let i = 0; i < data.length; i++) data[i] = 2 * random.unit() - 1;
}

const normOf = (values: Float32Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

/**
 * The tensor of a gradient that is furthest from what is right, and its error as a share of its norm. What is near zero
 * beside the largest tensor is measured by a hundredth of that: exact arithmetic may give zero there.
 */
function worstTensor(
  values: Float32Array,
  expected: Float32Array,
  { slots }: ParameterLayout,
): { readonly name: string; readonly error: number } {
  const tensors = slots.map(({ name, offset, length }) => {
    const right = expected.subarray(offset, offset + length);
    const difference = right.map((value, index) => value - (values[offset + index] as number));
    return { name, norm: normOf(right), difference: normOf(difference) };
  });
  const largest = Math.max(...tensors.map(({ norm }) => norm));
  const errors = tensors.map(({ name, norm, difference }) => ({
    name,
    error: difference / Math.max(norm, largest / 100),
  }));
  const [worst] = errors.toSorted((left, right) => (left.error <= right.error ? 1 : -1));
  return errors.find(({ error }) => Number.isNaN(error)) ?? (worst as (typeof errors)[number]);
}

/**
 * Takes a few steps by arbitrary values on both, and forgets them. Throws `EngineError` `device-failed` when the
 * gradients differ: kernels of a device can be wrong without a word, some only from the second run on, when their
 * buffers have been used before.
 */
export async function compareLearners(
  learner: Learner,
  host: Learner,
  { optimizer, runModel }: Pick<LearnerInit, 'optimizer' | 'runModel'>,
): Promise<void> {
  fillParameters(optimizer.parameters, runModel);
  const gradient = optimizer.sum ?? optimizer.gradient;
  for (const each of [learner, host]) fillInputs(each);
  await host.collect(0);
  const expected = gradient.slice();
  const canTell = Number.isFinite(optimizer.gradientNorm());
  optimizer.discard();
  for (let step = 0; step < comparedSteps; step++) {
    fillParameters(optimizer.parameters, runModel);
    learner.push(step === 0 ? 'all' : 'parameters');
    await learner.collect(0);
    await learner.pull('all');
    const { name, error } = worstTensor(gradient, expected, runModel.layout);
    if (canTell && !(error <= deviceErrorMax))
      throw new EngineError(
        `the device computes another gradient of ${name} than the CPU: ` +
          `it differs by ${error.toPrecision(2)} of its norm`,
        { code: 'device-failed', error, parameter: name },
      );
    await learner.update(0, await learner.gradientNorm());
  }
  optimizer.step = 0;
  for (const state of Object.values(optimizer.states)) state.fill(0);
  learner.push('all');
}

async function createHost(init: LearnerInit, provider: DeviceName): Promise<Learner> {
  const { parameters, gradient } = init.optimizer;
  const program = await createTrainingProgram({ ...init, parameters, gradient, provider });
  return createHostLearner(program, init.optimizer);
}

function createRemote(init: LearnerInit): Promise<Learner> {
  const { optimizer, runModel, sizes, inner, frozen } = init;
  const { declarations, layout } = runModel;
  return createDeviceLearner({
    ...{ declarations, layout, inner, optimizer, dimensions: sizes.sizes },
    frozen: { layout: runModel.frozen, values: frozen },
    graph: createTrainingGraph(init),
  });
}

/**
 * WebGPU's learner keeps parameters and states on the device; for other devices gradients come down and the optimizer
 * steps on the host. Throws `EngineError` `bad-graph`.
 */
export async function createLearner(init: LearnerInit): Promise<PlacedLearner> {
  const { device } = init;
  const host = await createHost(init, 'cpu');
  if (device.name === 'cpu') return { learner: host, device };
  try {
    const learner = await (device.name === 'webgpu' ? createRemote(init) : createHost(init, device.name));
    await compareLearners(learner, host, init);
    return { learner, device };
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'device-failed') throw error;
    return { learner: host, device: { wish: device.wish, name: 'cpu', reason: oneLine(error.message) } };
  }
}
