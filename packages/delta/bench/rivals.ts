/**
 * What others make of a vector: bytes, and the relative squared error that is left. Each is written from its
 * description.
 */
import { chunkLength } from '../src/index.ts';
import { createSelector } from '../src/select.ts';

export interface Point {
  readonly name: string;
  readonly bytes: number;
  /** Σ (u − û)² / Σ u². */
  readonly error: number;
}

export const squares = (vector: Float32Array): number => {
  let sum = 0;
  for (const value of vector) sum += value * value;
  return sum;
};

/** Positions of the `k` largest values of each chunk. */
function largest(vector: Float32Array, k: number): Uint32Array {
  const selector = createSelector();
  const words = new Int32Array(vector.buffer, vector.byteOffset, vector.length);
  const positions: number[] = [];
  for (let start = 0; start < vector.length; start += chunkLength) {
    const chunk = words.subarray(start, start + chunkLength);
    const count = selector.select(chunk, k, start);
    for (let i = 0; i < count; i++) positions.push(start + (selector.indices[i] as number));
  }
  return Uint32Array.from(positions);
}

/**
 * SparseLoCo's quantizer (arXiv 2603.08163 and its published code) on what top-k leaves: shift = mean, scale = 6 ·
 * standard deviation / 4, four bins, each decoded to the mean of its members. Indices of 12 bits, values of 2; the
 * table of the bins is not counted.
 */
export function sparseLoCo(vector: Float32Array, k: number): Point {
  const positions = largest(vector, k);
  const values = Float64Array.from(positions, (position) => vector[position] as number);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const spread = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const scale = (6 * Math.sqrt(spread / (values.length - 1))) / 4;
  const binOf = (value: number): number => Math.min(3, Math.max(0, Math.round((value - mean) / scale + 2)));
  const bins = Array.from({ length: 4 }, () => ({ sum: 0, squares: 0, count: 0 }));
  for (const value of values) {
    const bin = bins[binOf(value)] as { sum: number; squares: number; count: number };
    bin.sum += value;
    bin.squares += value * value;
    bin.count++;
  }
  const sent = values.reduce((sum, value) => sum + value * value, 0);
  const within = bins.reduce(
    (sum, bin) => sum + (bin.count > 0 ? bin.squares - bin.sum ** 2 / bin.count : 0),
    0,
  );
  const whole = squares(vector);
  return {
    name: `SparseLoCo, k ${k}, 2 bits`,
    bytes: Math.ceil((positions.length * 14) / 8),
    error: (whole - sent + within) / whole,
  };
}

/** Magnitudes that the formats have, up to 1; zero is one of them. */
const formats = {
  int8: { bits: 8, magnitudes: Array.from({ length: 128 }, (_, i) => i / 127) },
  int4: { bits: 4, magnitudes: Array.from({ length: 8 }, (_, i) => i / 7) },
  /** E2M1. */
  FP4: { bits: 4, magnitudes: [0, 0.5, 1, 1.5, 2, 3, 4, 6].map((value) => value / 6) },
} as const;

/** Every value to the nearest one of a format, with one float32 scale, the largest magnitude, for each chunk. */
export function dense(vector: Float32Array, name: keyof typeof formats): Point {
  const { bits, magnitudes } = formats[name];
  const borders = magnitudes.slice(1).map((value, i) => (value + (magnitudes[i] as number)) / 2);
  let error = 0;
  for (let start = 0; start < vector.length; start += chunkLength) {
    const chunk = vector.subarray(start, start + chunkLength);
    const scale = chunk.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
    for (const value of chunk) {
      const magnitude = Math.abs(value) / scale;
      let low = 0;
      let high = borders.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (magnitude > (borders[middle] as number)) low = middle + 1;
        else high = middle;
      }
      error += ((magnitude - (magnitudes[low] as number)) * scale) ** 2;
    }
  }
  return {
    name: `${name}, every value`,
    bytes: Math.ceil((vector.length * bits) / 8) + 4 * Math.ceil(vector.length / chunkLength),
    error: error / squares(vector),
  };
}
