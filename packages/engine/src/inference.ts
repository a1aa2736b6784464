/** What a run's model is used for beside training: measuring its loss, continuing text, a file to take away. */
import { exportModel } from '@murmuration/autodiff';
import { FactError, type RunConfig } from '@murmuration/base';
import { type ValueInfo, writeModel } from '@murmuration/onnx';
import { evaluationBatchMax } from './defaults.ts';
import { EngineError } from './errors.ts';
import { createEvaluation } from './evaluation.ts';
import { contextKey } from './generate-from-file.ts';
import { checkGrows, createGeneration, type GenerationOptions } from './generation.ts';
import type { Evaluation, ExportOptions } from './index.ts';
import type { RunModel } from './model.ts';
import { createForwardProgram, type ForwardProgram } from './program.ts';
import type { EvaluationBatch, EvaluationRequest, Inputs, RunData } from './samples.ts';
import type { Schedule } from './schedule.ts';
import { writeWholeFile } from './whole-files.ts';

/** Uses of the model that change nothing. */
export interface Inference {
  /** `parameters` must not change until it resolves. */
  evaluate(parameters: Float32Array, request: Omit<EvaluationRequest, 'batch'>): Promise<Evaluation>;
  /** Throws `EngineError` `not-a-text-model`, `bad-prompt`. */
  generate(parameters: Float32Array, prompt: string, options: GenerationOptions): Promise<string>;
  exportOnnx(path: string, parameters: Float32Array, options?: ExportOptions): void;
}

/** The batch size of a graph that takes no other. */
const fixedBatch = ({ inputs }: RunModel): number | undefined =>
  inputs.map(({ shape }) => shape?.[0]).find((size) => typeof size === 'number');

const shapesIn = (declared: readonly ValueInfo[], shapeOf: (value: ValueInfo) => unknown): string =>
  declared.map((value) => `${value.name} [${shapeOf(value)}]`).join(', ');

/** Passes over batches that a graph with fixed sizes does not take: the last ones. */
function* fitting(
  batches: Iterable<EvaluationBatch>,
  declared: readonly ValueInfo[],
): Generator<EvaluationBatch, void, void> {
  let fits = 0;
  let other: Inputs | undefined;
  for (const batch of batches) {
    const misfit = declared.some(({ name, shape }) => {
      const actual = batch.inputs[name]?.shape ?? [];
      return shape?.some((size, axis) => typeof size === 'number' && size !== actual[axis]);
    });
    if (misfit) other ??= batch.inputs;
    else fits++;
    if (!misfit) yield batch;
  }
  if (fits === 0)
    throw new EngineError(
      `expected samples for the graph's inputs ${shapesIn(declared, ({ shape }) => shape)}, ` +
        `got ${other ? shapesIn(declared, ({ name }) => other?.[name]?.shape ?? '') : 'none'}`,
      { code: 'bad-samples' },
    );
}

/** Makes the programs that a use needs when it is first asked for. */
export function createInference(init: {
  readonly run: RunConfig;
  readonly runModel: RunModel;
  readonly frozen: Float32Array;
  readonly data: RunData;
  readonly threads: number;
  readonly schedule: Schedule;
}): Inference {
  const { run, runModel, frozen, data, schedule } = init;
  const programs = new Map<string, Promise<ForwardProgram>>();
  const isText = run.data.kind === 'text';

  /** Made when first needed; evaluation and generation each have their part of the graph. */
  function programFor(output: string): Promise<ForwardProgram> {
    const made = programs.get(output) ?? createForwardProgram({ ...init, output });
    programs.set(output, made);
    return made;
  }

  function textContext(): number {
    const hasLogits = runModel.model.graph.outputs.some(({ name }) => name === 'logits');
    if (run.data.kind === 'text' && hasLogits) return run.data.context;
    throw new EngineError(
      `expected a text model with an output logits, got a model on ${run.data.kind} with ` +
        runModel.model.graph.outputs.map(({ name }) => name).join(', '),
      { code: 'not-a-text-model' },
    );
  }

  return {
    async evaluate(parameters, request) {
      const batch = fixedBatch(runModel) ?? Math.min(run.batch, evaluationBatchMax);
      const batches = fitting(data.batches({ ...request, batch }), runModel.inputs);
      const job = createEvaluation({ program: await programFor('loss'), parameters, batches, isText });
      await schedule.start(job).finally(() => batches.return());
      return job.result();
    },

    async generate(parameters, prompt, options) {
      const context = textContext();
      runModel.inputs.forEach(checkGrows);
      const program = await programFor('logits');
      const logits = (tokens: BigInt64Array): Promise<Float32Array> =>
        program.run(parameters, { tokens: { type: 'int64', shape: [1, tokens.length], data: tokens } });
      const job = createGeneration({ logits, context }, prompt, options);
      await schedule.start(job);
      return job.result();
    },

    exportOnnx(path, parameters, { merge = false } = {}) {
      try {
        const model = exportModel(runModel.model, { parameters, frozen, merge });
        const context = run.data.kind === 'text' ? { [contextKey]: String(run.data.context) } : {};
        writeWholeFile(path, writeModel({ ...model, metadata: { ...model.metadata, ...context } }));
      } catch (error) {
        if (error instanceof EngineError || !(error instanceof FactError)) throw error;
        throw new EngineError(error.message, { code: 'bad-graph', facts: error.facts }, { cause: error });
      }
    },
  };
}
