/**
 * The engine itself, as the child process runs it. It owns the vectors: θ and e (`head.ts`), θ_local with gradient and
 * optimizer states (`optimizers/`, over which `program.ts` lays onnxruntime's tensors). A call is served at once and to
 * its end, except that training, evaluation and generation are jobs of the schedule. Nothing but the schedule's slices
 * awaits in the middle of a change.
 */
import { join } from 'node:path';
import { type Cid, runDigest } from '@murmuration/base';
import { deltaLimits } from '@murmuration/delta';
import { type CheckpointContents, type Checkpoints, openCheckpoints } from './checkpoint.ts';
import { encodePending } from './contribution.ts';
import { createLearner, type PlacedLearner } from './create-learner.ts';
import { checkpointIntervalMs, snapshotsKept } from './defaults.ts';
import type { DeviceChoice } from './device/devices.ts';
import { describeEngine, restoreEngine } from './engine-checkpoint.ts';
import { EngineError } from './errors.ts';
import { createExecutor, type Executor } from './execution.ts';
import { firstParameters, frozenWeights } from './first-weights.ts';
import type { GenerationOptions } from './generation.ts';
import {
  applyBlock,
  type Head,
  installParameters,
  rewindParameters,
  settleBlock,
  undoBlock,
} from './head.ts';
import { createHead } from './head-checkpoint.ts';
import type {
  EncodedDelta,
  Engine,
  EngineState,
  Evaluation,
  ExecutionInput,
  ExportOptions,
  TrainProgress,
} from './index.ts';
import { createInference, type Inference } from './inference.ts';
import type { Learner } from './learner.ts';
import type { ChildInit, EngineCall, EngineCalls } from './messages.ts';
import { type RunModel, readRunModel } from './model.ts';
import { bytesOf, nameVector, readVector } from './names.ts';
import { createOptimizer, type Optimizer } from './optimizers/optimizer.ts';
import { readRunData } from './run-data.ts';
import { type RunData, type SampleSource, sizeInputs } from './samples.ts';
import type { Schedule } from './schedule.ts';
import { createTraining, freshCounters, type Training, type TrainingCounters } from './training.ts';
import { TrainingQueue } from './training-queue.ts';
import { removeFilesBut, writeFileOnce, writeWholeFile } from './whole-files.ts';

/** What a call needs of the vectors of a step on the host, where a device has newer ones. */
const pulls: Readonly<Partial<Record<EngineCall, 'parameters' | 'all'>>> = {
  encode: 'all',
  install: 'all',
  fork: 'all',
  rewind: 'all',
  close: 'all',
  apply: 'parameters',
  undo: 'parameters',
  evaluate: 'parameters',
  generate: 'parameters',
  exportOnnx: 'parameters',
};

/** The calls as the child serves them: answers may come at once. */
export type ServedCalls = {
  readonly [Call in keyof EngineCalls]: (
    ...parameters: Parameters<EngineCalls[Call]>
  ) => Awaited<ReturnType<EngineCalls[Call]>> | ReturnType<EngineCalls[Call]>;
};

/** The calls, and what some of them must wait for. */
export interface ServedEngine extends ServedCalls {
  prepare(call: EngineCall): Promise<void> | undefined;
  /** The file that a call has just written and that is durable once somebody has flushed it, and says so. */
  takeUnflushed(): string | undefined;
  flushed(path: string): void;
}

/** What there is before `open`. */
interface Parts {
  readonly init: ChildInit;
  readonly runModel: RunModel;
  readonly data: RunData;
  readonly optimizer: Optimizer;
  /** Absent when there is nothing to train on. */
  readonly learner: Learner | undefined;
  readonly device: DeviceChoice;
  readonly inference: Inference;
  readonly executor: Executor;
  readonly checkpoints: Checkpoints;
  readonly schedule: Schedule;
  report(progress: TrainProgress): void;
}

/** What there is after it. */
interface Opened {
  readonly head: Head;
  readonly counters: TrainingCounters;
  readonly source: SampleSource | undefined;
  readonly training: Training | undefined;
}

const snapshotPattern = /^snapshot-\d+-\w+$/;

class ChildEngine implements ServedEngine {
  readonly #parts: Parts;
  readonly #trainings: TrainingQueue;
  readonly #forkPath: string;
  readonly #snapshots: string[] = [];
  #unflushed: string | undefined;
  #opened: Opened | undefined;
  #savedMs = 0;
  /** Decided before a call to settle, while a device's vectors can still come down. */
  #savesAtSettle = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#trainings = new TrainingQueue(parts.schedule);
    this.#forkPath = join(parts.init.directory, 'fork');
  }

  open(genesis: Cid): EngineState {
    if (this.#opened) throw new EngineError('the engine is already open', { code: 'already-open' });
    const { init, runModel, data, optimizer, learner, checkpoints, schedule, report } = this.#parts;
    const loaded = checkpoints.load();
    const first = loaded ? new Float32Array(runModel.layout.length) : firstParameters(init, runModel);
    const head = createHead(first, optimizer.parameters, genesis);
    const counters = freshCounters();
    let position = 0;
    if (loaded) position = restoreEngine(loaded, { head, optimizer, counters });
    else head.local.set(head.parameters);
    const { run, runId, self } = init;
    const source = learner && data.source({ seed: `${runId}/${self}`, position });
    const training =
      source &&
      learner &&
      createTraining({ run, learner, source, counters, report, timeUse: () => schedule.timeUse() });
    this.#opened = { head, counters, source, training };
    return this.#state();
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
      device: this.#parts.device,
    };
  }

  /** What must be done right before a call, if that takes time: vectors come down from the device. */
  prepare(call: EngineCall): Promise<void> | undefined {
    const { learner } = this.#parts;
    this.#savesAtSettle = call === 'settle' && performance.now() - this.#savedMs >= checkpointIntervalMs;
    const what = this.#savesAtSettle ? 'all' : pulls[call];
    return what && this.#opened && learner?.isRemote ? learner.pull(what) : undefined;
  }

  async train(plan: { readonly steps: number; readonly round: number }): Promise<TrainProgress> {
    const { training } = this.#required();
    if (!training) throw new EngineError('expected data to train on, got none', { code: 'no-data' });
    const job = training.plan(plan);
    await this.#trainings.run(job);
    return job.result();
  }

  pause(): Promise<void> {
    return this.#trainings.stop();
  }

  encode(from: Parameters<Engine['encode']>[0]): EncodedDelta {
    const { head, counters } = this.#required();
    if (from.base !== head.position.block)
      throw new EngineError(`encode: expected the head ${head.position.block} as base, got ${from.base}`, {
        code: 'unknown-parent',
        base: from.base,
        head: head.position.block,
      });
    const { init, executor, runModel } = this.#parts;
    const { run, runId, self } = init;
    const { delta } = encodePending(head, counters, executor, {
      ...{ run, runDigest: runDigest(runId), self },
      kept: runModel.averages,
      k: from.k ?? run.delta.k,
    });
    this.#savedMs = performance.now();
    this.#unflushed = this.#parts.checkpoints.write(this.#description());
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
    carried = false,
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
    applyBlock(
      head,
      { position, after, carried, ...(inclusion && { own: inclusion }) },
      init.run.delta.feedback,
    );
    this.#parts.learner?.push('parameters');
  }

  undo(block: Cid): void {
    undoBlock(this.#required().head, block, this.#parts.init.run.delta.feedback);
    this.#parts.learner?.push('parameters');
  }

  settle(block: Cid): void {
    settleBlock(this.#required().head, block);
    if (this.#savesAtSettle) this.#save();
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
    writeFileOnce(path, bytesOf(head.parameters));
    this.#unflushed = path;
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
    this.#parts.learner?.push('parameters');
    this.#save();
  }

  fork(block: Cid): void {
    const { head } = this.#required();
    if (head.position.block !== block)
      throw new EngineError(`fork: expected θ of ${block}, it is that of ${head.position.block}`, {
        code: 'unknown-parent',
        block,
        head: head.position.block,
      });
    writeWholeFile(this.#forkPath, bytesOf(head.parameters));
  }

  rewind({ block, height, tensors, carry }: Parameters<Engine['rewind']>[0]): void {
    const { head } = this.#required();
    const values = readVector(this.#forkPath, head.parameters.length, tensors);
    rewindParameters(head, values, { block, height }, carry);
    this.#parts.learner?.push('parameters');
    this.#save();
  }

  async evaluate(options: Parameters<Engine['evaluate']>[0] = {}): Promise<Evaluation> {
    const { data, part = 'held-out', parameters = 'common', bytesMax } = options;
    return this.#parts.inference.evaluate(this.#copyOf(parameters), { data, part, bytesMax });
  }

  /** A copy of the parameters, running statistics as this engine has them: θ has none that anybody averaged. */
  #copyOf(which: 'common' | 'local'): Float32Array {
    const { head } = this.#required();
    const copy = (which === 'local' ? head.local : head.parameters).slice();
    for (const { start, end } of this.#parts.runModel.averages)
      copy.set(head.local.subarray(start, end), start);
    return copy;
  }

  async generate(prompt: string, options: GenerationOptions): Promise<string> {
    return this.#parts.inference.generate(this.#copyOf('common'), prompt, options);
  }

  exportOnnx(path: string, options?: ExportOptions): void {
    this.#parts.inference.exportOnnx(path, this.#copyOf('common'), options);
  }

  memory(): number {
    return process.memoryUsage.rss();
  }

  async close(): Promise<void> {
    await this.pause();
    if (this.#opened) this.#save();
  }

  takeUnflushed(): string | undefined {
    const path = this.#unflushed;
    this.#unflushed = undefined;
    return path;
  }

  flushed(path: string): void {
    this.#parts.checkpoints.flushed(path);
  }

  #save(): void {
    this.#savedMs = performance.now();
    this.#parts.checkpoints.save(this.#description());
  }

  #description(): CheckpointContents {
    const { head, counters, source } = this.#required();
    return describeEngine({ head, optimizer: this.#parts.optimizer, counters }, source?.position ?? 0);
  }
}

/** Reads graph and data and makes the training program. Throws `EngineError` as `createEngine` says. */
export async function createChildEngine(
  init: ChildInit,
  schedule: Schedule,
  report: (progress: TrainProgress) => void,
): Promise<ServedEngine> {
  const { run, runId, self, threads } = init;
  const runModel = readRunModel(init.graph, run);
  const { declarations, layout, inputs } = runModel;
  const data = readRunData(init, runModel);
  const frozen = frozenWeights(init, runModel);
  const optimizer = createOptimizer({ declarations, layout, inner: run.inner, threads });
  const placed: Partial<PlacedLearner> = data.sampleShapes
    ? await createLearner({
        ...{ inner: run.inner, runModel, frozen, optimizer, threads, device: init.device },
        sizes: sizeInputs(inputs, run.batch, data.sampleShapes),
        noiseSeed: `${runId}/${self}/noise`,
        checkpointActivations: init.checkpointActivations ?? false,
      })
    : {};
  return new ChildEngine({
    ...{ init, runModel, data, optimizer, schedule, report },
    learner: placed.learner,
    device: placed.device ?? init.device,
    inference: createInference({ run, runModel, frozen, data, threads, schedule }),
    executor: createExecutor({ runDigest: runDigest(runId), limits: deltaLimits(run) }),
    checkpoints: openCheckpoints(init.directory, runId),
  });
}
