/**
 * Steps on WebGPU. Parameters, gradient and optimizer states are buffers of the device from step to step: four graphs
 * (gradient, sum of micro-batches, squares of the gradient, update) take them as inputs and give new ones, and the old
 * ones are freed. What crosses to the host in a step is samples, the loss, and one number per parameter for the norm.
 */
import type { ParameterLayout, RunConfig } from '@murmuration/base';
import type { ParameterDeclaration } from '@murmuration/onnx';
import { Tensor } from 'onnxruntime-node';
import { freshOptimizerSteps } from '../defaults.ts';
import type { Learner } from '../learner.ts';
import type { Optimizer } from '../optimizers/optimizer.ts';
import { type TrainingGraph, wantedBy } from '../training-graph.ts';
import {
  createDeviceSession,
  type DeviceSession,
  type DeviceTensors,
  DeviceVector,
  disposeTensors,
} from './device-session.ts';
import { createNormGraph, createSumGraph, createUpdateGraph, type UpdateGraph } from './update-graph.ts';

/** What a learner on a device is made of. */
export interface DeviceLearnerInit {
  readonly declarations: readonly ParameterDeclaration[];
  readonly layout: ParameterLayout;
  readonly frozen: { readonly layout: ParameterLayout; readonly values: Float32Array };
  readonly inner: RunConfig['inner'];
  readonly graph: TrainingGraph;
  /** The number of each symbolic size in the graph. */
  readonly dimensions: Readonly<Record<string, number>>;
  /** The host's copies; its step and count of micro-batches are the learner's. */
  readonly optimizer: Optimizer;
}

const prefixed = (prefix: string, tensors: DeviceTensors): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`${prefix}${name}`, tensor]));

/** The outputs of a kind, by parameter. */
const outputsOf = (prefix: string, outputs: DeviceTensors): Record<string, Tensor> =>
  Object.fromEntries(
    Object.entries(outputs).flatMap(([name, tensor]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), tensor]] : [],
    ),
  );

const scalar = (value: number): Tensor => new Tensor('float32', Float32Array.of(value), []);

class DeviceLearner implements Learner {
  readonly isRemote = true;
  readonly #init: DeviceLearnerInit;
  readonly #sessions: Readonly<Record<'gradient' | 'sum' | 'norm' | 'update', DeviceSession>>;
  readonly #update: UpdateGraph;
  readonly #parameters: DeviceVector;
  readonly #frozen: DeviceVector;
  readonly #collected: DeviceVector;
  readonly #states: Readonly<Record<string, DeviceVector>>;

  constructor(
    init: DeviceLearnerInit,
    sessions: Readonly<Record<'gradient' | 'sum' | 'norm' | 'update', DeviceSession>>,
    update: UpdateGraph,
  ) {
    const { layout, frozen, optimizer } = init;
    this.#init = init;
    this.#sessions = sessions;
    this.#update = update;
    this.#parameters = new DeviceVector(optimizer.parameters, layout.slots);
    this.#frozen = new DeviceVector(frozen.values, frozen.layout.slots);
    this.#collected = new DeviceVector(optimizer.sum ?? optimizer.gradient, layout.slots);
    this.#states = Object.fromEntries(
      Object.entries(update.states).map(([state, parts]) => [
        state,
        new DeviceVector(optimizer.states[state] as Float32Array, parts),
      ]),
    );
  }

  get inputs(): Learner['inputs'] {
    return this.#init.graph.inputs;
  }

  get collected(): number {
    return this.#init.optimizer.collected;
  }

  async collect(counter: number): Promise<number> {
    const { graph, optimizer } = this.#init;
    graph.drawMasks(counter);
    const wanted = graph.model.graph.inputs.map(({ name }) => name);
    const outputs = await this.#sessions.gradient.run(
      wantedBy(wanted, {
        ...(await this.#parameters.tensors()),
        ...(await this.#frozen.tensors()),
        ...graph.feeds,
      }),
    );
    const gradient = outputsOf('gradient:', outputs);
    if (optimizer.collected === 0) this.#collected.replace(gradient);
    else {
      const sums = await this.#sessions.sum.run({
        ...prefixed('sum:', await this.#collected.tensors()),
        ...prefixed('gradient:', gradient),
      });
      disposeTensors(gradient);
      this.#collected.replace(outputsOf('next:sum:', sums));
    }
    optimizer.collected++;
    return ((outputs.loss as Tensor).data as Float32Array)[0] as number;
  }

  discard(): void {
    this.#init.optimizer.discard();
  }

  async gradientNorm(): Promise<number> {
    const { declarations, layout, optimizer } = this.#init;
    const trained = layout.slots.filter((_, index) => !declarations[index]?.update).map(({ name }) => name);
    const gradient = wantedBy(trained, await this.#collected.tensors());
    const outputs = await this.#sessions.norm.run(prefixed('gradient:', gradient));
    const squares = (outputs.squares as Tensor).data as Float32Array;
    const sum = squares.reduce((total, square) => total + square, 0);
    return Math.sqrt(sum) / optimizer.collected;
  }

  async update(learningRate: number, gradientNorm: number): Promise<void> {
    const { inner, optimizer } = this.#init;
    optimizer.step++;
    const mean = 1 / optimizer.collected;
    const clip = gradientNorm > inner.clipNorm ? inner.clipNorm / gradientNorm : 1;
    const fresh = Math.min(1, optimizer.step / freshOptimizerSteps);
    const numbers = this.#update.numbers({
      ...{ mean, scale: clip * mean, learningRate: learningRate * fresh, step: optimizer.step },
    });
    const vectors = { parameter: this.#parameters, ...this.#states };
    const feeds: Record<string, Tensor> = {
      ...prefixed('gradient:', await this.#collected.tensors()),
      ...Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, scalar(value)])),
    };
    for (const [kind, vector] of Object.entries(vectors))
      Object.assign(feeds, prefixed(`${kind}:`, await vector.tensors()));
    const outputs = await this.#sessions.update.run(feeds);
    for (const [kind, vector] of Object.entries(vectors)) vector.replace(outputsOf(`next:${kind}:`, outputs));
    optimizer.collected = 0;
  }

  async pull(what: 'parameters' | 'all'): Promise<void> {
    await this.#parameters.pull();
    if (what === 'parameters') return;
    for (const state of Object.values(this.#states)) await state.pull();
    if (this.#init.optimizer.collected > 0) await this.#collected.pull();
  }

  push(what: 'parameters' | 'all'): void {
    this.#parameters.push();
    if (what === 'parameters') return;
    for (const vector of [this.#collected, ...Object.values(this.#states)]) vector.push();
  }
}

/** Loads the step's graphs on the device. Throws `EngineError` `device-failed`. */
export async function createDeviceLearner(init: DeviceLearnerInit): Promise<Learner> {
  const { declarations, layout, inner, graph, dimensions } = init;
  const update = createUpdateGraph(declarations, layout, inner);
  const sessions = {
    gradient: await createDeviceSession(graph.model, ['loss'], dimensions),
    sum: await createDeviceSession(createSumGraph(layout)),
    norm: await createDeviceSession(createNormGraph(declarations, layout), ['squares']),
    update: await createDeviceSession(update.model),
  };
  return new DeviceLearner(init, sessions, update);
}
