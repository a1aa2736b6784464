/**
 * The engine itself, as the child process runs it. It owns the vectors: θ and e (`head.ts`), θ_local with gradient and
 * moments (`adamw.ts`, over which `program.ts` lays onnxruntime's tensors). A call is served at once and to its end,
 * except that training, evaluation and generation are jobs of the schedule. Nothing but the schedule's slices awaits in
 * the middle of a change.
 */
import { join } from 'node:path';
import { type Cid, runDigest } from '@murmuration/base';
import { createSampler, type Sampler, type TokenStream } from '@murmuration/data';
import { embedParameters, initializeParameters, writeModel } from '@murmuration/onnx';
import { type AdamW, createAdamW, decayRanges } from './adamw.ts';
import { type CheckpointContents, type Checkpoints, openCheckpoints } from './checkpoint.ts';
import { encodePending } from './contribution.ts';
import { type Corpus, readCorpus, readWholeText } from './corpus.ts';
import { checkpointIntervalMs, snapshotsKept } from './defaults.ts';
import { EngineError } from './errors.ts';
import { createEvaluation } from './evaluation.ts';
import { createExecutor, type Executor } from './execution.ts';
import { contextKey } from './generate-from-file.ts';
import { createGeneration, type GenerationOptions } from './generation.ts';
import { applyBlock, type Head, installParameters, settleBlock, undoBlock } from './head.ts';
import { createHead, describeHead, restoreHead } from './head-checkpoint.ts';
import type {
  EncodedDelta,
  Engine,
  EngineState,
  Evaluation,
  ExecutionInput,
  TrainProgress,
} from './index.ts';
import type { ChildInit, EngineCalls } from './messages.ts';
import { type RunModel, readRunModel } from './model.ts';
import { bytesOf, nameVector, readVector } from './names.ts';
import {
  createForwardProgram,
  createTrainingProgram,
  type ForwardProgram,
  type TrainingProgram,
} from './program.ts';
import type { Schedule } from './schedule.ts';
import { createTraining, type Training, type TrainingCounters } from './training.ts';
import { removeFilesBut, writeWholeFile } from './whole-files.ts';

/** The calls as the child serves them: answers may come at once. */
export type ServedCalls = {
  readonly [Call in keyof EngineCalls]: (
    ...parameters: Parameters<EngineCalls[Call]>
  ) => Awaited<ReturnType<EngineCalls[Call]>> | ReturnType<EngineCalls[Call]>;
};

/** What the checkpoint holds beside the head. */
interface SavedState {
  readonly head: unknown;
  readonly optimizerSteps: number;
  readonly samplerPosition: number;
  readonly counters: TrainingCounters;
}

/** What there is before `open`. */
interface Parts {
  readonly init: ChildInit;
  readonly runModel: RunModel;
  readonly corpus: Corpus | undefined;
  readonly adamw: AdamW;
  readonly program: TrainingProgram | undefined;
  readonly executor: Executor;
  readonly checkpoints: Checkpoints;
  readonly schedule: Schedule;
  report(progress: TrainProgress): void;
}

/** What there is after it. */
interface Opened {
  readonly head: Head;
  readonly counters: TrainingCounters;
  readonly sampler: Sampler | undefined;
  readonly training: Training | undefined;
}

const snapshotPattern = /^snapshot-\d+-\w+$/;

class ChildEngine implements ServedCalls {
  readonly #parts: Parts;
  readonly #plans = new Set<{ stop(): void; readonly ended: Promise<void> }>();
  readonly #forward = new Map<'loss' | 'logits', Promise<ForwardProgram>>();
  readonly #snapshots: string[] = [];
  #opened: Opened | undefined;
  #savedMs = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  open(genesis: Cid): EngineState {
    if (this.#opened) throw new EngineError('the engine is already open', { code: 'already-open' });
    const { init, runModel, corpus, adamw, program, checkpoints, report } = this.#parts;
    const loaded = checkpoints.load();
    const head = createHead(new Float32Array(runModel.layout.length), adamw.parameters, genesis);
    const counters: TrainingCounters = { step: 0, stepsSinceEncode: 0, lossSum: 0 };
    let position = 0;
    if (loaded) {
      const arrays = loaded.arrays.values();
      const take = (): ArrayBuffer => arrays.next().value ?? new ArrayBuffer(0);
      const saved = loaded.state as SavedState;
      adamw.first.set(new Float32Array(take()));
      adamw.second.set(new Float32Array(take()));
      adamw.step = saved.optimizerSteps;
      restoreHead(head, saved.head, take);
      Object.assign(counters, saved.counters);
      position = saved.samplerPosition;
    } else this.#initialize(head);
    const { run, runId, self } = init;
    const sampler =
      corpus && createSampler(corpus.training, { ...run.sample, seed: `${runId}/${self}`, position });
    const training = sampler && program && createTraining({ run, program, adamw, sampler, counters, report });
    this.#opened = { head, counters, sampler, training };
    return this.#state();
  }

  #initialize(head: Head): void {
    const { init, runModel } = this.#parts;
    const { seed, tensors } = init.run.initial;
    head.parameters.set(initializeParameters(runModel.declarations, seed));
    head.local.set(head.parameters);
    const { cid } = nameVector(head.parameters);
    if (cid !== tensors)
      throw new EngineError(`initial state: expected ${tensors}, the seed ${seed} gives ${cid}`, {
        code: 'bad-initial-state',
        expected: tensors,
        got: cid,
      });
  }

  #required(): Opened {
    if (!this.#opened) throw new EngineError('expected open() first', { code: 'not-open' });
    return this.#opened;
  }

  #state(): EngineState {
    const { head, counters } = this.#required();
    return {
      head: head.position,
      undoable: head.applied.map(({ position }) => position),
      tensors: nameVector(head.parameters).cid,
      parameters: head.parameters.length,
      pending: head.pending?.delta,
      step: counters.step,
    };
  }

  async train(plan: { readonly steps: number; readonly round: number }): Promise<TrainProgress> {
    const { training } = this.#required();
    if (!training) throw new EngineError('expected data to train on, got none', { code: 'no-data' });
    const job = training.plan(plan);
    const entry = { stop: () => job.stop(), ended: this.#parts.schedule.start(job) };
    this.#plans.add(entry);
    try {
      await entry.ended;
    } finally {
      this.#plans.delete(entry);
    }
    return job.result();
  }

  async pause(): Promise<void> {
    const plans = [...this.#plans];
    for (const plan of plans) plan.stop();
    await Promise.allSettled(plans.map(({ ended }) => ended));
  }

  encode(from: { readonly base: Cid; readonly baseHeight: number }): EncodedDelta {
    const { head, counters } = this.#required();
    if (from.base !== head.position.block)
      throw new EngineError(`encode: expected the head ${head.position.block} as base, got ${from.base}`, {
        code: 'unknown-parent',
        base: from.base,
        head: head.position.block,
      });
    const { init, executor } = this.#parts;
    const { run, runId, self } = init;
    const { delta } = encodePending(head, counters, executor, { run, runDigest: runDigest(runId), self });
    this.#save();
    return delta;
  }

  validate(
    blob: Uint8Array,
    expected: Parameters<Engine['validate']>[1],
  ): Awaited<ReturnType<Engine['validate']>> {
    const { blobBytesMax } = this.#parts.init.run.delta;
    const reason =
      blob.length > blobBytesMax
        ? `expected at most ${blobBytesMax} bytes, got ${blob.length}`
        : this.#parts.executor.problem(blob, expected);
    return reason === undefined ? { valid: true } : { valid: false, reason };
  }

  execute(execution: ExecutionInput, blobs: ReadonlyMap<Cid, Uint8Array>): Cid {
    return this.#parts.executor.execute(this.#required().head, execution, blobs).tensors;
  }

  apply(
    block: Cid,
    execution: ExecutionInput,
    blobs: ReadonlyMap<Cid, Uint8Array>,
    own: Cid | undefined,
  ): void {
    const { head } = this.#required();
    const { executor, init } = this.#parts;
    if (execution.parent !== head.position.block)
      throw new EngineError(
        `apply: expected a child of the head ${head.position.block}, got one of ${execution.parent}`,
        {
          code: 'unknown-parent',
          block,
          parent: execution.parent,
          head: head.position.block,
        },
      );
    const { after } = executor.execute(head, execution, blobs);
    const input = own && execution.inputs.find(({ blob }) => blob === own);
    if (own && !input)
      throw new EngineError(`apply: own blob ${own} is not among the inputs`, { code: 'missing-blob', own });
    const inclusion = input && {
      blob: input.blob,
      clip: input.clip,
      decoded: executor.decode(input.blob, blobs.get(input.blob) as Uint8Array, input.author, input.base),
    };
    const position = { block, height: execution.height };
    applyBlock(head, { position, after, ...(inclusion && { own: inclusion }) }, init.run.delta.feedback);
  }

  undo(block: Cid): void {
    undoBlock(this.#required().head, block);
  }

  settle(block: Cid): void {
    settleBlock(this.#required().head, block);
    if (performance.now() - this.#savedMs >= checkpointIntervalMs) this.#save();
  }

  expire(blob: Cid): void {
    const { head } = this.#required();
    if (head.pending?.delta.blob === blob) head.pending = undefined;
  }

  snapshot(): Awaited<ReturnType<Engine['snapshot']>> {
    const { head } = this.#required();
    const { cid: tensors, manifest } = nameVector(head.parameters);
    const name = `snapshot-${head.position.height}-${tensors.slice(-12)}`;
    const { directory } = this.#parts.init;
    const path = join(directory, name);
    writeWholeFile(path, bytesOf(head.parameters));
    if (this.#snapshots.at(-1) !== name) this.#snapshots.push(name);
    this.#snapshots.splice(0, this.#snapshots.length - snapshotsKept);
    removeFilesBut(directory, new Set(this.#snapshots), snapshotPattern);
    return { path, ...head.position, tensors, chunks: manifest.chunks, size: manifest.size };
  }

  install(state: Parameters<Engine['install']>[0]): void {
    const { head } = this.#required();
    const { path, block, height, tensors, own } = state;
    const { executor, init } = this.#parts;
    const values = readVector(path, head.parameters.length, tensors);
    const pending = head.pending?.delta;
    const taken = pending && pending.blob === own?.blob ? { ...pending, clip: own.clip } : undefined;
    const inclusion = taken && {
      blob: taken.blob,
      clip: taken.clip,
      decoded: executor.decode(taken.blob, taken.bytes, init.self, taken.base),
    };
    installParameters(head, values, { block, height }, inclusion, init.run.delta.feedback);
    this.#save();
  }

  async evaluate(options: Parameters<Engine['evaluate']>[0] = {}): Promise<Evaluation> {
    const parameters = this.#copyOf(options.parameters ?? 'common');
    const stream = this.#textOf(options.data, options.part ?? 'held-out');
    const program = await this.#program('loss');
    const { run } = this.#parts.init;
    const { bytesMax } = options;
    const job = createEvaluation({ program, parameters, stream, ...run.sample, bytesMax });
    await this.#parts.schedule.start(job);
    return job.result();
  }

  #textOf(data: readonly string[] | undefined, part: 'held-out' | 'all'): TokenStream {
    const { init, corpus } = this.#parts;
    const paths = data ?? init.data;
    if (paths.length === 0)
      throw new EngineError('expected data to evaluate on, got none', { code: 'no-data' });
    if (part === 'all') return readWholeText(paths);
    if (corpus && !data) return corpus.heldOut;
    return readCorpus(paths, init.runId, 1).heldOut;
  }

  #copyOf(which: 'common' | 'local'): Float32Array {
    const { head } = this.#required();
    return (which === 'local' ? head.local : head.parameters).slice();
  }

  /** Made when first needed; evaluation and generation each have their part of the graph. */
  #program(output: 'loss' | 'logits'): Promise<ForwardProgram> {
    const { runModel, init } = this.#parts;
    const made =
      this.#forward.get(output) ?? createForwardProgram({ ...runModel, output, threads: init.threads });
    this.#forward.set(output, made);
    return made;
  }

  async generate(prompt: string, options: GenerationOptions): Promise<string> {
    const parameters = this.#copyOf('common');
    const program = await this.#program('logits');
    const { context } = this.#parts.init.run.sample;
    const job = createGeneration({ program, parameters, context }, prompt, options);
    await this.#parts.schedule.start(job);
    return job.result();
  }

  exportOnnx(path: string): void {
    const { head } = this.#required();
    const model = embedParameters(this.#parts.runModel.model, head.parameters);
    const metadata = { ...model.metadata, [contextKey]: String(this.#parts.init.run.sample.context) };
    writeWholeFile(path, writeModel({ ...model, metadata }));
  }

  memory(): number {
    return process.memoryUsage.rss();
  }

  async close(): Promise<void> {
    await this.pause();
    if (this.#opened) this.#save();
  }

  #save(): void {
    this.#savedMs = performance.now();
    this.#parts.checkpoints.save(this.#contents());
  }

  #contents(): CheckpointContents {
    const { head, counters, sampler } = this.#required();
    const { adamw } = this.#parts;
    const described = describeHead(head);
    const state: SavedState = {
      head: described.state,
      optimizerSteps: adamw.step,
      samplerPosition: sampler?.position ?? 0,
      counters,
    };
    return { state, arrays: [adamw.first, adamw.second, ...described.arrays] };
  }
}

/** Reads graph and data and makes the training program. Throws `EngineError` as `createEngine` says. */
export async function createChildEngine(
  init: ChildInit,
  schedule: Schedule,
  report: (progress: TrainProgress) => void,
): Promise<ServedCalls> {
  const { run, runId, threads } = init;
  const runModel = readRunModel(init.graph, run);
  const { declarations, layout } = runModel;
  const slots = layout.slots.map((slot, index) => ({
    ...slot,
    decays: declarations[index]?.decays ?? false,
  }));
  const adamw = createAdamW(layout.length, decayRanges(slots), run.inner);
  const corpus = init.data.length > 0 ? readCorpus(init.data, runId, run.sample.context) : undefined;
  const { parameters, gradient } = adamw;
  const program =
    corpus && (await createTrainingProgram({ ...runModel, parameters, gradient, ...run.sample, threads }));
  const executor = createExecutor({
    runDigest: runDigest(runId),
    parameters: layout.length,
  });
  const checkpoints = openCheckpoints(init.directory, runId);
  return new ChildEngine({
    init,
    runModel,
    corpus,
    adamw,
    program,
    executor,
    checkpoints,
    schedule,
    report,
  });
}
