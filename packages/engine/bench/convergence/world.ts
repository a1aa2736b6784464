/**
 * The peers of one training in one process: each has the production engine's model, samples, optimizer, inner steps and
 * head (θ, θ_local, residual, pending delta). Only processes, disks and the network between them are left out.
 */
import { type Cid, cidOf, runDigest, runIdOf } from '@murmuration/base';
import { deltaLimits } from '@murmuration/delta';
import { encodePending } from '../../src/contribution.ts';
import { createEvaluation } from '../../src/evaluation.ts';
import { createExecutor, type Executor } from '../../src/execution.ts';
import type { Head } from '../../src/head.ts';
import { createHead } from '../../src/head-checkpoint.ts';
import type { EncodedDelta } from '../../src/index.ts';
import { createHostLearner } from '../../src/learner.ts';
import { type RunModel, readRunModel } from '../../src/model.ts';
import { createOptimizer, type Optimizer } from '../../src/optimizers/optimizer.ts';
import { createForwardProgram, createTrainingProgram } from '../../src/program.ts';
import { type RunData, type SampleSource, sizeInputs } from '../../src/samples.ts';
import { readTextData } from '../../src/text-samples.ts';
import { TimeCount } from '../../src/time-use.ts';
import { createTraining, freshCounters, type TrainingCounters } from '../../src/training.ts';
import { peerOf, type Setting, settingOf, type TrainingPlan } from './plan.ts';

const splitSeed = 'split';
const threads = 1;
/** Windows of an evaluation that go through the model at once. */
const evaluationBatch = 32;

/** A peer of a training. */
export interface Trainee {
  readonly index: number;
  readonly head: Head;
  readonly optimizer: Optimizer;
  readonly counters: TrainingCounters;
  /** Inner steps at a round's learning rate. */
  train(steps: number, round: number): Promise<void>;
  /** Makes the pending delta of what was trained since the last one. */
  encode(): EncodedDelta;
}

export interface World {
  readonly plan: TrainingPlan;
  readonly setting: Setting;
  readonly executor: Executor;
  /** A peer that has the text of some of the languages, and a micro-batch of each in turn. */
  createTrainee(index: number, languages: readonly number[]): Promise<Trainee>;
  /** Mean over the languages of the loss on held-out text, nats per byte. */
  evaluate(parameters: Float32Array): Promise<number>;
}

/** Blocks have made-up names. */
export const blockAt = (height: number): Cid =>
  cidOf(new TextEncoder().encode(`block ${height}`), 'dag-cbor');

function inTurn(sources: readonly SampleSource[]): SampleSource {
  let position = 0;
  return {
    get position() {
      return position;
    },
    fill(inputs) {
      sources[position % sources.length]?.fill(inputs);
      position++;
    },
  };
}

function createTraineeOf(
  { plan, setting, executor }: Pick<World, 'plan' | 'setting' | 'executor'>,
  runModel: RunModel,
  data: readonly RunData[],
) {
  const { run, theta } = setting;
  const { declarations, layout, inputs, averages } = runModel;
  const sizes = sizeInputs(inputs, run.batch, data[0]?.sampleShapes ?? {});
  const digest = runDigest(runIdOf(run));
  return async (index: number, languages: readonly number[]): Promise<Trainee> => {
    const optimizer = createOptimizer({ declarations, layout, inner: run.inner, threads });
    const { parameters, gradient } = optimizer;
    const program = await createTrainingProgram({
      ...{ runModel, frozen: new Float32Array(), sizes, noiseSeed: 'noise', checkpointActivations: false },
      ...{ threads, provider: 'cpu', parameters, gradient },
    });
    const source = inTurn(
      languages.flatMap(
        (language) => data[language]?.source({ seed: `${plan.seed}/${language}`, position: 0 }) ?? [],
      ),
    );
    const counters = freshCounters();
    const learner = createHostLearner(program, optimizer);
    const time = new TimeCount(() => performance.now());
    const training = createTraining({
      ...{ run, learner, source, counters, report: () => undefined, timeUse: () => time.read() },
    });
    const head = createHead(theta.slice(), parameters, blockAt(0));
    return {
      ...{ index, head, optimizer, counters },
      async train(steps, round) {
        const job = training.plan({ steps, round });
        while (!(await job.slice()));
      },
      encode: () =>
        encodePending(head, counters, executor, {
          ...{ run, runDigest: digest, self: peerOf(index), kept: averages, k: plan.k },
        }).delta,
    };
  };
}

/** `texts` are the peers' folders, a language each; `heldOutBytes` of each are what the loss is measured on. */
export async function createWorld(
  plan: TrainingPlan,
  texts: readonly string[],
  heldOutBytes: number,
): Promise<World> {
  const setting = settingOf(plan);
  const { run, graph } = setting;
  const runModel = readRunModel(graph, run);
  const executor = createExecutor({ runDigest: runDigest(runIdOf(run)), limits: deltaLimits(run) });
  const data = texts
    .slice(0, plan.peers)
    .map((path) => readTextData({ paths: [path], splitSeed, context: plan.context, batch: plan.batch }));
  const program = await createForwardProgram({
    ...{ runModel, frozen: new Float32Array(), threads, output: 'loss' },
  });
  const heldOut = data.map((language) => [
    ...language.batches({
      ...{ data: undefined, part: 'held-out', batch: evaluationBatch, bytesMax: heldOutBytes },
    }),
  ]);
  return {
    ...{ plan, setting, executor },
    createTrainee: createTraineeOf({ plan, setting, executor }, runModel, data),
    async evaluate(parameters) {
      let sum = 0;
      for (const batches of heldOut) {
        const job = createEvaluation({ program, parameters, batches: batches.values(), isText: true });
        while (!(await job.slice()));
        sum += job.result().loss;
      }
      return sum / heldOut.length;
    },
  };
}
