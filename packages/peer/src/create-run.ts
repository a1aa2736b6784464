import {
  type Cid,
  encodeRunConfig,
  nameBlob,
  type PeerId,
  parseRunConfig,
  protocolVersion,
  type RunConfig,
  type RunConfigInput,
  runDefaults,
  runIdOf,
} from '@murmuration/base';
import { deltaBytesMax } from '@murmuration/delta';
import {
  type GptConfig,
  gpt,
  initializeParameters,
  type Model,
  parametersOf,
  writeModel,
} from '@murmuration/onnx';
import type { Store } from '@murmuration/store';
import { toString as toText } from 'uint8arrays/to-string';

/** What a run trains. */
export interface RunModel {
  /** A training model: its parameters and frozen weights are inputs. */
  readonly graph: Model;
  /** θ₀; drawn from the run's nonce by the graph's declarations if absent. */
  readonly parameters?: Float32Array;
  /** The values of the weights that never train. */
  readonly frozen?: Float32Array;
  readonly data: RunConfigInput['data'];
}

/** A fresh transformer over bytes. */
export const textModel = (config: GptConfig): RunModel => ({
  graph: gpt(config),
  data: { kind: 'text', tokenizer: 'bytes', context: config.context },
});

/** What a founder may choose; everything but name, nonce, founders and model has a default. */
export interface RunOptions {
  readonly name: string;
  /** 32 hex digits, fresh for every run. */
  readonly nonce: string;
  readonly founders: readonly PeerId[];
  readonly model: RunModel;
  readonly quorum?: 'crash' | 'byzantine';
  readonly rounds?: number;
  /** Inner steps between two contributions. */
  readonly steps?: number;
  /** Inner steps while the last contribution is being certified. */
  readonly overlapSteps?: number;
  readonly batch?: number;
  readonly inner?: Partial<RunConfigInput['inner']>;
  /** Values sent of every 4,096 by a peer with a fast uplink, and at least (16 by default, or `k` if less). */
  readonly k?: number;
  readonly kMin?: number;
  readonly bits?: RunConfig['delta']['bits'];
  readonly kappa?: number;
  readonly outerStep?: number;
  readonly feedback?: number;
  readonly snapshotEvery?: number;
  /** How long a round waits for a member that contributed lately, and for a proposer, ms. */
  readonly graceMs?: number;
  readonly viewTimeoutMs?: number;
  readonly membership?: Partial<RunConfigInput['membership']>;
}

/** 128 random bits in hex. */
export const freshNonce = (): string => toText(crypto.getRandomValues(new Uint8Array(16)), 'base16');

/** A run's settings, and all that a newcomer needs of it, by name. */
export interface CreatedRun {
  readonly run: RunConfig;
  readonly runId: Cid;
  /** Settings, graph, and the weights that come from a file. */
  readonly blobs: ReadonlyMap<Cid, Uint8Array>;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

function innerSettings(
  rounds: number,
  chosen: Partial<RunConfigInput['inner']> = {},
): RunConfigInput['inner'] {
  const { warmupRoundsMax, warmupShare, ...inner } = runDefaults.inner;
  return { ...inner, warmupRounds: Math.min(warmupRoundsMax, Math.ceil(rounds * warmupShare)), ...chosen };
}

/** Makes a run: its settings, its id, and the blobs that its first peer serves. Throws `RunConfigError`. */
export function createRun(options: RunOptions): CreatedRun {
  const { model, founders, nonce } = options;
  const chosen = { ...runDefaults, ...options };
  const graph = writeModel(model.graph);
  const theta = model.parameters ?? initializeParameters(parametersOf(model.graph), nonce);
  const initial = nameBlob(bytesOf(theta)).cid;
  const graphId = nameBlob(graph).cid;
  const frozen = model.frozen?.length
    ? { tensors: nameBlob(bytesOf(model.frozen)).cid, values: model.frozen.length }
    : undefined;
  const byzantineQuorum = Math.floor((2 * founders.length) / 3) + 1;
  const run = parseRunConfig({
    protocol: protocolVersion,
    nonce,
    name: options.name,
    model: { graph: graphId, bytes: graph.length, ...(frozen ? { frozen } : {}) },
    data: model.data,
    batch: chosen.batch,
    initial: {
      tensors: initial,
      parameters: theta.length,
      ...(model.parameters ? {} : { seed: nonce }),
    },
    inner: innerSettings(chosen.rounds, options.inner),
    round: {
      steps: chosen.steps,
      overlapSteps: chosen.overlapSteps,
      graceMs: chosen.graceMs,
      durationMaxMs: runDefaults.durationMaxMs,
      viewTimeoutMs: chosen.viewTimeoutMs,
    },
    delta: {
      chunk: 4_096,
      k: chosen.k,
      kMin: options.kMin ?? Math.min(runDefaults.kMin, chosen.k),
      bits: chosen.bits,
      feedback: chosen.feedback,
      blobBytesMax: deltaBytesMax(theta.length, chosen),
    },
    aggregation: {
      rule: 'mean',
      kappa: chosen.kappa,
      guestShare: runDefaults.guestShare,
      contributionsMax: runDefaults.contributionsMax,
    },
    outer: [{ fromRound: 0, step: chosen.outerStep }],
    quorum: chosen.quorum,
    founders: [...founders],
    invitationSignatures: chosen.quorum === 'byzantine' ? byzantineQuorum : 1,
    membership:
      chosen.quorum === 'crash'
        ? { ...runDefaults.membership, ...options.membership }
        : { ...runDefaults.membership, earnedAfter: 0, silentAfter: 0, stallMs: 0, ...options.membership },
    lateHeights: runDefaults.lateHeights,
    snapshotEvery: chosen.snapshotEvery,
    rounds: chosen.rounds,
  });
  const runId = runIdOf(run);
  const blobs = new Map<Cid, Uint8Array>([
    [runId, encodeRunConfig(run)],
    [graphId, graph],
    ...(model.parameters ? [[initial, bytesOf(theta)] as const] : []),
    ...(frozen && model.frozen ? [[frozen.tensors, bytesOf(model.frozen)] as const] : []),
  ]);
  return { run, runId, blobs };
}

/** Makes a folder the run's, with all that newcomers will ask for. */
export async function storeRun(store: Store, { runId, blobs }: CreatedRun): Promise<void> {
  store.bindRun(runId);
  for (const [cid, bytes] of blobs) {
    store.pinBlob(cid);
    await store.putBlob(cid, bytes);
  }
}
