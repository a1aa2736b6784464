import {
  type CreatedRun,
  createRun,
  freshNonce,
  type RunOptions,
  storeRun,
  textModel,
} from '@murmuration/peer';
import { openStore } from '@murmuration/store';
import { model, training } from './defaults.ts';

/** The demo's run but for its founders. */
export const demoRun = (rounds: number): Omit<RunOptions, 'nonce' | 'founders'> => ({
  name: 'demo',
  rounds,
  steps: training.stepsPerRound,
  overlapSteps: training.overlapSteps,
  batch: training.batch,
  inner: { learningRate: training.learningRate },
  model: textModel(model),
  k: training.k,
  kMin: training.k,
  bits: training.bits,
  kappa: training.kappa,
  outerStep: training.outerStep,
  feedback: training.feedback,
  snapshotEvery: 16,
  graceMs: training.graceMs,
  viewTimeoutMs: training.viewTimeoutMs,
});

/** Makes one founder's key in each folder, and their run; the first folder holds its settings and its graph. */
export async function foundRun(
  directories: readonly string[],
  options: Omit<RunOptions, 'nonce' | 'founders'>,
): Promise<CreatedRun> {
  const stores = directories.map((directory) => openStore({ directory }));
  try {
    const founders = stores.map(({ identity }) => identity.peer);
    const created = createRun({ ...options, nonce: freshNonce(), founders });
    for (const store of stores) store.bindRun(created.runId);
    if (stores[0]) await storeRun(stores[0], created);
    return created;
  } finally {
    for (const store of stores) store.close();
  }
}
