/**
 * Gradients that are too large to keep are kept as sketches: the norm, and sums of the elements with signs drawn by a
 * counter. The mean square of the same sums of a difference estimates the difference's squared norm without bias
 * (Johnson and Lindenstrauss 1984).
 */
import type { Tensor } from '@murmuration/onnx';

/**
 * A 32-bit word by position: a multiplicative counter through two xor-shift-multiply rounds, the same as in
 * scripts/model-fixtures/reference.py.
 */
export function mixed(index: number, seed: number): number {
  let x = (Math.imul(index, 0x9e3779b1) + Math.imul(seed, 0x85ebca77)) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** The rows of a table of sketches. */
export function sketchRows(table: Tensor | undefined): readonly (readonly number[])[] {
  const [rows = 0, columns = 0] = table?.shape ?? [];
  const values = (table?.data ?? new Float32Array()) as Float32Array;
  return Array.from({ length: rows }, (_, row) => [...values.subarray(row * columns, (row + 1) * columns)]);
}

/** Norm of a gradient, then `sums` signed sums of its elements. */
export function sketch(values: ArrayLike<number>, sums: number): readonly number[] {
  const totals = new Float64Array(sums);
  let square = 0;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number;
    const bits = mixed(index, 0);
    square += value * value;
    for (let sum = 0; sum < sums; sum++)
      totals[sum] = (totals[sum] as number) + ((bits >>> sum) & 1 ? value : -value);
  }
  return [Math.sqrt(square), ...totals];
}

/**
 * The estimated norm of the difference between a gradient and the one that was sketched, over the latter's norm; over
 * `largest` where that norm is only the rounding of an exact zero.
 */
export function sketchedError(found: readonly number[], expected: readonly number[], largest = 0): number {
  const [norm = 0, ...sums] = expected;
  const squares = sums.map((sum, index) => (sum - (found[index + 1] ?? Number.NaN)) ** 2);
  return (
    Math.sqrt(squares.reduce((total, value) => total + value, 0) / squares.length) /
    (norm > 1e-8 * largest ? norm : largest)
  );
}
