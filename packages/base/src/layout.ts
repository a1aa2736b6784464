import { FactError } from './errors.ts';

/** One named tensor inside the flat parameter vector. `offset` and `length` count values, not bytes. */
export interface TensorSlot {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
}

/** Where each tensor lies in the flat `Float32Array` θ of `length` values. */
export interface ParameterLayout {
  readonly slots: readonly TensorSlot[];
  readonly length: number;
}

/** Two tensors of one name, or a shape that cannot be counted. */
export class LayoutError extends FactError<'duplicate-name' | 'bad-dimension'> {}

/** Lays tensors out one after another in the given order, without gaps. Throws `LayoutError`. */
export function createLayout(
  tensors: readonly { readonly name: string; readonly shape: readonly number[] }[],
): ParameterLayout {
  const seen = new Set<string>();
  const slots: TensorSlot[] = [];
  let offset = 0;
  for (const { name, shape } of tensors) {
    if (seen.has(name))
      throw new LayoutError(`two tensors are named ${name}`, { code: 'duplicate-name', name });
    const bad = shape.find((dimension) => !Number.isSafeInteger(dimension) || dimension < 1);
    if (bad !== undefined)
      throw new LayoutError(`tensor ${name}: expected positive integer dimensions, got [${shape}]`, {
        code: 'bad-dimension',
        name,
        shape,
      });
    const length = shape.reduce((product, dimension) => product * dimension, 1);
    if (!Number.isSafeInteger(offset + length))
      throw new LayoutError(`tensor ${name}: [${shape}] is more values than a number can count`, {
        code: 'bad-dimension',
        name,
        shape,
      });
    seen.add(name);
    slots.push({ name, shape: [...shape], offset, length });
    offset += length;
  }
  return { slots, length: offset };
}

/** A view (no copy) of one tensor's values inside a flat vector of the layout's length. */
export function tensorView(vector: Float32Array, slot: TensorSlot): Float32Array {
  return vector.subarray(slot.offset, slot.offset + slot.length);
}
