/** What one training of the benchmark is: a method and everything that decides its result. */
import { createHash } from 'node:crypto';
import {
  exampleRun,
  nameBlob,
  type PeerId,
  parseRunConfig,
  peerIdOf,
  type RunConfig,
} from '@murmuration/base';
import {
  gpt,
  initializeParameters,
  type ParameterDeclaration,
  parametersOf,
  writeModel,
} from '@murmuration/onnx';

/** `mixed` deltas are ours; `alone` is each peer by itself, its loss the mean over the peers. */
export type Method = 'data-parallel' | 'diloco' | 'ours' | 'alone';

/** What befalls some peers of ours. */
export type Disturbance =
  /** The first peer takes a tenth of the others' steps. */
  | 'slow'
  /** The first peer starts at half time, with fresh optimizer states. */
  | 'joins'
  /** The first peer's delta misses the block that it is made for, every second time. */
  | 'late'
  /** Every delta misses each block with a probability of one half. */
  | 'dropped';

export interface TrainingPlan {
  readonly method: Method;
  readonly peers: number;
  /** Inner steps per peer. */
  readonly steps: number;
  /** Samples of a peer's step; a data-parallel step takes as many from each peer. */
  readonly batch: number;
  /** Tokens of a sample. */
  readonly context: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly optimizer: RunConfig['inner']['optimizer'];
  /** Peak of the inner learning rate; a line up to it over the first 50th of the steps, half a cosine down to 2 %. */
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly clipNorm: number;
  /** Inner steps of a round. */
  readonly roundSteps: number;
  /** Inner steps between encoding and the block. */
  readonly overlapSteps: number;
  readonly k: number;
  readonly bits: RunConfig['delta']['bits'];
  readonly feedback: number;
  readonly kappa: number;
  readonly outerStep: number;
  /** Nesterov's, of DiLoCo. */
  readonly outerMomentum: number;
  readonly disturbance?: Disturbance;
  readonly seed: number;
}

/** A name for the plan's result file: different plans have different names. */
export function nameOf(plan: TrainingPlan): string {
  const sorted = Object.entries(plan).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const digest = createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 12);
  return `${plan.method}-${plan.peers}x${plan.steps}-${digest}`;
}

/** A peer of the benchmark by its number. */
export const peerOf = (index: number): PeerId => peerIdOf(new Uint8Array(32).fill(index + 1));

/** What all peers of a training begin with. */
export interface Setting {
  readonly run: RunConfig;
  readonly graph: Uint8Array;
  readonly theta: Float32Array;
}

/** Rounds of the plan: its learning rate runs over them. */
export const roundsOf = ({ steps, roundSteps }: TrainingPlan): number => Math.ceil(steps / roundSteps);

export function settingOf(plan: TrainingPlan): Setting {
  const { width, layers, heads, context } = plan;
  const model = gpt({ vocabulary: 260, context, width, layers, heads });
  const declarations: readonly ParameterDeclaration[] = parametersOf(model);
  const graph = writeModel(model);
  const seed = `seed ${plan.seed}`;
  const theta = initializeParameters(declarations, seed);
  const rounds = roundsOf(plan);
  const run = parseRunConfig({
    ...exampleRun,
    name: 'convergence',
    model: { graph: nameBlob(graph).cid, bytes: graph.length },
    data: { kind: 'text', tokenizer: 'bytes', context },
    batch: plan.batch,
    initial: {
      seed,
      tensors: nameBlob(new Uint8Array(theta.buffer, theta.byteOffset, theta.byteLength)).cid,
      parameters: theta.length,
    },
    inner: {
      ...exampleRun.inner,
      optimizer: plan.optimizer,
      learningRate: plan.learningRate,
      weightDecay: plan.weightDecay,
      clipNorm: plan.clipNorm,
      warmupRounds: Math.ceil(rounds / 50),
      schedule: { kind: 'cosine', floor: 0.02 },
      accumulate: plan.method === 'data-parallel' ? plan.peers : 1,
    },
    round: { ...exampleRun.round, steps: plan.roundSteps, overlapSteps: plan.overlapSteps },
    delta: {
      ...{ chunk: 4_096, k: plan.k, kMin: plan.k, bits: plan.bits, feedback: plan.feedback },
      blobBytesMax: theta.byteLength + 1_024,
    },
    aggregation: { rule: 'mean', kappa: plan.kappa, guestShare: 0.25, contributionsMax: 256 },
    outer: [{ fromRound: 0, step: plan.outerStep }],
    founders: Array.from({ length: plan.peers }, (_, index) => peerOf(index)),
    rounds,
  });
  return { run, graph, theta };
}
