import { lengthOf } from './adamw.ts';
import type { TrainedRange } from './ranges.ts';
import type { StepContext, UpdateRule } from './update-rule.ts';

/** Momentum and decoupled weight decay. */
export interface SgdSettings {
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;
}

/**
 * Stochastic gradient descent with momentum as `torch.optim.SGD` (without dampening) computes it: m ← μm + g;
 * θ ← θ − rate·m, or with Nesterov's θ ← θ − rate·(g + μm). Weight decay is decoupled, unlike there: it shrinks θ by
 * learningRate · weightDecay and does not enter m.
 */
export function createSgd(ranges: readonly TrainedRange[], settings: SgdSettings): UpdateRule {
  const { momentum: mu, nesterov, weightDecay } = settings;
  const [gradientShare, momentumShare] = nesterov ? [1, mu] : [0, 1];

  function update({ memory, parameters, gradient, states, scale, learningRate }: StepContext): void {
    const [momentum] = states;
    if (!momentum) return;
    let at = 0;
    for (const { start, end, decays } of ranges) {
      memory.run(
        'sgd',
        end - start,
        {
          parameters: { vector: parameters, from: start },
          gradient: { vector: gradient, from: start },
          momentum: { vector: momentum, from: at },
        },
        {
          ...{ scale, mu, gradientShare, momentumShare, rate: learningRate },
          keep: decays ? 1 - learningRate * weightDecay : 1,
        },
      );
      at += end - start;
    }
  }

  return { states: { momentum: lengthOf(ranges) }, update };
}
