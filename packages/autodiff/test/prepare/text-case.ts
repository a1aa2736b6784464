/** The small text model as a request trains it, and how its outputs are had and compared. */
import assert from 'node:assert/strict';
import { createLayout, tensorView } from '@murmuration/base';
import type { Model, Tensor } from '@murmuration/onnx';
import { AutodiffError, prepareTraining, type TrainingRequest } from '../../src/index.ts';
import { runModel, tensor } from '../run-model.ts';
import { textNetwork } from './network.ts';

export const textRequest: TrainingRequest = {
  loss: { kind: 'cross-entropy' },
  trains: { kind: 'all' },
  text: {},
};
export const tokens = tensor([2, 3], [1, 2, 6, 0, 5, 3], 'int64');
export const targets = tensor([2, 3], [2, 6, 0, 5, 3, 1], 'int64');
export const ones = tensor([2, 3], [1, 1, 1, 1, 1, 1], 'int64');

/** The values of a flat vector as feeds. */
export const feedsOf = (
  list: readonly { readonly name: string; readonly shape: readonly number[] }[],
  vector: Float32Array,
): Record<string, Tensor> =>
  Object.fromEntries(
    createLayout(list).slots.map((slot) => [slot.name, tensor(slot.shape, tensorView(vector, slot))]),
  );

export const run = async (
  model: Model,
  output: string,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Float32Array | Float64Array> => {
  const only = { ...model, graph: { ...model.graph, outputs: [{ name: output, type: 'float32' as const }] } };
  return (await runModel(only, feeds))[output] as Float32Array;
};

export const assertClose = (
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance = 1e-5,
): void => {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++)
    assert.ok(
      Math.abs((actual[i] as number) - (expected[i] as number)) < tolerance,
      `value ${i}: expected ${expected[i]}, got ${actual[i]}`,
    );
};

export const throwsRequest = (request: TrainingRequest, says: RegExp, model = textNetwork()): void =>
  assert.throws(
    () => prepareTraining(model, request),
    (error: unknown) =>
      error instanceof AutodiffError && error.code === 'bad-request' && says.test(error.message),
  );
