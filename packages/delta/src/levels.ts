/**
 * The magnitudes that a chunk's values are rounded to. All lie between two scales, a low and a high one, that are on
 * the wire as the upper 16 bits of a float32 (bfloat16); level i of n + 1 is low + (high − low) · i (i + n) / 2n², so
 * that the upper steps are up to three times as wide as the lower ones: small magnitudes are more frequent. Of the
 * grids that were tried on a transformer's delta it errs least at k = 64 (see bench/README.md).
 *
 * 1 bit: one level, the mean. 2 bits: two, the means of the two groups that minimise the squared error. 4 and 8 bits:
 * 8 and 128 levels from the smallest to the largest magnitude.
 */
import type { ValueBits } from './index.ts';
import { createSorter } from './sort.ts';

/** The largest finite bfloat16. */
export const scaleBitsMax = 0x7f7f;
/** The smallest positive one. */
const scaleBitsMin = 1;

const word = new Float32Array(1);
const wordBits = new Uint32Array(word.buffer);

/** The value of 16 scale bits; exact in float32. */
export function scaleOf(bits: number): number {
  wordBits[0] = bits << 16;
  return word[0] as number;
}

/** The nearest positive finite scale of a positive magnitude, ties to even. */
export function scaleBits(magnitude: number): number {
  word[0] = magnitude;
  const bits = wordBits[0] as number;
  const rounded = (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  return Math.min(Math.max(rounded, scaleBitsMin), scaleBitsMax);
}

const weightsOf = (bits: ValueBits): Float64Array => {
  const last = 2 ** (bits - 1) - 1;
  return Float64Array.from({ length: last + 1 }, (_, i) =>
    last === 0 ? 0 : (i * (i + last)) / (2 * last * last),
  );
};

/** Where each level lies between the low (0) and the high scale (1). */
export const levelWeights: Readonly<Record<ValueBits, Float64Array>> = {
  1: weightsOf(1),
  2: weightsOf(2),
  4: weightsOf(4),
  8: weightsOf(8),
};

/** Scales on the wire per chunk: one for a single level, else the low and the high one. */
export const scaleCount = (bits: ValueBits): number => (bits === 1 ? 1 : 2);

/** Scale bits of the lowest and the highest level. */
export interface Scales {
  readonly low: number;
  readonly high: number;
}

/** Levels for magnitudes: those above `split` take the high one. */
export interface TwoLevels extends Scales {
  readonly split: number;
}

/** One level for all: the mean of the first `count` magnitudes, summed in order. */
export function oneLevel(magnitudes: Float32Array, count: number): Scales {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += magnitudes[i] as number;
  const scale = scaleBits(sum / count);
  return { low: scale, high: scale };
}

/**
 * Two levels: the means of the two groups that minimise the squared error, that is maximise Σ group sum² / group size
 * over all places to cut the first `count` magnitudes, which are sorted (Fisher 1958, two classes).
 */
export function twoLevels(sorted: Float32Array, count: number): TwoLevels {
  let total = 0;
  for (let i = 0; i < count; i++) total += sorted[i] as number;
  let best = -1;
  let bestSum = 0;
  let bestCut = 0;
  let sum = 0;
  for (let cut = 1; cut < count; cut++) {
    sum += sorted[cut - 1] as number;
    if (sorted[cut - 1] === sorted[cut]) continue;
    const rest = total - sum;
    const score = (sum * sum) / cut + (rest * rest) / (count - cut);
    if (score > best) {
      best = score;
      bestSum = sum;
      bestCut = cut;
    }
  }
  if (bestCut === 0) return { ...oneLevel(sorted, count), split: Number.POSITIVE_INFINITY };
  const low = scaleBits(bestSum / bestCut);
  const high = scaleBits((total - bestSum) / (count - bestCut));
  return { low, high, split: low === high ? Number.POSITIVE_INFINITY : (sorted[bestCut - 1] as number) };
}

/**
 * Levels from the smallest to the largest magnitude; `codes` gets the nearest level of each. The extremes take the
 * first and the last level even where rounding to bfloat16 has moved these beyond a neighbour.
 */
function gridLevels(magnitudes: Float32Array, count: number, last: number, codes: Uint8Array): Scales {
  let smallest = Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < count; i++) {
    const magnitude = magnitudes[i] as number;
    if (magnitude < smallest) smallest = magnitude;
    if (magnitude > largest) largest = magnitude;
  }
  const scales = { low: scaleBits(smallest), high: scaleBits(largest) };
  if (scales.low === scales.high) {
    codes.fill(0, 0, count);
    return scales;
  }
  const low = scaleOf(scales.low);
  const perSpan = 8 / (scaleOf(scales.high) - low);
  const offset = 1 - 1 / (last * last);
  for (let i = 0; i < count; i++) {
    const magnitude = magnitudes[i] as number;
    const root = Math.sqrt(Math.max(0, offset + (magnitude - low) * perSpan));
    const nearest = Math.min(last, Math.max(0, Math.round(((root - 1) / 2) * last)));
    codes[i] = magnitude === smallest ? 0 : magnitude === largest ? last : nearest;
  }
  return scales;
}

/** Rounds magnitudes, in scratch space of its own. */
export interface Quantizer {
  /** Fits the levels to the first `count` magnitudes; `codes` gets the number of each one's level. */
  quantize(magnitudes: Float32Array, count: number, codes: Uint8Array): Scales;
}

/** A quantizer for chunks that send at most `countMax` values. */
export function createQuantizer(bits: ValueBits, countMax: number): Quantizer {
  const sort = createSorter(bits === 2 ? countMax : 0);
  const last = 2 ** (bits - 1) - 1;
  function quantizeByTwo(magnitudes: Float32Array, count: number, codes: Uint8Array): Scales {
    const levels = twoLevels(sort(magnitudes, count), count);
    for (let i = 0; i < count; i++) codes[i] = (magnitudes[i] as number) > levels.split ? 1 : 0;
    return levels;
  }
  return {
    quantize(magnitudes, count, codes) {
      if (bits === 1) {
        codes.fill(0, 0, count);
        return oneLevel(magnitudes, count);
      }
      return bits === 2
        ? quantizeByTwo(magnitudes, count, codes)
        : gridLevels(magnitudes, count, last, codes);
    },
  };
}
