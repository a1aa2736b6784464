/**
 * Sessions of onnxruntime on WebGPU whose values stay there: outputs are buffers of the device that later runs are fed
 * with. The binding for Node ends the process when such a buffer is asked for its data, so values travel through
 * graphs of Identity nodes: from host to device when the outputs stay there, from device to host when they do not.
 */
import { createGraphBuilder, type Model, writeModel } from '@murmuration/onnx';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { EngineError } from '../errors.ts';
import { ownErrorsOnly } from '../session.ts';
import { rewriteForWebgpu } from './webgpu-graph.ts';

/** Channels stay where they are: moving them to the end breaks graphs with Resize in this version of onnxruntime. */
export const webgpuProvider: InferenceSession.WebGpuExecutionProviderOption = {
  name: 'webgpu',
  preferredLayout: 'NCHW',
};

/** A place of a flat vector that is one tensor of a graph. */
export interface VectorPart {
  readonly name: string;
  readonly shape: readonly number[];
  /** Index of its first value. */
  readonly offset: number;
}

/** Tensors of the device by name. */
export type DeviceTensors = Readonly<Record<string, Tensor>>;

/** A graph on the device. */
export interface DeviceSession {
  /** Gives every output: on the device, or on the host where the session was told so. */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<DeviceTensors>;
}

const failure = (did: string, error: unknown): EngineError =>
  new EngineError(
    `WebGPU ${did}: ${(error as Error).message.trim()}`,
    { code: 'device-failed' },
    { cause: error },
  );

async function load(
  model: Model,
  hostOutputs: readonly string[],
  dimensions: Readonly<Record<string, number>>,
): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(writeModel(model), {
      executionProviders: [webgpuProvider],
      graphOptimizationLevel: 'all',
      freeDimensionOverrides: dimensions,
      logSeverityLevel: ownErrorsOnly,
      preferredOutputLocation: Object.fromEntries(
        model.graph.outputs.map(({ name }) => [name, hostOutputs.includes(name) ? 'cpu' : 'gpu-buffer']),
      ),
    });
  } catch (error) {
    throw failure('does not take the graph', error);
  }
}

/**
 * Loads a graph with what WebGPU has no kernel for rewritten; `hostOutputs` come down after each run. Throws
 * `EngineError` `device-failed`.
 */
export async function createDeviceSession(
  model: Model,
  hostOutputs: readonly string[] = [],
  dimensions: Readonly<Record<string, number>> = {},
): Promise<DeviceSession> {
  const session = await load(rewriteForWebgpu(model), hostOutputs, dimensions);
  return {
    async run(feeds) {
      try {
        return (await session.run(feeds)) as Record<string, Tensor>;
      } catch (error) {
        throw failure('failed in a run', error);
      }
    },
  };
}

const copied = (name: string): string => `${name}:copy`;

/** Every part through an Identity node. */
function copyingGraph(parts: readonly VectorPart[]): Model {
  const graph = createGraphBuilder('copy');
  for (const { name, shape } of parts) {
    graph.input(name, 'float32', shape);
    graph.output(graph.node('Identity', [name], {}, copied(name)), 'float32', shape);
  }
  return graph.model();
}

/** Frees buffers of the device. */
export function disposeTensors(tensors: DeviceTensors): void {
  for (const tensor of Object.values(tensors)) tensor.dispose();
}

/** Which of the two copies of a vector holds its values. */
type Newest = 'host' | 'device' | 'both';

/** A flat vector of the host that is also a tensor per part on the device. */
export class DeviceVector {
  readonly parts: readonly VectorPart[];
  readonly #host: Float32Array;
  #tensors: DeviceTensors = {};
  #newest: Newest = 'host';
  #upload: Promise<InferenceSession> | undefined;
  #download: Promise<InferenceSession> | undefined;

  constructor(host: Float32Array, parts: readonly VectorPart[]) {
    this.#host = host;
    this.parts = parts;
  }

  /** Parts as tensors of the device: taken up first where the host's values are newer. */
  async tensors(): Promise<DeviceTensors> {
    if (this.#newest === 'host' && this.parts.length > 0) {
      this.#upload ??= load(copyingGraph(this.parts), [], {});
      const copies = await this.#copy(await this.#upload, this.#views());
      disposeTensors(this.#tensors);
      this.#tensors = Object.fromEntries(
        this.parts.map(({ name }) => [name, copies[copied(name)] as Tensor]),
      );
      this.#newest = 'both';
    }
    return this.#tensors;
  }

  /** Puts a run's outputs in the place of the tensors so far, which are freed. */
  replace(outputs: Readonly<Record<string, Tensor>>): void {
    const before = this.#tensors;
    this.#tensors = Object.fromEntries(this.parts.map(({ name }) => [name, outputs[name] as Tensor]));
    this.#newest = 'device';
    disposeTensors(before);
  }

  /** Brings the values down where the device's are newer. */
  async pull(): Promise<void> {
    if (this.#newest !== 'device') return;
    this.#download ??= load(
      copyingGraph(this.parts),
      this.parts.map(({ name }) => copied(name)),
      {},
    );
    const fetches = Object.fromEntries(
      Object.entries(this.#views()).map(([name, view]) => [copied(name), view]),
    );
    await this.#copy(await this.#download, this.#tensors, fetches);
    this.#newest = 'both';
  }

  /** The host's values have changed. */
  push(): void {
    this.#newest = 'host';
  }

  #views(): Record<string, Tensor> {
    return Object.fromEntries(
      this.parts.map(({ name, shape, offset }) => {
        const length = shape.reduce((product, size) => product * size, 1);
        return [name, new Tensor('float32', this.#host.subarray(offset, offset + length), shape)];
      }),
    );
  }

  async #copy(
    session: InferenceSession,
    feeds: Readonly<Record<string, Tensor>>,
    fetches?: Record<string, Tensor>,
  ): Promise<InferenceSession.ReturnType> {
    try {
      return await (fetches ? session.run(feeds, fetches) : session.run(feeds));
    } catch (error) {
      throw failure('failed in a copy', error);
    }
  }
}
