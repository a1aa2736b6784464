/**
 * What does activation checkpointing cost, and what does it save? The same engine with and without it, in turn. See
 * README.md.
 */
import { availableParallelism } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { startEngine } from './engine-run.ts';
import { median, pauseMs } from './measure.ts';
import { childPids, peakMB } from './peak-memory.ts';
import { PyTorch } from './pytorch.ts';
import { type StepCase, stepCases } from './step-cases.ts';

const sizes: ReadonlySet<string> = new Set(['27M', '124M']);

/** Without checkpointing, and with it. `timeRatio` is the median over neighbouring turns. */
export interface CheckpointingFigures {
  readonly ms: number;
  readonly checkpointedMs: number;
  readonly timeRatio: number;
  readonly peakMB: number | null;
  readonly checkpointedPeakMB: number | null;
}

async function compare(step: StepCase, threads: number): Promise<CheckpointingFigures> {
  const start = await step.start(() => new PyTorch());
  const sides = [];
  for (const checkpointActivations of [false, true]) {
    const before = new Set(childPids());
    const { samples, batch } = step;
    const run = await startEngine({ start, samples, batch, threads, checkpointActivations });
    sides.push({ run, pid: childPids().find((pid) => !before.has(pid)), times: [] as number[] });
  }
  try {
    for (const { run } of sides) await run.train(step.steps);
    for (let pair = 0; pair < step.pairs; pair++)
      for (const { run, times } of sides) {
        await setTimeout(pauseMs);
        times.push(await run.train(step.steps));
      }
    const [plain, checkpointed] = sides.map(({ times }) => times) as [number[], number[]];
    const [plainMB, checkpointedMB] = sides.map(({ pid }) => peakMB(pid));
    return {
      ms: Number(median(plain).toFixed(1)),
      checkpointedMs: Number(median(checkpointed).toFixed(1)),
      timeRatio: Number(median(checkpointed.map((ms, pair) => ms / (plain[pair] as number))).toFixed(3)),
      peakMB: plainMB === undefined ? null : Math.round(plainMB),
      checkpointedPeakMB: checkpointedMB === undefined ? null : Math.round(checkpointedMB),
    };
  } finally {
    for (const { run } of sides) await run.close();
  }
}

/** Answers the question `checkpointing`: prints a table, returns its figures. */
export async function bench(): Promise<object> {
  const threads = availableParallelism();
  console.log(`activation checkpointing, ${threads} threads, medians of neighbouring turns`);
  console.log('model     ms   checkpointed ms   ratio     MB   checkpointed MB');
  const checkpointing: Record<string, CheckpointingFigures> = {};
  for (const step of stepCases.filter(({ name }) => sizes.has(name))) {
    const found = await compare(step, threads);
    checkpointing[step.name] = found;
    console.log(
      step.name.padEnd(5) +
        found.ms.toFixed(0).padStart(7) +
        found.checkpointedMs.toFixed(0).padStart(18) +
        found.timeRatio.toFixed(2).padStart(8) +
        String(found.peakMB ?? '–').padStart(7) +
        String(found.checkpointedPeakMB ?? '–').padStart(18),
    );
  }
  return { checkpointing };
}
