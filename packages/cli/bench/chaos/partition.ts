/**
 * Eight networks on bad links: before a partition, during it, and after it has healed. The larger side keeps a quorum
 * and certifies; the smaller one must not, and comes back. Each side has its own listener on the wire.
 */
import { type Lan, lanPort } from '../namespaces/lan.ts';
import type { Fleet, Outcome } from './fleet.ts';

export interface PartitionInit {
  readonly peers: number;
  readonly roundsBefore: number;
  readonly partitionMs: number;
  readonly roundsAfter: number;
  onNews(text: string): void;
}

export interface PartitionResult extends Outcome {
  /** Certified before the partition, during it by either side, and after it. */
  readonly before: number;
  readonly during: { readonly larger: number; readonly smaller: number };
  readonly after: number;
  /** From the healing until every peer had certified a round of its own time, s. */
  readonly secondsToHeal: number;
  readonly connectMs: number;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Ports of a network for so many peers: one for each, and one for each side's listener. */
export const portsFor = (peers: number): number => peers + 2;

/** Every third link is slow, so that both sides have some. */
export const slowPorts = (peers: number): number[] =>
  Array.from({ length: peers }, (_, port) => port).filter((port) => port % 3 === 1);

export async function playPartition(fleet: Fleet, lan: Lan, init: PartitionInit): Promise<PartitionResult> {
  const { peers, roundsBefore, partitionMs, roundsAfter, onNews } = init;
  const all = Array.from({ length: peers }, (_, index) => index);
  const quorum = Math.floor(peers / 2) + 1;
  const larger = all.slice(0, quorum);
  const smaller = all.slice(quorum);
  const ears = [peers, peers + 1];
  await fleet.start(
    ears.map((port) => ({
      listen: `/ip4/${lan.address(port)}/tcp/${lanPort}`,
      launcher: lan.launcher(port),
    })),
  );
  const connects = smaller.map((from) => lan.connectMs(from, 0)).sort((a, b) => a - b);
  await fleet.reach(roundsBefore);
  const newest = (indices: readonly number[]): number =>
    Math.max(...indices.map((index) => fleet.roundOf(index)));
  await lan.regroup([
    [...larger, peers],
    [...smaller, peers + 1],
  ]);
  const before = newest(all);
  onNews(`round ${before}: the network splits, ${larger.length} peers here and ${smaller.length} there`);
  await pause(partitionMs);
  const during = { larger: newest(larger) - before, smaller: Math.max(0, newest(smaller) - before) };
  for (const index of all) fleet.read(index);
  await lan.heal();
  const healedMs = performance.now();
  const healed = newest(all);
  onNews(
    `round ${healed}: it heals; the larger side certified ${during.larger} rounds meanwhile, the smaller ${during.smaller}`,
  );
  await fleet.reach(healed + 1);
  const secondsToHeal = (performance.now() - healedMs) / 1_000;
  onNews(`all peers stand above round ${healed} again, ${secondsToHeal.toFixed(0)} s after the healing`);
  await fleet.reach(healed + roundsAfter);
  const after = newest(all) - healed;
  const outcome = await fleet.finish(healed + roundsAfter);
  return { before, during, after, secondsToHeal, connectMs: connects[0] ?? Number.NaN, ...outcome };
}
