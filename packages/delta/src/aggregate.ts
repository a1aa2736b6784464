/** Many deltas to one change of θ. Only + − × ÷ √ and rounding to float32, in the order of the inputs: the same bits everywhere. */
import { aggregationWindow } from './defaults.ts';
import { DeltaError } from './errors.ts';
import type { AggregationRule, SparseDelta, UpdateUndo, WeightedDelta } from './index.ts';

/** Euclidean norm: √ of the sum of squares in float64, in index order. */
export function deltaNorm(delta: SparseDelta): number {
  let sum = 0;
  for (const value of delta.values) sum += value * value;
  return Math.sqrt(sum);
}

function checkLengths(expected: number, got: number, what: string): void {
  if (expected !== got)
    throw new DeltaError(`${what}: expected ${expected} values, got ${got}`, {
      code: 'bad-input',
      expected,
      got,
    });
}

/**
 * `out ← vector − factor · delta`, each sent value rounded once to float32; values that were not sent keep their bits.
 * `out` may be `vector` itself. With u and the factor by which a block clipped the delta this is the residual e.
 */
export function subtractDelta(
  vector: Float32Array,
  delta: SparseDelta,
  factor: number,
  out: Float32Array,
): void {
  checkLengths(delta.length, vector.length, 'subtract');
  checkLengths(delta.length, out.length, 'subtract');
  if (out !== vector) out.set(vector);
  const { indices, values } = delta;
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number;
    out[index] = (vector[index] as number) - factor * (values[i] as number);
  }
}

/** A sparse vector under construction: its arrays have room for more values than there are. */
export interface RoomySparse {
  readonly length: number;
  readonly indices: Uint32Array<ArrayBuffer>;
  readonly values: Float32Array<ArrayBuffer>;
}

/** An empty sparse vector with room for so many values. */
export const createRoomy = (length: number, room: number): RoomySparse => ({
  length,
  indices: new Uint32Array(room),
  values: new Float32Array(room),
});

/** The first `count` values, where they lie: what is too long is given back. */
export const firstOf = ({ length, indices, values }: RoomySparse, count: number): SparseDelta => ({
  length,
  indices: new Uint32Array(indices.buffer.transfer(count * Uint32Array.BYTES_PER_ELEMENT)),
  values: new Float32Array(values.buffer.transfer(count * Float32Array.BYTES_PER_ELEMENT)),
});

function checkInputs(inputs: readonly WeightedDelta[], { kappa, length }: AggregationRule): void {
  for (const { delta, clip, weight } of inputs) {
    checkLengths(length, delta.length, 'aggregate');
    if (!(clip > 0 && clip <= 1 && weight > 0 && weight < Number.POSITIVE_INFINITY))
      throw new DeltaError(`aggregate: expected clip in (0, 1] and weight > 0, got ${clip} and ${weight}`, {
        code: 'bad-input',
        clip,
        weight,
      });
  }
  if (!(kappa >= 0 && kappa <= 1))
    throw new DeltaError(`aggregate: expected κ in [0, 1], got ${kappa}`, { code: 'bad-input', kappa });
}

/**
 * The weighted mean of clipped deltas. Coordinate j gets fround(Σᵢ (wᵢ · cᵢ) · vᵢⱼ ÷ max(Σ w of its senders, κ · Σ w
 * of all)), sums in float64 over the inputs in the order given. κ = 0 is the mean over senders, 1 over contributors.
 * Throws `DeltaError` `bad-input`.
 */
export function aggregate(inputs: readonly WeightedDelta[], rule: AggregationRule): SparseDelta {
  checkInputs(inputs, rule);
  const { kappa, length } = rule;
  let weightOfAll = 0;
  let sent = 0;
  for (const { weight, delta } of inputs) {
    weightOfAll += weight;
    sent += delta.indices.length;
  }
  const divisorMin = kappa * weightOfAll;
  const room = Math.min(sent, length);
  const update = createRoomy(length, room);
  const window = createWindow();
  const cursors = new Uint32Array(inputs.length);
  let count = 0;
  for (let start = 0; start < length && sent > 0; start += aggregationWindow) {
    const end = Math.min(start + aggregationWindow, length);
    for (let which = 0; which < inputs.length; which++)
      cursors[which] = window.add(inputs[which] as WeightedDelta, cursors[which] as number, start, end);
    count = window.divide(start, divisorMin, update, count);
  }
  return firstOf(update, count);
}

/** Accumulators for some neighbouring coordinates. */
interface Window {
  /** Adds one input's values in [start, end), from the one at `cursor` on; returns where its next value lies. */
  add(input: WeightedDelta, cursor: number, start: number, end: number): number;
  /** Appends the means after the first `count` values of `update`, and empties the window; returns the new count. */
  divide(start: number, divisorMin: number, update: RoomySparse, count: number): number;
}

/** Coordinates in use are marked by bits: most have no sender, and a test of each would cost more than the sums. */
function createWindow(): Window {
  const sums = new Float64Array(aggregationWindow);
  const weights = new Float64Array(aggregationWindow);
  const used = new Int32Array(aggregationWindow / 32);
  return {
    add({ delta: { indices, values }, weight, clip }, cursor, start, end) {
      const factor = weight * clip;
      let at = cursor;
      for (; at < indices.length; at++) {
        const index = indices[at] as number;
        if (index >= end) break;
        const slot = index - start;
        sums[slot] = (sums[slot] as number) + factor * (values[at] as number);
        weights[slot] = (weights[slot] as number) + weight;
        used[slot >>> 5] = (used[slot >>> 5] as number) | (1 << (slot & 31));
      }
      return at;
    },
    divide(start, divisorMin, { indices, values }, first) {
      let count = first;
      for (let word = 0; word < used.length; word++) {
        let bits = used[word] as number;
        used[word] = 0;
        for (; bits !== 0; bits &= bits - 1) {
          const slot = word * 32 + 31 - Math.clz32(bits & -bits);
          indices[count] = start + slot;
          values[count++] = (sums[slot] as number) / Math.max(weights[slot] as number, divisorMin);
          sums[slot] = 0;
          weights[slot] = 0;
        }
      }
      return count;
    },
  };
}

/** `θ ← fround(θ − outerStep · update)` in place; returns what `revertUpdate` needs to restore θ's bits. */
export function applyUpdate(theta: Float32Array, update: SparseDelta, outerStep: number): UpdateUndo {
  checkLengths(update.length, theta.length, 'apply');
  const { indices, values } = update;
  const old = new Float32Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number;
    const before = theta[index] as number;
    old[i] = before;
    theta[index] = before - outerStep * (values[i] as number);
  }
  return { indices, values: old };
}

/** Puts the old values back: θ has the bits that it had before the update. */
export function revertUpdate(theta: Float32Array, undo: UpdateUndo): void {
  const { indices, values } = undo;
  for (let i = 0; i < indices.length; i++) theta[indices[i] as number] = values[i] as number;
}
