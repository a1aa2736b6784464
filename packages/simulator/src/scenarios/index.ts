/** All named scenarios, in the order in which they are listed. */
import type { Plan } from '../plan.ts';
import { deceptions } from './deceptions.ts';
import { failures } from './failures.ts';
import { memberships } from './memberships.ts';
import { networks } from './networks.ts';
import { partitions } from './partitions.ts';
import { progress } from './progress.ts';
import { recoveries } from './recoveries.ts';

export const plans: readonly Plan[] = [
  ...networks,
  ...failures,
  ...partitions,
  ...recoveries,
  ...memberships,
  ...deceptions,
  ...progress,
];

export const planOf = (name: string): Plan | undefined => plans.find((plan) => plan.name === name);
