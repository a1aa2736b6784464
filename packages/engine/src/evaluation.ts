import { type EvaluationWindow, evaluationWindows, type TokenStream } from '@murmuration/data';
import { evaluationBatchMax } from './defaults.ts';
import type { Evaluation } from './index.ts';
import type { ForwardProgram } from './program.ts';
import type { Job } from './schedule.ts';

/** Bits per byte of a stream, one batch of windows per slice. `parameters` must not change until the end. */
export function createEvaluation(init: {
  readonly program: ForwardProgram;
  readonly parameters: Float32Array;
  readonly stream: TokenStream;
  readonly context: number;
  readonly batch: number;
  readonly bytesMax: number | undefined;
}): Job & { result(): Evaluation } {
  const { program, parameters, stream, context, batch, bytesMax } = init;
  const windows: Iterator<EvaluationWindow> = evaluationWindows(stream, {
    context,
    batch: Math.min(batch, evaluationBatchMax),
    ...(bytesMax === undefined ? {} : { bytesMax }),
  });
  let nats = 0;
  let bytes = 0;
  return {
    async slice() {
      const next = windows.next();
      if (next.done) return true;
      const { tokens, targets, rows, columns } = next.value;
      const [loss] = await program.run(parameters, tokens, targets, columns);
      nats += (loss as number) * rows * columns;
      bytes += next.value.bytes;
      return false;
    },
    result: () => ({ bitsPerByte: nats / Math.LN2 / bytes, bytes }),
  };
}
