/**
 * Votes, proposals and certificates of the next epoch, until ours ends. They cannot be checked before: the end of this
 * epoch says who votes then, and by which key. So nothing is believed that they say: known peers have a few places
 * each, certificates together as many as their largest allow, and what came last stays. What is lost is sent again.
 */
import type { PeerId } from '@murmuration/base';
import { toString as toText } from 'uint8arrays/to-string';
import {
  deferredBytesMax,
  deferredCertificatesMax,
  deferredMax,
  deferredPerSignerMax,
  givenBackMax,
} from './defaults.ts';
import { classOf } from './lottery.ts';
import { keepAtMost, type Machine } from './machine.ts';
import type { Statement } from './statement.ts';

/** A statement of the next epoch, and who is said to have signed it: of a certificate nobody. */
export interface Deferred {
  readonly signer: PeerId | undefined;
  readonly bytes: Uint8Array;
}

/** Keeps a statement of the next epoch; one that is kept already is not kept twice. */
export function defer(
  machine: Machine,
  statement: Extract<Statement, { kind: 'vote' | 'proposal' | 'certificate' }>,
): void {
  const { deferred, rules } = machine;
  const { bytes } = statement;
  const signer = statement.kind === 'certificate' ? undefined : statement.signer;
  if (signer !== undefined && classOf(machine, signer) === 'stranger') return;
  const name = toText(rules.hash(bytes), 'base16');
  if (deferred.has(name)) return;
  const before = [...deferred].filter(([, other]) => other.signer === signer);
  const [oldest] = before;
  if (oldest && before.length >= placesOf(machine, signer)) deferred.delete(oldest[0]);
  deferred.set(name, { signer, bytes });
  keepAtMost(deferred, deferredMax);
  let bytesKept = deferredBytes(machine);
  for (const [first, { bytes: dropped }] of deferred) {
    if (bytesKept <= deferredBytesMax) return;
    deferred.delete(first);
    bytesKept -= dropped.length;
  }
}

/** Of our own votes there is room for what two others give back: we may have forgotten them. */
function placesOf({ init }: Machine, signer: PeerId | undefined): number {
  if (signer === undefined) return deferredCertificatesMax;
  return signer === init.self ? 2 * givenBackMax : deferredPerSignerMax;
}

/** Bytes of all that is kept. */
export const deferredBytes = ({ deferred }: Machine): number =>
  [...deferred.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);

/** What was kept for the epoch that has begun, oldest first; nothing stays. */
export function takeDeferred({ deferred }: Machine): readonly Uint8Array[] {
  const statements = [...deferred.values()].map(({ bytes }) => bytes);
  deferred.clear();
  return statements;
}
