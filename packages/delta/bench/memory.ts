/** What encoding, decoding, aggregating and a block's life in the engine allocate beside the vectors that there are. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Cid } from '@murmuration/base';
import {
  applyBlock,
  difference,
  message,
  type Pending,
  undoBlock,
  withParametersAfter,
} from '../../engine/src/head.ts';
import { createHead } from '../../engine/src/head-checkpoint.ts';
import { aggregate, applyUpdate, decodeDelta, encodeDelta, revertUpdate } from '../src/index.ts';

export interface Allocation {
  readonly name: string;
  readonly bytesPerParameter: number;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const header = {
  runDigest: new Uint8Array(32),
  base: new Uint8Array(32),
  author: new Uint8Array(32),
};
const settings = { k: 64, bits: 1 } as const;
const feedback = 0.95;
const block = (name: string): Cid => name as Cid;

/** Array buffers after the work that were not there before it, garbage among them. */
function allocated<Result>(work: () => Result): { readonly result: Result; readonly bytes: number } {
  collect();
  const before = process.memoryUsage().arrayBuffers;
  const result = work();
  return { result, bytes: process.memoryUsage().arrayBuffers - before };
}

/** A peer's round: encode, execute, apply with the own delta, undo; `vector` is D. */
export function measureMemory(vector: Float32Array): Allocation[] {
  const { length } = vector;
  const table: Allocation[] = [];
  const note = <Result>(name: string, work: () => Result): Result => {
    const { result, bytes } = allocated(work);
    table.push({ name, bytesPerParameter: bytes / length });
    return result;
  };
  const head = createHead(new Float32Array(length), new Float32Array(length), block('0'));
  head.local.forEach((_, i) => {
    head.local[i] = -(vector[i] as number);
  });
  const d = note('D, kept until the block is certified', () => difference(head));
  const bytes = note('encode β·e + D', () => encodeDelta(message(head, d, feedback), header, settings));
  const { delta } = note('decode', () => decodeDelta(bytes, { parameters: length }));
  const update = note('aggregate 2 deltas', () =>
    aggregate(
      [
        { delta, clip: 1, weight: 1 },
        { delta, clip: 0.5, weight: 1 },
      ],
      { kappa: 0, length },
    ),
  );
  const undo = note('apply to θ and take back', () =>
    withParametersAfter(head, block('0'), (theta) => {
      const old = applyUpdate(theta, update, 1);
      const values = Float32Array.from(old.indices, (index) => theta[index] as number);
      revertUpdate(theta, old);
      return { indices: old.indices, values };
    }),
  );
  const pending = { blob: block('delta') } as Pending['delta'];
  head.pending = { delta: pending, difference: d };
  note('apply a block with the own delta', () =>
    applyBlock(
      head,
      {
        position: { block: block('1'), height: 1 },
        after: undo,
        own: { blob: pending.blob, clip: 1, decoded: delta },
      },
      feedback,
    ),
  );
  note('undo it', () => undoBlock(head, block('1'), feedback));
  return table;
}
