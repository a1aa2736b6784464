/** Sessions of stock onnxruntime: the options that training needs, and failures as `EngineError`. */
import { type Model, writeModel } from '@murmuration/onnx';
import { InferenceSession } from 'onnxruntime-node';
import { EngineError } from './errors.ts';

/** Loads a graph; `dimensions` fixes symbolic sizes. Throws `EngineError` `bad-graph`. */
export async function createSession(
  model: Model,
  threads: number,
  dimensions: Readonly<Record<string, number>> = {},
): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(writeModel(model), {
      executionProviders: ['cpu'],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      // One block planned for a whole step costs 55 MB more at 0.9 M parameters, 250 MB at 5 M, and saves no time.
      enableMemPattern: false,
      freeDimensionOverrides: dimensions,
      logSeverityLevel: 3,
    });
  } catch (error) {
    throw new EngineError(
      `the graph cannot run: ${(error as Error).message}`,
      { code: 'bad-graph' },
      { cause: error },
    );
  }
}

/** What the graph makes of its inputs; a failing operator is the graph's fault. */
export async function runSession(
  session: InferenceSession,
  feeds: InferenceSession.FeedsType,
  fetches: InferenceSession.FetchesType,
): Promise<InferenceSession.ReturnType> {
  try {
    return await session.run(feeds, fetches);
  } catch (error) {
    throw new EngineError(
      `the graph failed: ${(error as Error).message}`,
      { code: 'bad-graph' },
      { cause: error },
    );
  }
}
