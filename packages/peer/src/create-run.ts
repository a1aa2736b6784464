import {
  type Cid,
  encodeRunConfig,
  nameBlob,
  type PeerId,
  parseRunConfig,
  type RunConfig,
  runIdOf,
} from '@murmuration/base';
import { type GptConfig, gpt, initializeParameters, parametersOf, writeModel } from '@murmuration/onnx';

import { toString as toText } from 'uint8arrays/to-string';

export interface RunOptions {
  readonly name: string;
  /** 32 hex digits, fresh for every run. */
  readonly nonce: string;
  readonly founders: readonly PeerId[];
  readonly quorum: 'crash' | 'byzantine';
  readonly rounds: number;
  /** Inner steps between two contributions. */
  readonly steps: number;
  /** Inner steps while the last contribution is being certified. */
  readonly overlapSteps: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly model: GptConfig;
  readonly k: number;
  readonly bits: 1 | 2;
  readonly kappa: number;
  readonly outerStep: number;
  readonly feedback: number;
  readonly snapshotEvery: number;
  /** How long a round waits for a member that contributed lately, and for a proposer, ms. */
  readonly graceMs: number;
  readonly viewTimeoutMs: number;
}

/** 128 random bits in hex. */
export const freshNonce = (): string => toText(crypto.getRandomValues(new Uint8Array(16)), 'base16');

export interface CreatedRun {
  readonly run: RunConfig;
  readonly runId: Cid;
  /** The settings' bytes: the blob named by `runId`. */
  readonly settings: Uint8Array;
  /** The forward graph's bytes: the blob named by `run.model.graph`. */
  readonly graph: Uint8Array;
}

/** Makes a run around a fresh transformer: its graph, its first parameters' name, its settings, its id. */
export function createRun(options: RunOptions): CreatedRun {
  const model = gpt(options.model);
  const graph = writeModel(model);
  const theta = initializeParameters(parametersOf(model), options.nonce);
  const tensors = nameBlob(new Uint8Array(theta.buffer, theta.byteOffset, theta.byteLength)).cid;
  const byzantineQuorum = Math.floor((2 * options.founders.length) / 3) + 1;
  const run = parseRunConfig({
    protocol: 1,
    nonce: options.nonce,
    name: options.name,
    model: { graph: nameBlob(graph).cid, bytes: graph.length },
    tokenizer: 'bytes',
    sample: { context: options.model.context, batch: options.batch },
    initial: { seed: options.nonce, tensors, parameters: theta.length },
    inner: {
      optimizer: 'adamw',
      learningRate: options.learningRate,
      floor: 0.1,
      warmupRounds: Math.min(10, Math.ceil(options.rounds / 10)),
      beta1: 0.9,
      beta2: 0.95,
      epsilon: 1e-8,
      weightDecay: 0.1,
      clipNorm: 1,
    },
    round: {
      steps: options.steps,
      overlapSteps: options.overlapSteps,
      graceMs: options.graceMs,
      durationMaxMs: 60_000,
      viewTimeoutMs: options.viewTimeoutMs,
    },
    delta: {
      chunk: 4_096,
      k: options.k,
      bits: options.bits,
      feedback: options.feedback,
      blobBytesMax: 4_096 + theta.length,
    },
    aggregation: { rule: 'mean', kappa: options.kappa, guestShare: 0.25, contributionsMax: 256 },
    outer: [{ fromRound: 0, step: options.outerStep }],
    quorum: options.quorum,
    founders: [...options.founders],
    invitationSignatures: options.quorum === 'byzantine' ? byzantineQuorum : 1,
    lateHeights: 4,
    snapshotEvery: options.snapshotEvery,
    rounds: options.rounds,
  });
  return { run, runId: runIdOf(run), settings: encodeRunConfig(run), graph };
}
