import type { FlatVector, VectorMemory } from '../vectors.ts';

/** One step, as an optimizer's rule sees it. */
export interface StepContext {
  readonly memory: VectorMemory;
  readonly parameters: FlatVector;
  readonly gradient: FlatVector;
  /** The rule's state vectors, in the order of its `states`. */
  readonly states: readonly FlatVector[];
  /** What the gradient is multiplied by: one over the micro-batches in it, and what clipping leaves of it. */
  readonly scale: number;
  readonly learningRate: number;
  /** 1 for the first step. */
  readonly step: number;
}

/** How a gradient moves parameters. What lasts from step to step are its state vectors alone. */
export interface UpdateRule {
  /** Length of each state vector by name. */
  readonly states: Readonly<Record<string, number>>;
  /** Values of working space behind the states; their contents do not last. */
  readonly scratch?: number;
  update(context: StepContext, scratch: FlatVector | undefined): void | Promise<void>;
}
