import { initializeParameters } from '@murmuration/onnx';
import { EngineError } from './errors.ts';
import type { ChildInit } from './messages.ts';
import type { RunModel } from './model.ts';
import { nameVector, readVector } from './names.ts';

const missing = (what: string, name: string): EngineError =>
  new EngineError(`expected a file with the run's ${what} (the blob ${name}), got none`, {
    code: 'missing-weights',
    blob: name,
  });

/**
 * θ₀: drawn from the run's seed, or read where the run has none. Throws `EngineError` `bad-initial-state` when the seed
 * gives another one, `missing-weights`, or as `readVector` does.
 */
export function firstParameters(
  { run, weights }: ChildInit,
  { declarations, layout }: RunModel,
): Float32Array {
  const { seed, tensors } = run.initial;
  if (seed === undefined) {
    if (weights?.initial === undefined) throw missing('first parameters', tensors);
    return readVector(weights.initial, layout.length, tensors);
  }
  const values = initializeParameters(declarations, seed);
  const { cid } = nameVector(values);
  if (cid !== tensors)
    throw new EngineError(`initial state: expected ${tensors}, the seed ${seed} gives ${cid}`, {
      code: 'bad-initial-state',
      expected: tensors,
      got: cid,
    });
  return values;
}

/** The weights that never train. Throws `EngineError` `missing-weights`, or as `readVector` does. */
export function frozenWeights({ run, weights }: ChildInit, { frozen }: RunModel): Float32Array {
  const wanted = run.model.frozen;
  if (!wanted) return new Float32Array();
  if (weights?.frozen === undefined) throw missing('frozen weights', wanted.tensors);
  return readVector(weights.frozen, frozen.length, wanted.tensors);
}
