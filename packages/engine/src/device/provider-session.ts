/**
 * A training graph on a device whose buffers the binding for Node cannot hold (all but WebGPU's): the step's graph runs
 * there, and parameters and gradients travel each time.
 */
import { type Model, writeModel } from '@murmuration/onnx';
import { InferenceSession } from 'onnxruntime-node';
import { EngineError } from '../errors.ts';
import { type InPlaceSession, ownErrorsOnly } from '../session.ts';
import { type AcceleratorName, oneLine } from './devices.ts';

/** Loads a graph with symbolic sizes fixed by `dimensions`. Throws `EngineError` `device-failed`. */
export async function createProviderSession(
  model: Model,
  provider: AcceleratorName,
  dimensions: Readonly<Record<string, number>> = {},
): Promise<InPlaceSession> {
  const failure = (did: string, error: unknown): EngineError =>
    new EngineError(
      `${provider} ${did}: ${oneLine((error as Error).message)}`,
      { code: 'device-failed', provider },
      { cause: error },
    );
  const options: InferenceSession.SessionOptions = {
    executionProviders: [provider],
    graphOptimizationLevel: 'all',
    // DirectML takes no planned memory; the others gain nothing from it that was measured.
    enableMemPattern: false,
    freeDimensionOverrides: dimensions,
    logSeverityLevel: ownErrorsOnly,
  };
  const session = await InferenceSession.create(writeModel(model), options).catch((error: unknown) => {
    throw failure('does not take the graph', error);
  });
  return {
    async run(feeds, fetches) {
      try {
        await session.run(feeds, fetches);
      } catch (error) {
        throw failure('failed in a run', error);
      }
    },
  };
}
