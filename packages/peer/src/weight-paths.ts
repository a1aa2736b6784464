import type { RunConfig } from '@murmuration/base';
import type { EngineInit } from '@murmuration/engine';
import type { Store } from '@murmuration/store';

/** Where the engine finds the weights that came from a file. */
export const weightPaths = (
  { initial, model }: RunConfig,
  store: Pick<Store, 'blobPath'>,
): NonNullable<EngineInit['weights']> => ({
  initial: initial.seed === undefined ? store.blobPath(initial.tensors) : undefined,
  frozen: model.frozen && store.blobPath(model.frozen.tensors),
});
