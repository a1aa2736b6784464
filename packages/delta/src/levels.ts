/** The magnitudes that a chunk's values are rounded to, as 16 bits each: the upper half of a float32 (bfloat16). */

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

/** Scales of the low and the high level; values above `split` in magnitude take the high one. */
export interface Levels {
  readonly low: number;
  readonly high: number;
  readonly split: number;
}

/** One level for all: the mean of the first `count` magnitudes, summed in order. */
export function oneLevel(magnitudes: Float32Array, count: number): Levels {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += magnitudes[i] as number;
  const scale = scaleBits(sum / count);
  return { low: scale, high: scale, split: Number.POSITIVE_INFINITY };
}

/**
 * Two levels: the means of the two groups that minimise the squared error, that is maximise Σ group sum² / group size
 * over all places to cut the sorted magnitudes (Fisher 1958, two classes). Sorts the first `count` magnitudes.
 */
export function twoLevels(magnitudes: Float32Array, count: number): Levels {
  const sorted = magnitudes.subarray(0, count).sort();
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
  if (bestCut === 0) return oneLevel(sorted, count);
  const low = scaleBits(bestSum / bestCut);
  const high = scaleBits((total - bestSum) / (count - bestCut));
  return { low, high, split: low === high ? Number.POSITIVE_INFINITY : (sorted[bestCut - 1] as number) };
}
