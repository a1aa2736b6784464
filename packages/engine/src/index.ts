/**
 * The engine owns every tensor of a peer: the certified parameters θ, the local ones, the residual, the optimizer's
 * moments. It lives in a child process of lower priority; this package's factory starts that process and speaks to it.
 * Calls are served in the order in which they were made; one made while `train` runs is served between two steps.
 *
 * @example
 * const data = ['texts/fr'];
 * const engine = await createEngine({ run, runId, self, graph, directory, data, threads: 1, niceness: 10 });
 * await engine.train({ steps: 5, round: 0 });
 * const delta = await engine.encode({ base, baseHeight: 0 });
 */
import type { Cid, FactError, PeerId, RunConfig } from '@murmuration/base';
import type { DeviceChoice, DeviceWish } from './device/devices.ts';

export interface EngineInit {
  readonly run: RunConfig;
  readonly runId: Cid;
  readonly self: PeerId;
  /** The forward graph: ONNX bytes, without weights. */
  readonly graph: Uint8Array;
  /**
   * Files that hold the run's weights, as the blobs `run.initial.tensors` (a run without seed) and `run.model.frozen`.
   */
  readonly weights?: { readonly initial?: string | undefined; readonly frozen?: string | undefined };
  /** A child that holds more resident memory than this is ended; nine tenths of the machine's unless given. */
  readonly memoryMaxBytes?: number | undefined;
  /** Folder of this engine's checkpoint, snapshots. Made if missing. */
  readonly directory: string;
  /**
   * Text files or folders; for a run on arrays one folder with a `.npy` file for each input of the graph, samples along
   * the first axis. Empty: an engine that only follows and evaluates.
   */
  readonly data: readonly string[];
  readonly threads: number;
  /**
   * Where inner steps run (default: `cpu`); `auto` is the best device there is. One that does not start becomes the
   * CPU: `EngineState.device` says which it is and why.
   */
  readonly device?: DeviceWish | undefined;
  /**
   * Holds fewer values of a step's forward pass and computes them again for the backward pass: less memory, more time.
   */
  readonly checkpointActivations?: boolean | undefined;
  /** Added to the child's nice value, 0 to 19. */
  readonly niceness: number;
  /** Called between two steps at most every `progressMs`. */
  onProgress?(progress: TrainProgress): void;
  /** The child ended without being asked to. */
  onExit?(error: FactError<string>): void;
}

export interface TrainProgress {
  /** Inner steps since the engine's life began (restored from its checkpoint). */
  readonly step: number;
  /** Steps in θ_local since the last encode. */
  readonly stepsSinceEncode: number;
  readonly loss: number;
  /** Samples per second where the run's data is arrays. */
  readonly tokensPerSecond: number;
  readonly time: TimeUse;
}

/**
 * Where the wall time since the first inner step of this process went. Utilisation is the share of training in it; what
 * none of the three took, the engine waited.
 */
export interface TimeUse {
  readonly wallSeconds: number;
  readonly trainingSeconds: number;
  /** Evaluations and continuations that somebody asked for. */
  readonly evaluationSeconds: number;
  /** Encoding, judging and applying deltas, checkpoints, snapshots. */
  readonly callsSeconds: number;
}

/** One block to apply or to compute, as the protocol's `Execution` with the blobs' bytes. */
export interface ExecutionInput {
  readonly parent: Cid;
  readonly height: number;
  readonly inputs: readonly {
    readonly author: PeerId;
    readonly base: Cid;
    readonly blob: Cid;
    readonly norm: number;
    readonly clip: number;
    readonly weight: number;
  }[];
  readonly kappa: number;
  readonly outerStep: number;
}

export interface EngineState {
  /** What θ stands at: the newest applied block; blocks that can be undone, oldest first. */
  readonly head: { readonly block: Cid; readonly height: number };
  readonly undoable: readonly { readonly block: Cid; readonly height: number }[];
  readonly tensors: Cid;
  readonly parameters: number;
  /** The encoded delta that is neither included nor expired. */
  readonly pending: EncodedDelta | undefined;
  readonly step: number;
  /** Where inner steps run. */
  readonly device: DeviceChoice;
}

export interface EncodedDelta {
  readonly blob: Cid;
  readonly bytes: Uint8Array;
  readonly base: Cid;
  readonly baseHeight: number;
  readonly norm: number;
  /** Tokens of text, or samples of arrays, that it was trained on. */
  readonly tokens: number;
  readonly steps: number;
  readonly loss: number;
}

export interface Evaluation {
  /** The mean over the held-out (or all) samples; of text, nats per token. */
  readonly loss: number;
  /** Bits per byte, where the run trains on text. */
  readonly bitsPerByte: number | undefined;
  /** Bytes of text that were predicted, or of arrays that were read. */
  readonly bytes: number;
}

/** How a model is written. */
export interface ExportOptions {
  /** Adapters become part of the weights that they adapt. */
  readonly merge?: boolean;
}

export interface Engine {
  /**
   * Loads the checkpoint, or θ₀ from the run's seed at block `genesis`. Throws `EngineError` `bad-initial-state` when
   * θ₀ is not the run's.
   */
  open(genesis: Cid): Promise<EngineState>;
  /** Does inner steps on the local parameters at this round's learning rate, until done or paused. */
  train(plan: { readonly steps: number; readonly round: number }): Promise<TrainProgress>;
  /** Ends a running `train` within one step. */
  pause(): Promise<void>;
  /**
   * Encodes D = θ − θ_local with error feedback; durable (checkpoint and blob) when it resolves. One may be pending. Of
   * each chunk `k` values are sent, within the run's bounds; as many as it allows unless given.
   */
  encode(from: {
    readonly base: Cid;
    readonly baseHeight: number;
    readonly k?: number;
  }): Promise<EncodedDelta>;
  /** Whether foreign bytes are a valid delta of this run: header, bounds, norm. Never throws for bad bytes. */
  validate(
    blob: Uint8Array,
    expected: { readonly author: PeerId; readonly base: Cid; readonly norm: number },
  ): Promise<{ readonly valid: true } | { readonly valid: false; readonly reason: string }>;
  /** The name of θ after this execution; θ itself is unchanged. `parent` is the head or an undoable block's state. */
  execute(execution: ExecutionInput, blobs: ReadonlyMap<Cid, Uint8Array>): Promise<Cid>;
  /**
   * Makes θ that of `block`; rebases the local parameters; `own` is our blob if it is among the inputs. What the block
   * says is in the local parameters already when they were `carried` over a `rewind`: then they stay.
   */
  apply(
    block: Cid,
    execution: ExecutionInput,
    blobs: ReadonlyMap<Cid, Uint8Array>,
    own: Cid | undefined,
    carried?: boolean,
  ): Promise<void>;
  /** Takes the newest applied block back, with its rebase. */
  undo(block: Cid): Promise<void>;
  /** The block (and all before it) will never be undone. */
  settle(block: Cid): Promise<void>;
  /** The delta `blob` will never enter a block. Nothing happens unless it is the pending one. */
  expire(blob: Cid): Promise<void>;
  /** Writes θ to a file whose bytes are the blob `tensors`. */
  snapshot(): Promise<{
    readonly path: string;
    readonly block: Cid;
    readonly height: number;
    readonly tensors: Cid;
    readonly chunks: readonly Uint8Array[];
    readonly size: number;
  }>;
  /**
   * Makes the file's bytes θ of `block`, after checking that they are `tensors`. Local work since the old θ is kept as
   * a difference, without that of the pending delta if it is `own`: what the blocks in between took.
   */
  install(state: {
    readonly path: string;
    readonly block: Cid;
    readonly height: number;
    readonly tensors: Cid;
    readonly own?: { readonly blob: Cid; readonly clip: number } | undefined;
  }): Promise<void>;
  /** Keeps θ, which must be that of `block`, for a `rewind`; the one kept before is forgotten. Throws `unknown-parent`. */
  fork(block: Cid): Promise<void>;
  /**
   * Makes θ what `fork` kept of `block`, after checking that it is `tensors`. Of the local parameters the difference to θ
   * is kept; with `carry` they stay as they are, so that what blocks since the fork said comes back with later deltas.
   * Nothing before can be undone, no delta is pending. Throws `bad-state-file`.
   */
  rewind(state: {
    readonly block: Cid;
    readonly height: number;
    readonly tensors: Cid;
    readonly carry: boolean;
  }): Promise<void>;
  /** Loss on the held-out part (or all) of the engine's own data, or of other files. */
  evaluate(options?: {
    readonly data?: readonly string[];
    readonly part?: 'held-out' | 'all';
    readonly parameters?: 'common' | 'local';
    readonly bytesMax?: number;
  }): Promise<Evaluation>;
  /** Continues a prompt, token by token. `temperature` 0 takes the likeliest byte. Throws `not-a-text-model`. */
  generate(
    prompt: string,
    options: { readonly bytes: number; readonly temperature: number; readonly seed: string },
  ): Promise<string>;
  /** Writes an ONNX file (weights inside, without the loss: of text tokens → logits) that stock onnxruntime runs. */
  exportOnnx(path: string, options?: ExportOptions): Promise<void>;
  /** Resident memory of the child, bytes. */
  memory(): Promise<number>;
  /** Saves the checkpoint and ends the child. */
  close(): Promise<void>;
  /** The child's process id. */
  readonly pid: number;
}

export { createEngine } from './create-engine.ts';
export { type DeviceChoice, type DeviceName, type DeviceWish, deviceWishes } from './device/devices.ts';
export { EngineError, type EngineErrorCode } from './errors.ts';
export { generateFromFile } from './generate-from-file.ts';
export type { GenerationOptions } from './generation.ts';
export { type FileInspection, type InspectionLimits, inspectFile } from './inspect-file.ts';
export type { InspectionOptions, ModelInspection, SampleSizes } from './inspect-model.ts';
export { readModelFile } from './model-file.ts';
