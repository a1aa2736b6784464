/** What others can make a machine keep, and how much of it at most (PROTOCOL.md, G6). */
import { assert } from '@murmuration/base';
import {
  bucketsMax,
  decidedViewsMax,
  deferredBytesMax,
  deferredMax,
  evidenceMax,
  executionsMax,
  invalidBlobsMax,
  listsMax,
  membersMax,
  openingsMax,
  presencesMax,
  requestsMax,
  verifiedMax,
  votersMax,
} from './defaults.ts';
import { deferredBytes } from './deferred.ts';
import type { Machine } from './machine.ts';

type Bound = readonly [what: string, size: (machine: Machine) => number, max: number];

const bounds: readonly Bound[] = [
  ['verified signatures', ({ verified }) => verified.size, verifiedMax],
  ['buckets of signature checks', ({ budget }) => budget.buckets.size, bucketsMax],
  ['statements of the next epoch', ({ deferred }) => deferred.size, deferredMax],
  ['bytes of the next epoch', deferredBytes, deferredBytesMax],
  ['changes that wait for a block', ({ changes }) => changes.size, requestsMax],
  ['pieces of evidence', ({ evidence }) => evidence.size, evidenceMax],
  ['decided views', ({ decidedViews }) => decidedViews.size, decidedViewsMax],
  ['renewals', ({ rekeys }) => rekeys.size, 2 * membersMax],
  ['members that spoke', ({ spokeAt }) => spokeAt.size, membersMax],
  ['peers in recoveries', ({ elsewhere }) => elsewhere.size, presencesMax],
  ['openings', ({ openings }) => openings.size, 2 * openingsMax * votersMax + 2],
  ['executions', ({ executions }) => executions.size, executionsMax],
  ['contribution lists', ({ lists }) => lists.size, listsMax],
  ['invalid deltas', ({ invalidDeltas }) => invalidDeltas.size, invalidBlobsMax],
];

/** Throws when something has grown beyond its maximum. */
export function assertBounds(machine: Machine): void {
  for (const [what, sizeOf, max] of bounds) {
    const size = sizeOf(machine);
    if (size > max) assert(false, `G6: at most ${max} ${what}, got ${size}`);
  }
}
