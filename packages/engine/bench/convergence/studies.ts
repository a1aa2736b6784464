/** The trainings that each study compares. */
import type { TrainingPlan } from './plan.ts';

/** A training in a study's table. Trials of one label differ in their seeds. */
export interface Trial {
  readonly label: string;
  /** The label whose loss is 100 %. */
  readonly reference: string;
  readonly plan: TrainingPlan;
}

/** One for each peer, in six scripts. */
export const languages: readonly string[] = [
  ...['fr', 'hi', 'ar', 'ru', 'es', 'zh', 'ja', 'tr'],
  ...['de', 'ko', 'pt', 'it', 'pl', 'vi', 'uk', 'id'],
];

const [parallel, ours] = ['data-parallel', 'ours'];

const base: TrainingPlan = {
  ...{ method: 'ours', peers: 8, steps: 4_000, batch: 8, context: 64, width: 32, layers: 2, heads: 2 },
  optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.99, epsilon: 1e-8 },
  ...{ learningRate: 4e-3, clipNorm: 1, roundSteps: 33, overlapSteps: 0 },
  ...{ k: 1_024, bits: 1, feedback: 0.6, kappa: 0, outerStep: 1, outerMomentum: 0, seed: 1 },
};

/** What each method is best with; found by the study `rates`. */
const parallelOf = (plan: TrainingPlan): TrainingPlan => ({
  ...plan,
  ...{ method: 'data-parallel', roundSteps: 1, learningRate: 1e-2 },
});
const diloco: TrainingPlan = {
  ...base,
  method: 'diloco',
  outerStep: 0.7,
  outerMomentum: 0.9,
  learningRate: 1e-3,
};

const trial = (label: string, plan: TrainingPlan, reference: string = parallel): Trial => ({
  label,
  reference,
  plan,
});

/** One change each. */
const variants = (
  label: (value: never) => string,
  values: readonly unknown[],
  change: (value: never) => Partial<TrainingPlan>,
): Trial[] =>
  values.map((value) => trial(label(value as never), { ...base, ...change(value as never) }, ours));

const ablations: readonly Trial[] = [
  trial(ours, base, ours),
  ...variants(
    ([h, k]: [number, number]) => `H ${h}, k ${k}`,
    [
      [5, 64],
      [12, 256],
      [20, 512],
      [66, 1_024],
    ],
    ([roundSteps, k]: [number, number]) => ({ roundSteps, k }),
  ),
  ...variants(
    (feedback: number) => `β ${feedback}`,
    [0, 0.3, 0.9, 1],
    (feedback: number) => ({ feedback }),
  ),
  ...variants(
    (kappa: number) => `κ ${kappa}`,
    [0.25, 0.5, 1],
    (kappa: number) => ({ kappa }),
  ),
  ...variants(
    (step: number) => `outer step ${step}`,
    [0.5, 2],
    (outerStep: number) => ({ outerStep }),
  ),
  ...variants(
    (bits: number) => `${bits} bits`,
    [2, 4],
    (bits: 2 | 4) => ({ bits }),
  ),
  ...variants(
    (rate: number) => `rate ${rate}`,
    [1e-3, 2e-3, 8e-3],
    (learningRate: number) => ({ learningRate }),
  ),
  ...variants(
    (norm: number) => `clip ${norm}`,
    [0.25, 4],
    (clipNorm: number) => ({ clipNorm }),
  ),
];

/** The same tokens as batches of other sizes, and longer trainings. */
const scaling: readonly Trial[] = [
  ...[
    { batch: 2, steps: 16_000, learningRate: 2e-3 },
    { batch: 8, steps: 4_000, learningRate: 4e-3 },
    { batch: 32, steps: 1_000, learningRate: 8e-3 },
    { batch: 8, steps: 1_000, learningRate: 4e-3 },
    { batch: 8, steps: 16_000, learningRate: 2e-3 },
  ].flatMap((change) => {
    const size = `batch ${change.batch}, ${change.steps} steps`;
    const reference = `${parallel}, ${size}`;
    return [
      trial(
        reference,
        { ...parallelOf({ ...base, ...change }), learningRate: 2.5 * change.learningRate },
        reference,
      ),
      trial(`${ours}, ${size}`, { ...base, ...change }, reference),
    ];
  }),
];

const seeds = [1, 2, 3];

export const studies: Readonly<Record<string, readonly Trial[]>> = {
  final: [
    ...seeds.map((seed) => trial(parallel, parallelOf({ ...base, seed }))),
    ...seeds.map((seed) => trial(ours, { ...base, seed })),
    trial('DiLoCo', diloco),
    trial('alone', { ...base, method: 'alone' }),
  ],
  peers: [4, 16].flatMap((peers) => [
    trial(`${parallel}, R ${peers}`, parallelOf({ ...base, peers }), `${parallel}, R ${peers}`),
    trial(`${ours}, R ${peers}`, { ...base, peers }, `${parallel}, R ${peers}`),
  ]),
  ablations,
  scaling,
  disturbed: [
    trial(ours, base, ours),
    ...(['slow', 'joins', 'late', 'dropped'] as const).map((disturbance) =>
      trial(disturbance, { ...base, disturbance }, ours),
    ),
  ],
  overlap: [
    trial(ours, base, ours),
    ...[5, 16].map((overlapSteps) => trial(`overlap ${overlapSteps}`, { ...base, overlapSteps }, ours)),
  ],
};
