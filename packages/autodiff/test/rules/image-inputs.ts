import type { CaseInput, Range } from './rule-case.ts';

/** An image [batch, channels, …] of which batch and positions are symbolic where sizes can be. */
export const image = (shape: readonly number[], range: Range = 'around-zero'): CaseInput => ({
  shape,
  range,
  fixed: [1],
});

/** A weight, of the same shape in every case. */
export const weight = (...shape: readonly number[]): CaseInput => ({ shape, fixed: [...shape.keys()] });
