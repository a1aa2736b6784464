import { type AdamWSettings, createAdamW, lengthOf } from './adamw.ts';
import type { Orthogonalizer } from './newton-schulz.ts';
import type { MatrixRange, TrainedRange } from './ranges.ts';
import type { UpdateRule } from './update-rule.ts';

/** Muon's settings, and those of AdamW for what is no matrix. */
export interface MuonSettings extends AdamWSettings {
  readonly momentum: number;
  readonly nesterov: boolean;
  /** Learning rate of what is no matrix, as a multiple of that of the matrices. */
  readonly rateOfVectors: number;
}

/**
 * Muon (Jordan et al. 2024) as `torch.optim.Muon` defines it: m ← μm + (1 − μ)g; the step of a matrix is m, or with
 * Nesterov's (1 − μ)g + μm, made orthogonal, times rate · √max(1, rows ÷ columns); weight decay is decoupled. The
 * iterations run in float32 (there in bfloat16). All else goes through AdamW at its own rate.
 */
export function createMuon(
  {
    matrices,
    others,
  }: { readonly matrices: readonly MatrixRange[]; readonly others: readonly TrainedRange[] },
  settings: MuonSettings,
  orthogonalizer: Orthogonalizer,
): UpdateRule {
  const { momentum: mu, nesterov, weightDecay, rateOfVectors } = settings;
  const [gradientShare, momentumShare] = nesterov ? [1 - mu, mu] : [0, 1];
  const adamw = createAdamW(others, settings);
  const largest = Math.max(0, ...matrices.map(({ start, end }) => end - start));

  return {
    states: { momentum: lengthOf(matrices), ...adamw.states },
    scratch: largest,
    async update(context, scratch) {
      const { memory, parameters, gradient, states, scale, learningRate } = context;
      const [momentum, ...moments] = states;
      if (!momentum || !scratch) return;
      let at = 0;
      for (const { start, end, decays, rows, columns } of matrices) {
        const length = end - start;
        memory.run(
          'average',
          length,
          { gradient: { vector: gradient, from: start }, momentum: { vector: momentum, from: at } },
          { scale, mu, rest: 1 - mu, gradientShare, momentumShare },
        );
        const direction = scratch.values.subarray(0, length);
        await orthogonalizer.run(gradient.values.subarray(start, end), direction, rows, columns);
        memory.run(
          'descend',
          length,
          { parameters: { vector: parameters, from: start }, direction: { vector: scratch, from: 0 } },
          {
            keep: decays ? 1 - learningRate * weightDecay : 1,
            rate: learningRate * Math.sqrt(Math.max(1, rows / columns)),
          },
        );
        at += length;
      }
      await adamw.update(
        { ...context, states: moments, learningRate: learningRate * rateOfVectors },
        undefined,
      );
    },
  };
}
