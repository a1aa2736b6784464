/**
 * An engine's whole state as a checkpoint's facts and arrays, and back. Arrays in order: the optimizer's states, the
 * sum of the step that is under way if there is one, then those of the head.
 */
import type { CheckpointArray, CheckpointContents, LoadedCheckpoint } from './checkpoint.ts';
import { EngineError } from './errors.ts';
import type { Head } from './head.ts';
import { describeHead, restoreHead } from './head-checkpoint.ts';
import type { Optimizer } from './optimizers/optimizer.ts';
import type { TrainingCounters } from './training.ts';

/** What the checkpoint holds beside the arrays. */
interface SavedState {
  readonly head: unknown;
  readonly optimizer: {
    /** Names of the state arrays, in order. */
    readonly states: readonly string[];
    readonly step: number;
    readonly collected: number;
  };
  readonly samplerPosition: number;
  readonly counters: TrainingCounters;
}

/** What changes while an engine lives. */
export interface EngineParts {
  readonly head: Head;
  readonly optimizer: Optimizer;
  readonly counters: TrainingCounters;
}

/** What must be kept to go on as if nothing had happened. */
export function describeEngine(parts: EngineParts, samplerPosition: number): CheckpointContents {
  const { head, optimizer, counters } = parts;
  const { step, collected, states } = optimizer;
  const described = describeHead(head);
  const state: SavedState = {
    head: described.state,
    optimizer: { states: Object.keys(states), step, collected },
    samplerPosition,
    counters,
  };
  const underWay: CheckpointArray[] = optimizer.sum && collected > 0 ? [optimizer.sum] : [];
  return { state, arrays: [...Object.values(states), ...underWay, ...described.arrays] };
}

/** Fills the parts from a checkpoint; gives the sampler's position. */
export function restoreEngine({ state, arrays }: LoadedCheckpoint, parts: EngineParts): number {
  const saved = state as SavedState;
  const { head, optimizer, counters } = parts;
  const names = Object.keys(optimizer.states);
  if (saved.optimizer.states.join() !== names.join())
    throw new EngineError(
      `checkpoint: expected the optimizer's states ${names.join(', ')}, got ${saved.optimizer.states.join(', ')}`,
      { code: 'foreign-checkpoint', expected: names, got: saved.optimizer.states },
    );
  const remaining = arrays.values();
  const take = (): ArrayBuffer => remaining.next().value ?? new ArrayBuffer(0);
  for (const values of Object.values(optimizer.states)) values.set(new Float32Array(take()));
  optimizer.step = saved.optimizer.step;
  optimizer.collected = saved.optimizer.collected;
  if (optimizer.sum && optimizer.collected > 0) optimizer.sum.set(new Float32Array(take()));
  restoreHead(head, saved.head, take);
  Object.assign(counters, saved.counters);
  return saved.samplerPosition;
}
