/** Vectors of float32 values side by side in one WebAssembly memory, and the loops over ranges of them. */
import { EngineError } from './errors.ts';
import {
  type LoopName,
  loopSignatures,
  type ScalarOf,
  type SimdFunctions,
  simdFunctions,
  type VectorOf,
} from './simd-kernels.ts';
import { instantiate } from './wasm-code.ts';

/** A vector where it lies: `at` is its first byte in the memory. */
export interface FlatVector {
  readonly at: number;
  readonly values: Float32Array;
}

/** Values of a vector from an index on. */
export interface VectorRange {
  readonly vector: FlatVector;
  readonly from: number;
}

/** Vectors and the loops over them. */
export interface VectorMemory {
  /** In the order of the lengths asked for; zeros at first. They never move. */
  readonly vectors: readonly FlatVector[];
  /** Σ x² over a range, in float64. */
  sumOfSquares(range: VectorRange, length: number): number;
  /** Runs a loop over `length` values of each of its vectors. */
  run<Name extends LoopName>(
    loop: Name,
    length: number,
    ranges: Readonly<Record<VectorOf<Name>, VectorRange>>,
    scalars: Readonly<Record<ScalarOf<Name>, number>>,
  ): void;
}

const lanes = 4;
const laneBytes = 16;
/** Pointers of a WebAssembly memory have 32 bits. */
export const memoryBytesMax = 2 ** 32;
/** Where the last values of ranges, that fill no four lanes, are worked on. */
const scratchBytes = 8 * laneBytes;

const bytesFor = (length: number): number => Math.ceil(length / lanes) * laneBytes;

/**
 * Allocates one vector per length. Loops see whole groups of four values; the up to three behind them are moved to a
 * place of four, so that every value meets the same instructions. Throws `EngineError` `too-many-parameters` above
 * 4 GiB.
 */
export function createVectorMemory(lengths: readonly number[]): VectorMemory {
  const bytes = lengths.reduce((sum, length) => sum + bytesFor(length), scratchBytes);
  if (bytes > memoryBytesMax)
    throw new EngineError(
      `expected vectors of at most ${memoryBytesMax} bytes for parameters, gradient and optimizer state, ` +
        `got ${bytes}: ` +
        `${(bytes / (lengths[0] ?? 1)).toFixed(1)} bytes for each of ${lengths[0]} parameters, of which there may be ` +
        `${Math.floor(((memoryBytesMax - scratchBytes) / bytes) * (lengths[0] ?? 1))}`,
      { code: 'too-many-parameters', bytes, bytesMax: memoryBytesMax },
    );
  const { memory, functions } = instantiate<SimdFunctions>(simdFunctions, bytes);
  const all = new Float32Array(memory.buffer);
  let next = scratchBytes;
  const vectors = lengths.map((length): FlatVector => {
    const at = next;
    next += bytesFor(length);
    return { at, values: new Float32Array(memory.buffer, at, length) };
  });
  const pointerOf = ({ vector, from }: VectorRange): number => vector.at + from * 4;

  /** Calls `work` with pointers to places that hold the last `count` values of each range, then puts them back. */
  function withTail(pointers: readonly number[], count: number, work: (places: number[]) => void): void {
    all.fill(0, 0, scratchBytes / 4);
    const places = pointers.map((pointer, index) => {
      all.copyWithin((index * laneBytes) / 4, pointer / 4, pointer / 4 + count);
      return index * laneBytes;
    });
    work(places);
    pointers.forEach((pointer, index) => {
      const place = (index * laneBytes) / 4;
      all.copyWithin(pointer / 4, place, place + count);
    });
  }

  return {
    vectors,
    sumOfSquares(range, length) {
      const rest = length % lanes;
      const pointer = pointerOf(range);
      let sum = functions.sumOfSquares(pointer, length - rest);
      if (rest > 0)
        withTail([pointer + (length - rest) * 4], rest, ([place]) => {
          sum += functions.sumOfSquares(place as number, lanes);
        });
      return sum;
    },
    run(loop, length, ranges, scalars) {
      const signature = loopSignatures[loop];
      const pointers = signature.vectors.map((name) =>
        pointerOf(ranges[name as keyof typeof ranges] as VectorRange),
      );
      const numbers = signature.scalars.map((name) => scalars[name as keyof typeof scalars] as number);
      const rest = length % lanes;
      const call = functions[loop] as (...parameters: readonly number[]) => void;
      call(...pointers, length - rest, ...numbers);
      if (rest === 0) return;
      const tails = pointers.map((pointer) => pointer + (length - rest) * 4);
      withTail(tails, rest, (places) => call(...places, lanes, ...numbers));
    },
  };
}
