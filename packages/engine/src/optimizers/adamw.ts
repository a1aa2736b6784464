import type { TrainedRange } from './ranges.ts';
import type { StepContext, UpdateRule } from './update-rule.ts';

/** AdamW's settings; weight decay is decoupled. */
export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

/** Values in ranges. */
export const lengthOf = (ranges: readonly TrainedRange[]): number =>
  ranges.reduce((sum, { start, end }) => sum + end - start, 0);

/** What the biases of the moments make of a step: the rate, and the factor of the second moment's root. */
export const adamwScalars = (
  { beta1, beta2 }: Pick<AdamWSettings, 'beta1' | 'beta2'>,
  learningRate: number,
  step: number,
): { readonly rate: number; readonly correction: number } => ({
  rate: learningRate / (1 - beta1 ** step),
  correction: 1 / Math.sqrt(1 - beta2 ** step),
});

/**
 * AdamW (Loshchilov & Hutter 2019, algorithm 2) over some ranges, as `torch.optim.AdamW` computes it. The moments hold
 * the ranges' values one after another.
 */
export function createAdamW(ranges: readonly TrainedRange[], settings: AdamWSettings): UpdateRule {
  const { beta1, beta2, epsilon, weightDecay } = settings;
  const length = lengthOf(ranges);

  function update({ memory, parameters, gradient, states, scale, learningRate, step }: StepContext): void {
    const [first, second] = states;
    if (!first || !second) return;
    const { rate, correction } = adamwScalars(settings, learningRate, step);
    let at = 0;
    for (const { start, end, decays } of ranges) {
      memory.run(
        'adamw',
        end - start,
        {
          parameters: { vector: parameters, from: start },
          gradient: { vector: gradient, from: start },
          first: { vector: first, from: at },
          second: { vector: second, from: at },
        },
        {
          ...{ scale, beta1, rest1: 1 - beta1, beta2, rest2: 1 - beta2, rate, correction, epsilon },
          keep: decays ? 1 - learningRate * weightDecay : 1,
        },
      );
      at += end - start;
    }
  }

  return { states: { first: length, second: length }, update };
}
