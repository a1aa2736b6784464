/** Sorts non-negative floats by the digits of their bits, whose order is that of the values; linear, no allocation. */
const digitBits = 8;
const digits = 1 << digitBits;

/**
 * A sorter with scratch space of its own for up to `countMax` values; gives them in rising order until the next call.
 */
export function createSorter(countMax: number): (magnitudes: Float32Array, count: number) => Float32Array {
  let from = new Int32Array(countMax);
  let to = new Int32Array(countMax);
  const starts = new Uint16Array(digits);
  return (magnitudes, count) => {
    new Float32Array(from.buffer).set(magnitudes.subarray(0, count));
    for (let shift = 0; shift < 32; shift += digitBits) {
      starts.fill(0);
      for (let i = 0; i < count; i++) {
        const digit = ((from[i] as number) >>> shift) & (digits - 1);
        starts[digit] = (starts[digit] as number) + 1;
      }
      let start = 0;
      for (let digit = 0; digit < digits; digit++) {
        const size = starts[digit] as number;
        starts[digit] = start;
        start += size;
      }
      for (let i = 0; i < count; i++) {
        const word = from[i] as number;
        const digit = (word >>> shift) & (digits - 1);
        const at = starts[digit] as number;
        to[at] = word;
        starts[digit] = at + 1;
      }
      [from, to] = [to, from];
    }
    return new Float32Array(from.buffer, 0, count);
  };
}
