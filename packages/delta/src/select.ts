/**
 * The k largest of a chunk by radix selection on the bits of their magnitudes: the bits of non-negative floats are in
 * the order of their values. No comparison sort, no allocation; linear whatever the values are.
 */
import { chunkLength } from './defaults.ts';
import { DeltaError } from './errors.ts';

const magnitudeMask = 0x7fffffff;
const infinityBits = 0x7f800000;
/** The 31 bits of a magnitude are looked at in three digits: 11, 10 and 10 bits. */
const highShift = 20;
const digitBits = 10;
const digits = 1 << digitBits;

/** Chooses values chunk by chunk, in scratch space of its own. */
export interface Selector {
  /** Rising positions inside the chunk; the first `count` are valid after `select`. */
  readonly indices: Int32Array;
  /**
   * Chooses up to `k` nonzero values of a chunk, given by their bits; ties go to the lower index. Returns the count.
   * `start` is where the chunk lies, for the error.
   */
  select(bits: Int32Array, k: number, start: number): number;
}

/** Lowers `histogram` into "the digit where the k-th largest lies"; what is left of k goes to `rank`. */
function digitOfRank(histogram: Uint16Array, top: number, k: number): { digit: number; rank: number } {
  let rank = k;
  let digit = top;
  while (digit > 0 && (histogram[digit] as number) < rank) rank -= histogram[digit--] as number;
  return { digit, rank };
}

/** Scratch space for chunks of at most `chunkLength` values. */
export function createSelector(): Selector {
  const indices = new Int32Array(chunkLength);
  const histogram = new Uint16Array(1 << (31 - highShift));
  const candidates = new Int32Array(chunkLength);
  const positions = new Int32Array(chunkLength);

  /** Bits of the `k`-th largest among the first `count` candidates whose bits above `shift + digitBits` equal `prefix`'s. */
  function refine(count: number, prefix: number, k: number): { threshold: number; rank: number } {
    let threshold = prefix;
    let rank = k;
    for (let shift = highShift - digitBits; shift >= 0; shift -= digitBits) {
      histogram.fill(0, 0, digits);
      for (let i = 0; i < count; i++) {
        const value = candidates[i] as number;
        if (value >>> (shift + digitBits) === threshold) {
          const digit = (value >>> shift) & (digits - 1);
          histogram[digit] = (histogram[digit] as number) + 1;
        }
      }
      const found = digitOfRank(histogram, digits - 1, rank);
      threshold = (threshold << digitBits) | found.digit;
      rank = found.rank;
    }
    return { threshold, rank };
  }

  function select(bits: Int32Array, k: number, start: number): number {
    const { length } = bits;
    histogram.fill(0);
    for (let i = 0; i < length; i++) {
      const digit = ((bits[i] as number) & magnitudeMask) >>> highShift;
      histogram[digit] = (histogram[digit] as number) + 1;
    }
    let top = histogram.length - 1;
    while (histogram[top] === 0) top--;
    if (top >= infinityBits >>> highShift)
      throw new DeltaError(`delta: values ${start} to ${start + length - 1} are not all finite`, {
        code: 'not-finite',
        start,
        length,
      });
    const coarse = digitOfRank(histogram, top, k);
    let found = 0;
    const floor = coarse.digit << highShift;
    for (let i = 0; i < length; i++) {
      const value = (bits[i] as number) & magnitudeMask;
      if (value >= floor && value !== 0) {
        candidates[found] = value;
        positions[found++] = i;
      }
    }
    const { threshold, rank } =
      found <= k ? { threshold: 0, rank: found } : refine(found, coarse.digit, coarse.rank);
    let count = 0;
    let ties = rank;
    for (let i = 0; i < found; i++) {
      const value = candidates[i] as number;
      if (value > threshold || (value === threshold && ties-- > 0)) indices[count++] = positions[i] as number;
    }
    return count;
  }
  return { indices, select };
}
