/**
 * Inner steps: micro-batches of sample, forward and backward, then clip and update. Counts what they did. A slice is
 * one micro-batch, so that calls are served also in the middle of a step that averages many; what the step has so far
 * is part of the checkpoint.
 */
import { type RunConfig, tokensPerStep } from '@murmuration/base';
import { progressMs } from './defaults.ts';
import { EngineError } from './errors.ts';
import type { TimeUse, TrainProgress } from './index.ts';
import type { Learner } from './learner.ts';
import { learningRateAt } from './learning-rate.ts';
import type { SampleSource } from './samples.ts';
import type { Job } from './schedule.ts';

/** What outlives a process. */
export interface TrainingCounters {
  /** Inner steps since the engine's life began, and since the last encode. */
  step: number;
  stepsSinceEncode: number;
  /** Sum of the losses since the last encode. */
  lossSum: number;
  /** Sum of the losses in the step that is under way. */
  stepLossSum: number;
  /** Micro-batches since the engine's life began: what dropout's masks depend on. */
  microBatches: number;
}

/** Counters at the beginning. */
export const freshCounters = (): TrainingCounters => ({
  step: 0,
  stepsSinceEncode: 0,
  lossSum: 0,
  stepLossSum: 0,
  microBatches: 0,
});

/** Inner steps to come. */
export interface Training {
  readonly counters: TrainingCounters;
  /** A piece of training; `stop` ends it before the next micro-batch. */
  plan(plan: { readonly steps: number; readonly round: number }): Job & {
    stop(): void;
    result(): TrainProgress;
  };
}

/** What inner steps need. */
interface TrainingInit {
  readonly run: RunConfig;
  readonly learner: Learner;
  readonly source: SampleSource;
  readonly counters: TrainingCounters;
  report(progress: TrainProgress): void;
  timeUse(): TimeUse;
}

/** The step under way is given up; the next one starts with new samples. */
function refuse({ learner, counters }: TrainingInit, loss: number, norm: number): never {
  learner.discard();
  counters.stepLossSum = 0;
  throw new EngineError(
    `step ${counters.step}: loss ${loss}, gradient norm ${norm}; the step was not taken. The samples are finite: ` +
      'a lower learning rate may help',
    { code: 'not-finite', step: counters.step, loss, norm },
  );
}

/** One micro-batch; gives the step's mean loss when it completed one. */
async function advance(init: TrainingInit, learningRate: number): Promise<number | undefined> {
  const { run, learner, source, counters } = init;
  source.fill(learner.inputs);
  const loss = await learner.collect(counters.microBatches);
  counters.microBatches++;
  counters.stepLossSum += loss;
  if (learner.collected < run.inner.accumulate && Number.isFinite(counters.stepLossSum)) return undefined;
  const mean = counters.stepLossSum / learner.collected;
  const norm = await learner.gradientNorm();
  if (!Number.isFinite(mean) || !Number.isFinite(norm)) refuse(init, mean, norm);
  await learner.update(learningRate, norm);
  counters.step++;
  counters.stepsSinceEncode++;
  counters.lossSum += mean;
  counters.stepLossSum = 0;
  return mean;
}

/** Trains the local parameters. */
export function createTraining(init: TrainingInit): Training {
  const { run, counters, report, timeUse } = init;
  let lastLoss = 0;

  return {
    counters,
    plan({ steps, round }) {
      const learningRate = learningRateAt(run, round);
      let startedMs = 0;
      let reportedMs = 0;
      let done = 0;
      let lossSum = 0;
      let stopped = false;
      const result = (): TrainProgress => ({
        step: counters.step,
        stepsSinceEncode: counters.stepsSinceEncode,
        loss: done > 0 ? lossSum / done : lastLoss,
        tokensPerSecond: done > 0 ? (done * tokensPerStep(run) * 1_000) / (performance.now() - startedMs) : 0,
        time: timeUse(),
      });
      return {
        activity: 'training',
        async slice() {
          if (stopped || done >= steps) return true;
          if (startedMs === 0) startedMs = reportedMs = performance.now();
          const loss = await advance(init, learningRate);
          if (loss !== undefined) {
            done++;
            lastLoss = loss;
            lossSum += loss;
          }
          if (performance.now() - reportedMs >= progressMs) {
            reportedMs = performance.now();
            report({ ...result(), loss: lastLoss });
          }
          return stopped || done >= steps;
        },
        stop() {
          stopped = true;
        },
        result,
      };
    },
  };
}
