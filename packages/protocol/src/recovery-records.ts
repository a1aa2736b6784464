/**
 * What is durable of a recovery, apart from the regular chain's records: keys that begin with `recovery/`. `opening` is
 * its opening, `entry/<height>` a block that is final in it, `over` says that it was given up; the rest are the records
 * of its machine, by their own keys.
 */
import { type Cid, DigestError, decodeCbor, encodeCbor } from '@murmuration/base';
import { ProtocolError } from './errors.ts';
import type { Contribution, DurableRecord, Effect, LedgerEntry } from './index.ts';
import { encodeOpening, type Opening, openingName, parseOpening } from './opening.ts';

export const prefix = 'recovery/' as const;
const openingKey = `${prefix}opening`;
const overKey = `${prefix}over`;
const entryKey = `${prefix}entry/`;
const expiredKey = 'expired';

/** A recovery as a restart finds it. */
export interface StoredRecovery {
  readonly opening: Opening;
  readonly isOver: boolean;
  /** Of its final blocks, from the one after the fork. */
  readonly entries: readonly LedgerEntry[];
  /** Of its machine, by their own keys. */
  readonly records: readonly DurableRecord[];
}

export const openingRecord = (opening: Opening, height: number): DurableRecord => ({
  key: openingKey,
  height,
  bytes: encodeOpening(opening),
});

export const overRecord = (height: number): DurableRecord => ({
  key: overKey,
  height,
  bytes: new Uint8Array(),
});

export const entryRecord = (entry: LedgerEntry, height: number): DurableRecord => ({
  key: `${entryKey}${entry.height}`,
  height,
  bytes: entry.bytes,
});

/** That this peer has left a recovery. */
export const leftRecord = (opening: Cid, height: number): DurableRecord => ({
  key: `left/${opening}`,
  height,
  bytes: new Uint8Array(),
});

/** A block of a recovery that was left: own work in it is accounted for, and that of all where it is carried. */
export interface PassedBlock {
  readonly height: number;
  readonly carried: boolean;
}

export const passedKey = (opening: Cid): string => `passed/${opening}`;

/** The blocks of a recovery that was left, up to a height; kept until the regular chain is as high. */
export const passedRecord = (
  opening: Cid,
  chain: readonly Cid[],
  height: number,
  carried: boolean,
): DurableRecord => ({
  key: passedKey(opening),
  height,
  bytes: encodeCbor({ chain, carried }),
});

/** Own contributions up to a sequence number are over; those that no block took may still be taken by one. */
export const expiredRecord = (
  sequence: number,
  waiting: readonly number[],
  height: number,
): DurableRecord => ({
  key: expiredKey,
  height,
  bytes: encodeCbor([sequence, ...new Set(waiting)]),
});

/** Which own contributions are over, by the newest such record. */
export function storedExpiry(
  records: readonly DurableRecord[],
): (sequence: number) => 'open' | 'expired' | 'done' {
  const bytes = records.find(({ key }) => key === expiredKey)?.bytes;
  const [last = 0, ...waiting] = bytes ? (decodeCbor(bytes) as number[]) : [];
  return (sequence) => (sequence > last ? 'open' : waiting.includes(sequence) ? 'expired' : 'done');
}

/** What was remembered of recoveries that were left. */
export function restoreLeft(
  records: readonly DurableRecord[],
  left: Set<Cid>,
  passed: Map<Cid, PassedBlock>,
): void {
  for (const { key, height, bytes } of records) {
    const [kind, opening] = key.split('/');
    if (kind === 'left') left.add(opening as Cid);
    if (kind !== 'passed') continue;
    const { chain, carried } = decodeCbor(bytes) as { chain: Cid[]; carried: boolean };
    chain.forEach((id, index) => {
      passed.set(id, { height: height - chain.length + 1 + index, carried });
    });
  }
}

/** An own contribution that a regular block may take up to a height, whatever becomes of the recovery. */
export const ownRecord = (
  { contribution: { sequence }, bytes }: { readonly contribution: Contribution; readonly bytes: Uint8Array },
  heightMax: number,
): DurableRecord => ({ key: `contribution/fork/${sequence}`, height: heightMax, bytes });

/** Own contributions are of both machines: a sequence number is used once. */
const isShared = (key: string): boolean => key.startsWith('contribution/') || key === expiredKey;

/** A record of a recovery's machine under its key among all. */
export const keepApart = (effect: Extract<Effect, { kind: 'persist' }>): Effect =>
  isShared(effect.record.key)
    ? effect
    : { kind: 'persist', record: { ...effect.record, key: `${prefix}${effect.record.key}` } };

/** Records of the regular machine. */
export const regularRecords = (records: readonly DurableRecord[]): readonly DurableRecord[] =>
  records.filter(({ key }) => !key.startsWith(prefix));

const contiguous = (entries: readonly LedgerEntry[], from: number): readonly LedgerEntry[] =>
  entries.toSorted((a, b) => a.height - b.height).filter(({ height }, index) => height === from + index);

/** The recovery that the records tell of. Throws `ProtocolError` `bad-opening`. */
export function storedRecovery(records: readonly DurableRecord[]): StoredRecovery | undefined {
  const opening = records.find(({ key }) => key === openingKey);
  if (!opening) return undefined;
  const parsed = parseOpening(opening.bytes);
  const entries = records
    .filter(({ key }) => key.startsWith(entryKey))
    .map(({ key, bytes }) => ({ height: Number(key.slice(entryKey.length)), bytes }));
  const ofMachine = records.filter(
    ({ key }) => isShared(key) || (key.startsWith(prefix) && !key.startsWith(entryKey)),
  );
  return {
    opening: parsed,
    isOver: records.some(({ key }) => key === overKey),
    entries: contiguous(entries, parsed.height + 1),
    records: ofMachine.map((record) => ({ ...record, key: record.key.replace(prefix, '') })),
  };
}

/**
 * The entries of a recovery from a height on, for a peer that asks for them; none when the records are of another one.
 * `records` are those of the peer that answers.
 */
export function provisionalEntries(
  records: readonly DurableRecord[],
  opening: Cid,
  fromHeight: number,
  countMax: number,
): readonly LedgerEntry[] {
  try {
    const stored = storedRecovery(records);
    if (!stored || openingName(stored.opening) !== opening) return [];
    return stored.entries.filter(({ height }) => height >= fromHeight).slice(0, countMax);
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof DigestError) return [];
    throw error;
  }
}
