/**
 * What happens to a gradient: micro-batches are summed, the sum is averaged and its norm clipped, the run's rule moves
 * the parameters, and running statistics move by their own rule. Everything is flat vectors in one memory, which
 * onnxruntime reads (`parameters`) and writes (`gradient`) where they lie.
 */
import type { ParameterLayout, RunConfig } from '@murmuration/base';
import type { ParameterDeclaration } from '@murmuration/onnx';
import { freshOptimizerSteps } from '../defaults.ts';
import { createVectorMemory, type FlatVector } from '../vectors.ts';
import { createAdamW } from './adamw.ts';
import { createMuon } from './muon.ts';
import { createOrthogonalizer } from './newton-schulz.ts';
import { parameterRanges, splitMatrices } from './ranges.ts';
import { createSgd } from './sgd.ts';
import type { UpdateRule } from './update-rule.ts';

/** The vectors of a step, and what moves them. */
export interface Optimizer {
  /** θ_local and a micro-batch's gradient: N values each that never move. */
  readonly parameters: Float32Array;
  readonly gradient: Float32Array;
  /** What must be kept to go on: by name. */
  readonly states: Readonly<Record<string, Float32Array>>;
  /** Σ of the collected gradients, where the run averages several; it must be kept unless `collected` is 0. */
  readonly sum: Float32Array | undefined;
  /** Updates taken. */
  step: number;
  /** Micro-batches since the last update. */
  collected: number;
  /** Takes the gradient of one more micro-batch in. */
  collect(): void;
  /** Forgets what was collected. */
  discard(): void;
  /** Euclidean norm of the mean gradient before clipping, without running statistics. Not finite when it is not. */
  gradientNorm(): number;
  /** One step by the mean of what was collected, its norm scaled down to `clipNorm` at most. */
  update(learningRate: number, gradientNorm: number): Promise<void>;
}

/** Which parameters there are, and the run's settings for them. */
export interface OptimizerInit {
  readonly declarations: readonly ParameterDeclaration[];
  readonly layout: ParameterLayout;
  readonly inner: RunConfig['inner'];
  /** Threads of a rule that runs graphs. */
  readonly threads: number;
}

function createRule({ declarations, layout, inner, threads }: OptimizerInit): UpdateRule {
  const { optimizer, weightDecay } = inner;
  const { trained } = parameterRanges(declarations, layout);
  switch (optimizer.kind) {
    case 'adamw':
      return createAdamW(trained, { ...optimizer, weightDecay });
    case 'sgd':
      return createSgd(trained, { ...optimizer, weightDecay });
    case 'muon': {
      const orthogonalizer = createOrthogonalizer(optimizer.iterations, threads);
      return createMuon(splitMatrices(declarations, layout), { ...optimizer, weightDecay }, orthogonalizer);
    }
    default:
      return optimizer satisfies never;
  }
}

function allocate(rule: UpdateRule, length: number, accumulate: number) {
  const memory = createVectorMemory([
    ...[length, length, accumulate > 1 ? length : 0],
    ...[rule.scratch ?? 0, ...Object.values(rule.states)],
  ]);
  const [parameters, gradient, sum, scratch, ...states] = memory.vectors as [
    FlatVector,
    FlatVector,
    FlatVector,
    FlatVector,
    ...FlatVector[],
  ];
  return { memory, parameters, gradient, sum, scratch, states };
}

/**
 * Makes a run's optimizer. The first `freshOptimizerSteps` updates of a fresh one are smaller, whatever its rule.
 * Throws `EngineError` `too-many-parameters` when its vectors need more than 4 GiB (AdamW: 268 million parameters).
 */
export function createOptimizer(init: OptimizerInit): Optimizer {
  const { declarations, layout, inner } = init;
  const { clipNorm, accumulate } = inner;
  const { trained, averages } = parameterRanges(declarations, layout);
  const rule = createRule(init);
  const { memory, parameters, gradient, sum, scratch, states } = allocate(rule, layout.length, accumulate);
  const names = Object.keys(rule.states);
  const whole = { sum: { vector: sum, from: 0 }, gradient: { vector: gradient, from: 0 } };
  const collectedIn = accumulate > 1 ? sum : gradient;

  function updateAverages(scale: number): void {
    for (const { start, end, momentum } of averages)
      memory.run(
        'descend',
        end - start,
        {
          parameters: { vector: parameters, from: start },
          direction: { vector: collectedIn, from: start },
        },
        { keep: 1, rate: (1 - momentum) * scale },
      );
  }

  const optimizer: Optimizer = {
    parameters: parameters.values,
    gradient: gradient.values,
    states: Object.fromEntries(names.map((name, index) => [name, (states[index] as FlatVector).values])),
    sum: accumulate > 1 ? sum.values : undefined,
    step: 0,
    collected: 0,
    collect() {
      if (accumulate > 1 && optimizer.collected === 0) sum.values.set(gradient.values);
      else if (accumulate > 1) memory.run('accumulate', layout.length, whole, {});
      optimizer.collected++;
    },
    discard() {
      optimizer.collected = 0;
    },
    gradientNorm() {
      const squares = trained.reduce(
        (total, { start, end }) =>
          total + memory.sumOfSquares({ vector: collectedIn, from: start }, end - start),
        0,
      );
      return Math.sqrt(squares) / optimizer.collected;
    },
    async update(learningRate, gradientNorm) {
      optimizer.step++;
      const mean = 1 / optimizer.collected;
      const clip = gradientNorm > clipNorm ? clipNorm / gradientNorm : 1;
      const fresh = Math.min(1, optimizer.step / freshOptimizerSteps);
      updateAverages(mean);
      const context = { memory, parameters, gradient: collectedIn, states };
      await rule.update(
        { ...context, scale: clip * mean, learningRate: learningRate * fresh, step: optimizer.step },
        scratch,
      );
      optimizer.collected = 0;
    },
  };
  return optimizer;
}
