/** Between two turns: idle threads of either side spin for a while before they sleep. */
export const pauseMs = 250;

/** The middle one; the upper of two. */
export const median = (values: readonly number[]): number =>
  values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] as number;
