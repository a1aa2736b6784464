/**
 * Where a run's inner steps happen. The host's learner works on the optimizer's vectors themselves; one on a device
 * keeps them there and has them on the host as a copy, which `pull` and `push` keep true.
 */
import type { Optimizer } from './optimizers/optimizer.ts';
import type { TrainingProgram } from './program.ts';
import type { Inputs } from './samples.ts';

/** Micro-batches in, steps out. */
export interface Learner {
  /** Samples of the next micro-batch: written before each `collect`. */
  readonly inputs: Inputs;
  /** Micro-batches since the last step. */
  readonly collected: number;
  /** Takes one more micro-batch into the gradient; resolves to its loss. Dropout's masks come from the counter. */
  collect(counter: number): Promise<number>;
  /** Forgets what was collected. */
  discard(): void;
  /** Euclidean norm of the mean gradient before clipping, without running statistics. Not finite when it is not. */
  gradientNorm(): Promise<number>;
  /** One step by the mean of what was collected, its norm scaled down to the run's maximum at most. */
  update(learningRate: number, gradientNorm: number): Promise<void>;
  /** Whether the optimizer's vectors are copies. */
  readonly isRemote: boolean;
  /** Makes the optimizer's `parameters` those after the last step, or all of its vectors. */
  pull(what: 'parameters' | 'all'): Promise<void>;
  /** The optimizer's `parameters`, or all of its vectors, were changed on the host. */
  push(what: 'parameters' | 'all'): void;
}

/** Steps on the host. */
export const createHostLearner = (program: TrainingProgram, optimizer: Optimizer): Learner => ({
  inputs: program.inputs,
  get collected() {
    return optimizer.collected;
  },
  async collect(counter) {
    const loss = await program.run(counter);
    optimizer.collect();
    return loss;
  },
  discard: () => optimizer.discard(),
  gradientNorm: async () => optimizer.gradientNorm(),
  update: (learningRate, gradientNorm) => optimizer.update(learningRate, gradientNorm),
  isRemote: false,
  pull: async () => undefined,
  push: () => undefined,
});
