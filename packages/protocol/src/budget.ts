/**
 * What others may cost us. Two things are counted: signature checks, in buckets that fill with time; and the bytes of
 * deltas that are asked for, from one final block to the next.
 *
 * A check is charged to whom it proves to come from: an identity pays for what it signed, never for what others claim
 * in its name. So a member cannot be silenced by forgeries; those are rejected, which is between the network and
 * whoever forwarded them. Strangers pay from one purse together, good or bad.
 */
import type { PeerId } from '@murmuration/base';
import { blockBytesMax, bucketsMax, checksOf, deltasPerMemberMax, strangerBytesMax } from './defaults.ts';
import type { BlockId } from './index.ts';
import { classOf, type PeerClass } from './lottery.ts';
import { keepAtMost, type Machine } from './machine.ts';

/** Statements that anybody may send. */
export type OpenKind = 'contribution' | 'presence';

/** Checks left at a time; it fills up again. */
interface Bucket {
  left: number;
  at: number;
}

export interface Budget {
  readonly buckets: Map<string, Bucket>;
  /** The final block since which the deltas below were asked for. */
  of: BlockId | undefined;
  readonly bytes: Record<PeerClass, number>;
  /** Deltas asked for, by author. */
  readonly asked: Map<PeerId, number>;
  /** Strangers whose deltas were drawn, and when the next ones are. */
  drawn: number;
  drawAt: number | undefined;
  /** Lots of the round, so that a flood is hashed once. */
  readonly lots: Map<PeerId, string>;
}

export const createBudget = (): Budget => ({
  buckets: new Map(),
  of: undefined,
  bytes: { member: 0, guest: 0, stranger: 0 },
  asked: new Map(),
  drawn: 0,
  drawAt: undefined,
  lots: new Map(),
});

function bucketOf(machine: Machine, kind: OpenKind, peer: PeerId): { bucket: Bucket; peerClass: PeerClass } {
  const peerClass = classOf(machine, peer);
  const { burst, perSecond } = checksOf[kind][peerClass];
  const key = peerClass === 'stranger' ? kind : `${kind}/${peer}`;
  const { buckets } = machine.budget;
  const before = buckets.get(key) ?? { left: burst, at: machine.now };
  const filled = before.left + ((machine.now - before.at) * perSecond) / 1_000;
  const bucket = { left: Math.min(burst, filled), at: machine.now };
  buckets.delete(key);
  buckets.set(key, bucket);
  keepAtMost(buckets, bucketsMax);
  return { bucket, peerClass };
}

/** Whether a signature that is said to be this peer's may be checked now. */
export const mayCheck = (machine: Machine, kind: OpenKind, peer: PeerId): boolean =>
  bucketOf(machine, kind, peer).bucket.left >= 1;

/** Counts a signature check, by what came of it. */
export function chargeCheck(machine: Machine, kind: OpenKind, peer: PeerId, isGood: boolean): void {
  const { bucket, peerClass } = bucketOf(machine, kind, peer);
  if (isGood || peerClass === 'stranger') bucket.left -= 1;
}

/**
 * Begins the counting of bytes anew with each final block. A draw that is set stays: rounds may be shorter than the
 * wait for it.
 */
export function openBudget(machine: Machine): void {
  const { budget } = machine;
  if (budget.of === machine.settled.block.id) return;
  budget.of = machine.settled.block.id;
  budget.bytes.member = 0;
  budget.bytes.guest = 0;
  budget.bytes.stranger = 0;
  budget.asked.clear();
  budget.lots.clear();
  budget.drawn = 0;
  if (budget.drawAt === Number.POSITIVE_INFINITY) budget.drawAt = undefined;
}

/** Whether a delta of this class and length may still be asked for in this round; charges it if so. */
export function chargeDelta(
  { budget }: Machine,
  author: PeerId,
  peerClass: PeerClass,
  blobBytes: number,
): boolean {
  const { bytes, asked } = budget;
  const bytesMax: Readonly<Record<PeerClass, number>> = {
    member: Number.POSITIVE_INFINITY,
    guest: blockBytesMax - strangerBytesMax - bytes.member,
    stranger: strangerBytesMax,
  };
  const before = asked.get(author) ?? 0;
  if (before >= (peerClass === 'stranger' ? 1 : deltasPerMemberMax)) return false;
  if (bytes[peerClass] + blobBytes > bytesMax[peerClass]) return false;
  bytes[peerClass] += blobBytes;
  asked.set(author, before + 1);
  return true;
}
