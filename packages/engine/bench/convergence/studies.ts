/** The trainings that each study compares. */
import type { Disturbance, TrainingPlan } from './plan.ts';

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

const adamw = (epsilon: number, beta1: number, beta2: number): TrainingPlan['optimizer'] => ({
  ...{ kind: 'adamw', beta1, beta2, epsilon },
});

/** 44,096 parameters: of so few, deltas in more frequent rounds would cost more announcements than values. */
const base: TrainingPlan = {
  ...{ method: 'ours', peers: 8, steps: 4_000, batch: 8, context: 64, width: 32, layers: 2, heads: 2 },
  ...{
    optimizer: adamw(1e-4, 0.8, 0.9999),
    learningRate: 6e-3,
    weightDecay: 0,
    clipNorm: 1,
    roundSteps: 40,
    overlapSteps: 0,
  },
  ...{ k: 1_024, bits: 1, feedback: 0.6, kappa: 0, outerStep: 1, outerMomentum: 0, seed: 1 },
};

/** With its own best learning rate (`rates`). */
const parallelOf = (plan: TrainingPlan): TrainingPlan => ({
  ...plan,
  ...{
    method: 'data-parallel',
    roundSteps: 1,
    learningRate: 1e-2,
    weightDecay: 0.1,
    optimizer: adamw(1e-8, 0.9, 0.99),
  },
  ...{ k: 1, feedback: 0 },
});

const diloco: TrainingPlan = {
  ...{ ...base, method: 'diloco', outerStep: 0.7, outerMomentum: 0.9, learningRate: 1e-3 },
};

const trial = (label: string, plan: TrainingPlan, reference: string = parallel): Trial => ({
  label,
  reference,
  plan,
});

/** One change each. */
const variants = <Value>(
  label: (value: Value) => string,
  values: readonly Value[],
  change: (value: Value) => Partial<TrainingPlan>,
): Trial[] => values.map((value) => trial(label(value), { ...base, ...change(value) }, ours));

const ablations: readonly Trial[] = [
  trial(parallel, parallelOf(base), ours),
  trial(ours, base, ours),
  ...variants(
    (epsilon) => `ε ${epsilon}`,
    [1e-8, 1e-3],
    (epsilon) => ({
      optimizer: adamw(epsilon, 0.8, 0.9999),
    }),
  ),
  ...variants(
    ([h, k]) => `H ${h}, k ${k}`,
    [
      [5, 64],
      [10, 140],
      [20, 320],
      [80, 1_024],
    ] as const,
    ([roundSteps, k]) => ({ roundSteps, k }),
  ),
  ...variants(
    (feedback) => `β ${feedback}`,
    [0, 0.3, 0.9, 1],
    (feedback) => ({ feedback }),
  ),
  ...variants(
    (kappa) => `κ ${kappa}`,
    [0.5, 1],
    (kappa) => ({ kappa }),
  ),
  ...variants(
    (step) => `outer step ${step}`,
    [0.5, 1.5],
    (outerStep) => ({ outerStep }),
  ),
  ...variants(
    (bits) => `${bits} bits`,
    [2, 4] as const,
    (bits) => ({ bits }),
  ),
  ...variants(
    (decay) => `weight decay ${decay}`,
    [0.1],
    (weightDecay) => ({ weightDecay }),
  ),
  ...variants(
    ([beta1, beta2]) => `β₁ ${beta1}, β₂ ${beta2}`,
    [
      [0.9, 0.99],
      [0.9, 0.9999],
      [0.5, 0.9999],
    ] as const,
    ([beta1, beta2]) => ({ optimizer: adamw(1e-4, beta1, beta2) }),
  ),
  ...variants(
    (rate) => `rate ${rate}`,
    [2e-3, 8e-3],
    (learningRate) => ({ learningRate }),
  ),
  ...variants(
    (norm) => `clip ${norm}`,
    [0.25, 4],
    (clipNorm) => ({ clipNorm }),
  ),
];

/** What the rivals are best with. */
const rates: readonly Trial[] = [
  ...[5e-3, 1e-2, 2e-2].map((learningRate) =>
    trial(
      `${parallel}, rate ${learningRate}`,
      { ...parallelOf(base), learningRate },
      `${parallel}, rate 0.01`,
    ),
  ),
  ...[0.99, 0.999].map((beta2) =>
    trial(
      `${parallel}, β₂ ${beta2}`,
      { ...parallelOf(base), optimizer: adamw(1e-8, 0.9, beta2) },
      `${parallel}, rate 0.01`,
    ),
  ),
  ...[5e-4, 1e-3, 2e-3].map((learningRate) =>
    trial(`DiLoCo, rate ${learningRate}`, { ...diloco, learningRate }, `${parallel}, rate 0.01`),
  ),
];

/** The same tokens in batches of other sizes; then longer and shorter trainings. */
const scaling: readonly Trial[] = [
  { batch: 32, steps: 1_000, learningRate: 8e-3 },
  { batch: 8, steps: 4_000, learningRate: 4e-3 },
  { batch: 2, steps: 16_000, learningRate: 2e-3 },
  { batch: 8, steps: 1_000, learningRate: 4e-3 },
  { batch: 8, steps: 8_000, learningRate: 3e-3 },
].flatMap((change) => {
  const size = `batch ${change.batch}, ${change.steps} steps`;
  const reference = `${parallel}, ${size}`;
  const sized = { ...base, ...change };
  const best = { 32: 1.6e-2, 8: 1e-2, 2: 5e-3 }[change.batch] ?? 1e-2;
  return [
    trial(reference, { ...parallelOf(sized), learningRate: best }, reference),
    trial(`${ours}, ${size}`, sized, reference),
  ];
});

/** What a disturbance leaves of the tokens; so much longer such a training is, to have as many as the others. */
const presence: Readonly<Record<Disturbance, number>> = {
  ...{ slow: 7.1 / 8, joins: 7.5 / 8, late: 1, dropped: 1 },
};

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
  rates,
  ablations,
  scaling,
  disturbed: [
    trial(ours, base, ours),
    ...Object.entries(presence).map(([disturbance, share]) =>
      trial(
        disturbance,
        { ...base, disturbance, steps: Math.round(base.steps / share) } as TrainingPlan,
        ours,
      ),
    ),
  ],
  overlap: [
    trial(ours, base, ours),
    ...[8, 39].map((overlapSteps) => trial(`overlap ${overlapSteps}`, { ...base, overlapSteps }, ours)),
  ],
};
