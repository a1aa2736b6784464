import type { Evaluation } from './index.ts';
import type { ForwardProgram } from './program.ts';
import type { EvaluationBatch } from './samples.ts';
import type { Job } from './schedule.ts';

/** The mean loss of samples, one batch per slice. `parameters` must not change until the end. */
export function createEvaluation(init: {
  readonly program: ForwardProgram;
  readonly parameters: Float32Array;
  readonly batches: Iterator<EvaluationBatch>;
  /** Whether the loss is in nats per token of text. */
  readonly isText: boolean;
}): Job & { result(): Evaluation } {
  const { program, parameters, batches, isText } = init;
  let sum = 0;
  let weights = 0;
  let bytes = 0;
  return {
    activity: 'evaluation',
    async slice() {
      const next = batches.next();
      if (next.done) return true;
      const { inputs, weight } = next.value;
      const [loss] = await program.run(parameters, inputs);
      sum += (loss as number) * weight;
      weights += weight;
      bytes += next.value.bytes;
      return false;
    },
    result: () => ({
      loss: sum / weights,
      bitsPerByte: isText ? sum / Math.LN2 / bytes : undefined,
      bytes,
    }),
  };
}
