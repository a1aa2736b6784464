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
  const indices = new Uint32Array(room);
  const values = new Float32Array(room);
  const window = Math.min(aggregationWindow, length);
  const sums = new Float64Array(window);
  const weights = new Float64Array(window);
  const cursors = new Uint32Array(inputs.length);
  let count = 0;
  for (let start = 0; start < length && sent > 0; start += aggregationWindow) {
    const end = Math.min(start + aggregationWindow, length);
    inputs.forEach((input, which) => {
      cursors[which] = accumulate(input, cursors[which] as number, start, end, sums, weights);
    });
    for (let at = 0; at < end - start; at++) {
      const weight = weights[at] as number;
      if (weight === 0) continue;
      indices[count] = start + at;
      values[count++] = (sums[at] as number) / Math.max(weight, divisorMin);
      sums[at] = 0;
      weights[at] = 0;
    }
  }
  return { length, indices: indices.slice(0, count), values: values.slice(0, count) };
}

/** Adds one input's values inside [start, end) to the window; returns where its next value lies. */
function accumulate(
  input: WeightedDelta,
  cursor: number,
  start: number,
  end: number,
  sums: Float64Array,
  weights: Float64Array,
): number {
  const { indices, values } = input.delta;
  const factor = input.weight * input.clip;
  let at = cursor;
  for (; at < indices.length && (indices[at] as number) < end; at++) {
    const slot = (indices[at] as number) - start;
    sums[slot] = (sums[slot] as number) + factor * (values[at] as number);
    weights[slot] = (weights[slot] as number) + input.weight;
  }
  return at;
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
  undo.indices.forEach((index, i) => {
    theta[index] = undo.values[i] as number;
  });
}
