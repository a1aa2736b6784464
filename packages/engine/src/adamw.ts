import type { RunConfig } from '@murmuration/base';
import { freshOptimizerSteps } from './defaults.ts';
import { createSimdKernels } from './simd-kernels.ts';

/** A run of coordinates that weight decay applies to, or does not. */
export interface DecayRange {
  readonly start: number;
  readonly end: number;
  readonly decays: boolean;
}

export interface AdamW {
  /** θ_local, the gradient and both moments: views of N values each into one memory that never moves. */
  readonly parameters: Float32Array;
  readonly gradient: Float32Array;
  readonly first: Float32Array;
  readonly second: Float32Array;
  /** Updates taken, for the moments' bias correction. */
  step: number;
  /** The gradient's Euclidean norm before clipping. Infinite or NaN when the gradient is. */
  gradientNorm(): number;
  /** One update in place, the gradient scaled so that its norm is at most `clipNorm`. */
  update(learningRate: number, gradientNorm: number): void;
}

const lanes = 4;

/** Neighbouring tensors with the same answer to "does weight decay apply" become one range. */
export function decayRanges(
  slots: readonly { readonly offset: number; readonly length: number; readonly decays: boolean }[],
): DecayRange[] {
  const ranges: DecayRange[] = [];
  for (const { offset, length, decays } of slots) {
    const last = ranges.at(-1);
    if (last && last.decays === decays && last.end === offset)
      ranges[ranges.length - 1] = { ...last, end: offset + length };
    else ranges.push({ start: offset, end: offset + length, decays });
  }
  return ranges;
}

/**
 * AdamW with decoupled weight decay (Loshchilov & Hutter 2019) over flat vectors of `length` values, in one pass of
 * WebAssembly SIMD; the up to three values at a range's end that fill no vector go through the same arithmetic here.
 */
export function createAdamW(
  length: number,
  ranges: readonly DecayRange[],
  settings: RunConfig['inner'],
): AdamW {
  const { beta1, beta2, epsilon, weightDecay, clipNorm } = settings;
  const vectorBytes = Math.ceil(length / lanes) * lanes * 4;
  const kernels = createSimdKernels(4 * vectorBytes);
  const at = (index: number): number => index * vectorBytes;
  const view = (index: number): Float32Array => new Float32Array(kernels.memory.buffer, at(index), length);
  const [parameters, gradient, first, second] = [view(0), view(1), view(2), view(3)] as const;

  function updateOne(i: number, clip: number, rate: number, keep: number, correction: number): void {
    const g = Math.fround((gradient[i] as number) * clip);
    const m = Math.fround(beta1 * (first[i] as number) + (1 - beta1) * g);
    const v = Math.fround(beta2 * (second[i] as number) + (1 - beta2) * g * g);
    first[i] = m;
    second[i] = v;
    parameters[i] = (parameters[i] as number) * keep - (rate * m) / (Math.sqrt(v) * correction + epsilon);
  }

  return {
    parameters,
    gradient,
    first,
    second,
    step: 0,
    gradientNorm: () => Math.sqrt(kernels.sumOfSquares(at(1), vectorBytes / 4)),
    update(learningRate, gradientNorm) {
      this.step++;
      const clip = gradientNorm > clipNorm ? clipNorm / gradientNorm : 1;
      const fresh = Math.min(1, this.step / freshOptimizerSteps);
      const rate = (learningRate * fresh) / (1 - beta1 ** this.step);
      const correction = 1 / Math.sqrt(1 - beta2 ** this.step);
      for (const { start, end, decays } of ranges) {
        const keep = decays ? 1 - learningRate * fresh * weightDecay : 1;
        const whole = Math.floor((end - start) / lanes) * lanes;
        const [p, g, m, v] = [0, 1, 2, 3].map((index) => at(index) + start * 4) as [
          number,
          number,
          number,
          number,
        ];
        kernels.adamw(p, g, m, v, whole, clip, beta1, beta2, rate, keep, correction, epsilon);
        for (let i = start + whole; i < end; i++) updateOne(i, clip, rate, keep, correction);
      }
    },
  };
}
