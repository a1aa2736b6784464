/** Draws from a distribution by arithmetic alone, so that every platform draws the same. */
import type { Random } from '@murmuration/base';
import type { Distribution } from './scenario.ts';

/** e^x by squaring (1 + x / 1024) ten times: within 1 % for |x| up to 4, which is all that is asked of it. */
function exponential(x: number): number {
  let value = 1 + x / 1_024;
  for (let index = 0; index < 10; index++) value *= value;
  return value;
}

/** A nearly normal draw: the sum of twelve uniform ones. */
function normal(random: Random): number {
  let sum = -6;
  for (let index = 0; index < 12; index++) sum += random.unit();
  return sum;
}

/** Whole milliseconds. */
export function drawMs(distribution: Distribution, random: Random): number {
  if ('medianMs' in distribution)
    return Math.round(distribution.medianMs * exponential(distribution.sigma * normal(random)));
  const [low, high] = distribution;
  return low + random.below(high - low + 1);
}
