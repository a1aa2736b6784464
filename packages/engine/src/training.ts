/** Inner steps: sample, forward and backward, clip, update. Counts what they did. */
import type { RunConfig } from '@murmuration/base';
import type { Sampler } from '@murmuration/data';
import type { AdamW } from './adamw.ts';
import { progressMs } from './defaults.ts';
import { EngineError } from './errors.ts';
import type { TrainProgress } from './index.ts';
import { learningRateAt } from './learning-rate.ts';
import type { TrainingProgram } from './program.ts';
import type { Job } from './schedule.ts';

/** What outlives a process. */
export interface TrainingCounters {
  /** Inner steps since the engine's life began, and since the last encode. */
  step: number;
  stepsSinceEncode: number;
  /** Sum of the losses since the last encode. */
  lossSum: number;
}

export interface Training {
  readonly counters: TrainingCounters;
  /** A piece of training; `stop` ends it before the next step. */
  plan(plan: { readonly steps: number; readonly round: number }): Job & {
    stop(): void;
    result(): TrainProgress;
  };
}

/** Trains the local parameters that `program` and `adamw` share. */
export function createTraining(init: {
  readonly run: RunConfig;
  readonly program: TrainingProgram;
  readonly adamw: AdamW;
  readonly sampler: Sampler;
  readonly counters: TrainingCounters;
  report(progress: TrainProgress): void;
}): Training {
  const { run, program, adamw, sampler, counters, report } = init;
  const tokensPerStep = run.sample.batch * run.sample.context;
  let lastLoss = 0;

  async function step(learningRate: number): Promise<void> {
    sampler.fill(program.tokens, program.targets);
    const loss = await program.run();
    const norm = adamw.gradientNorm();
    if (!Number.isFinite(loss) || !Number.isFinite(norm))
      throw new EngineError(
        `step ${counters.step}: loss ${loss}, gradient norm ${norm}; the step was not taken`,
        {
          code: 'not-finite',
          step: counters.step,
          loss,
          norm,
        },
      );
    adamw.update(learningRate, norm);
    counters.step++;
    counters.stepsSinceEncode++;
    counters.lossSum += loss;
    lastLoss = loss;
  }

  return {
    counters,
    plan({ steps, round }) {
      const learningRate = learningRateAt(run, round);
      const startedMs = performance.now();
      let reportedMs = startedMs;
      let done = 0;
      let lossSum = 0;
      let stopped = false;
      const result = (): TrainProgress => ({
        step: counters.step,
        stepsSinceEncode: counters.stepsSinceEncode,
        loss: done > 0 ? lossSum / done : lastLoss,
        tokensPerSecond: done > 0 ? (done * tokensPerStep * 1_000) / (performance.now() - startedMs) : 0,
      });
      return {
        async slice() {
          if (stopped || done >= steps) return true;
          await step(learningRate);
          done++;
          lossSum += lastLoss;
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
