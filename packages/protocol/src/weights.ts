/**
 * What a block's clip and weight rules make of its contributions: only + × ÷ and comparisons on float64,
 * summed in the order of contribution CIDs, so that every platform gets the same bits.
 */
import { outerStepAt, type PeerId, type RunConfig } from '@murmuration/base';
import type { AggregationInput, BlockId, Contribution, Execution } from './index.ts';

/** The middle of the sorted values, the smaller one of two. `undefined` for none. */
export function lowerMedian(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

/** Blocks between a contribution's base and the parent of the block that takes it: 0 when it is in time. */
export const ageOf = (contribution: Contribution, height: number): number =>
  height - 1 - contribution.baseHeight;

interface WeightContext {
  readonly run: RunConfig;
  /** Of the block's epoch. */
  readonly members: readonly PeerId[];
  /** Lower medians of member norms of earlier blocks, oldest first. */
  readonly norms: readonly number[];
}

/**
 * The execution of a block with these contributions, which are sorted by CID. With any there is at least one by a
 * member; the caller has checked that.
 */
export function executionOf(
  context: WeightContext,
  parent: BlockId,
  height: number,
  contributions: readonly Contribution[],
): Execution {
  const { run, norms } = context;
  const members = new Set(context.members);
  const ofMembers = contributions.filter(({ author }) => members.has(author));
  const normOfMembers = lowerMedian(ofMembers.map(({ norm }) => norm)) ?? 0;
  const normCertified = lowerMedian(norms);
  const threshold = normCertified === undefined ? normOfMembers : Math.min(normOfMembers, 2 * normCertified);
  const tokensMax = 2 * (lowerMedian(ofMembers.map(({ tokens }) => tokens)) ?? 0);

  const weights = contributions.map(
    (contribution) => Math.min(contribution.tokens, tokensMax) / (1 + ageOf(contribution, height)),
  );
  let memberWeight = 0;
  let guestWeight = 0;
  contributions.forEach(({ author }, index) => {
    if (members.has(author)) memberWeight += weights[index] as number;
    else guestWeight += weights[index] as number;
  });
  const guestWeightMax = run.aggregation.guestShare * memberWeight;
  const guestFactor = guestWeight > guestWeightMax ? guestWeightMax / guestWeight : 1;

  const inputs = contributions.map(
    (contribution, index): AggregationInput => ({
      contribution: contribution.cid,
      author: contribution.author,
      blob: contribution.blob,
      blobBytes: contribution.blobBytes,
      base: contribution.base,
      norm: contribution.norm,
      clip: Math.min(1, threshold / contribution.norm),
      weight: (weights[index] as number) * (members.has(contribution.author) ? 1 : guestFactor),
    }),
  );
  return {
    parent,
    height,
    inputs,
    kappa: run.aggregation.kappa,
    outerStep: outerStepAt(run, height - 1),
  };
}
