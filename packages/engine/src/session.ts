/**
 * Sessions of stock onnxruntime: the options that training needs, and failures as `EngineError`.
 *
 * A training session writes its outputs where the caller says, and nowhere else. onnxruntime's binding for Node, once
 * the run is over, also copies every output into a new buffer, to return it: for gradients that is as much memory as
 * the parameters, and a tenth of the step's time. Outputs are converted in order, and the first one that is no tensor
 * ends the conversion with an error. So a training graph gets such an output in front, and that error means success.
 */
import { type Model, type Node, writeModel } from '@murmuration/onnx';
import { InferenceSession } from 'onnxruntime-node';
import { EngineError } from './errors.ts';

/** What onnxruntime would write to the terminal as an error is in the error that it throws, and in ours. */
export const ownErrorsOnly = 4;

const badGraph = (did: string, error: unknown): EngineError =>
  new EngineError(`the graph ${did}: ${(error as Error).message}`, { code: 'bad-graph' }, { cause: error });

async function loadSession(
  model: Model,
  threads: number,
  dimensions: Readonly<Record<string, number>>,
  disabledOptimizers: readonly string[],
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
      logSeverityLevel: ownErrorsOnly,
      extra: { optimization: { disable_specified_optimizers: disabledOptimizers.join(';') } },
    });
  } catch (error) {
    throw badGraph('cannot run', error);
  }
}

/** Loads a graph; `dimensions` fixes symbolic sizes. Throws `EngineError` `bad-graph`. */
export const createSession = (
  model: Model,
  threads: number,
  dimensions: Readonly<Record<string, number>> = {},
): Promise<InferenceSession> => loadSession(model, threads, dimensions, []);

/** What the graph makes of its inputs; a failing operator is the graph's fault. */
export async function runSession(
  session: InferenceSession,
  feeds: InferenceSession.FeedsType,
  fetches: InferenceSession.FetchesType,
): Promise<InferenceSession.ReturnType> {
  try {
    return await session.run(feeds, fetches);
  } catch (error) {
    throw badGraph('failed', error);
  }
}

/** A session whose outputs go where the caller says. */
export interface InPlaceSession {
  /** Writes each output of the graph into its fetch. Throws `EngineError` `bad-graph`. */
  run(feeds: InferenceSession.FeedsType, fetches: InferenceSession.OnnxValueMapType): Promise<void>;
}

/** Merging equal nodes would hold what is computed again on purpose; folding would store zeros of a table's size. */
const optimizersAgainstMemory = ['CommonSubexpressionElimination', 'ConstantFolding'];

/** How the binding refuses to convert an output that is no tensor. */
const noTensor = 'Non tensor type is temporarily not supported.';

/**
 * Loads a training graph, whose first output is the loss, in such a way that no output is copied and that values are
 * computed when they are needed, in the graph's own order. Throws `EngineError` `bad-graph`.
 */
export async function createInPlaceSession(
  model: Model,
  threads: number,
  dimensions: Readonly<Record<string, number>> = {},
): Promise<InPlaceSession> {
  const { graph } = model;
  const last = 'engine.noTensor';
  const [loss] = graph.outputs;
  const node: Node = {
    name: last,
    operator: 'SequenceConstruct',
    domain: '',
    inputs: loss ? [loss.name] : [],
    outputs: [last],
    attributes: {},
  };
  const guarded: Model = {
    ...model,
    graph: {
      ...graph,
      nodes: [...graph.nodes, node],
      outputs: [{ name: last, type: 'float32', untyped: true }, ...graph.outputs],
    },
  };
  const session = await loadSession(guarded, threads, dimensions, optimizersAgainstMemory);
  return {
    async run(feeds, fetches) {
      try {
        await session.run(feeds, { ...fetches, [last]: null });
      } catch (error) {
        if (!(error as Error).message.includes(noTensor)) throw badGraph('failed', error);
      }
    },
  };
}
