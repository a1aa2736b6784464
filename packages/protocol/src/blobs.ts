/** Which blobs are held, wanted, invalid; fetches and their retries. */
import type { Cid, PeerId } from '@murmuration/base';
import { digestOfCid } from '@murmuration/base';
import type { BlockRecord } from './block-record.ts';
import { fetchRetryMaxMs, fetchRetryMs, invalidBlobsMax, listBytesMax } from './defaults.ts';
import type { AggregationInput } from './index.ts';
import { type BlobStatus, keepAtMost, type Machine, rosterOf } from './machine.ts';
import { holdingOf } from './statement.ts';

export const isHeld = (machine: Machine, blob: Cid): boolean => machine.blobs.get(blob)?.status === 'held';

/** Asks for a delta unless it is held or on its way. */
export function wantDelta(
  machine: Machine,
  input: Pick<AggregationInput, 'author' | 'base' | 'norm' | 'blob' | 'blobBytes'>,
): void {
  const { blob, blobBytes, author, base, norm } = input;
  if (!machine.blobs.has(blob)) want(machine, blob, blobBytes, 'delta', author, { author, base, norm });
}

/** Asks a proposer for the list of its block's contributions. */
export function wantList(machine: Machine, blob: Cid, author: PeerId): void {
  if (!machine.blobs.has(blob)) want(machine, blob, listBytesMax, 'contributions', author, undefined);
}

function want(
  machine: Machine,
  blob: Cid,
  bytes: number,
  purpose: BlobStatus['purpose'],
  author: PeerId,
  input: BlobStatus['input'],
): void {
  const status: BlobStatus = {
    status: 'wanted',
    bytes,
    purpose,
    author,
    input,
    attempts: 0,
    retryAt: machine.now,
  };
  machine.blobs.set(blob, status);
  fetchBlob(machine, blob, status);
}

function fetchBlob(machine: Machine, blob: Cid, status: BlobStatus): void {
  status.status = 'fetching';
  const { bytes, purpose, input } = status;
  const from = sourcesOf(machine, blob, status.author);
  machine.out.rest.push({ kind: 'fetch', blob, bytes, from, purpose, ...(input && { input }) });
}

/** The author first, then who says that it holds the blob, then connected members. */
function sourcesOf(machine: Machine, blob: Cid, author: PeerId): PeerId[] {
  const holdings = [...machine.pool.values()]
    .filter(({ contribution }) => contribution.blob === blob)
    .map(({ contribution }) => holdingOf(contribution.cid));
  const holders = [...machine.peers].filter(([, { holds }]) =>
    holdings.some((holding) => holds.has(holding)),
  );
  const members = rosterOf(machine).filter((member) => machine.connected.has(member));
  const sources = new Set([author, ...holders.map(([peer]) => peer), ...members]);
  sources.delete(machine.init.self);
  return [...sources];
}

/** The driver's answer to a fetch. */
export function onBlob(machine: Machine, blob: Cid, outcome: 'held' | 'unavailable' | 'invalid'): void {
  const status = machine.blobs.get(blob);
  if (!status || status.status === 'held') return;
  if (outcome === 'held') status.status = 'held';
  else if (outcome === 'invalid') {
    status.status = 'invalid';
    machine.invalidBlobs.add(blob);
    keepAtMost(machine.invalidBlobs, invalidBlobsMax);
  } else {
    status.status = 'wanted';
    status.retryAt =
      machine.now + Math.min(fetchRetryMaxMs, fetchRetryMs * 2 ** Math.min(status.attempts, 16));
    status.attempts++;
  }
}

/** Asks again for blobs whose waiting time is over; the time of the next retry. */
export function retryFetches(machine: Machine): number | undefined {
  let next: number | undefined;
  for (const [blob, status] of machine.blobs) {
    if (status.status !== 'wanted') continue;
    if (status.retryAt <= machine.now) fetchBlob(machine, blob, status);
    else next = Math.min(next ?? status.retryAt, status.retryAt);
  }
  return next;
}

/** The own delta, or one that the engine must still have. */
export function holdOwn(
  machine: Machine,
  input: Pick<AggregationInput, 'author' | 'blob' | 'blobBytes'>,
): void {
  machine.blobs.set(input.blob, {
    status: 'held',
    bytes: input.blobBytes,
    purpose: 'delta',
    author: input.author,
    input: undefined,
    attempts: 0,
    retryAt: 0,
  });
}

/** Whether every delta of a block is held; asks for those that are not. */
export function holdsDeltas(machine: Machine, record: BlockRecord): boolean {
  let all = true;
  for (const input of record.block.execution.inputs) {
    wantDelta(machine, input);
    if (!isHeld(machine, input.blob)) all = false;
  }
  return all;
}

/** Forgets blobs that neither the pool nor an undecided block needs; cancels their fetches. */
export function sweepBlobs(machine: Machine): void {
  const needed = new Set<Cid>();
  for (const { contribution } of machine.pool.values()) needed.add(contribution.blob);
  for (const record of machine.records.values())
    if (record.block.height > machine.settled.block.height)
      for (const { blob } of record.block.contributions) needed.add(blob);
  for (const slot of machine.views.values())
    if (slot.proposal && !slot.proposal.record) needed.add(slot.proposal.proposal.header.list);
  for (const [blob, status] of machine.blobs) {
    if (needed.has(blob)) continue;
    if (status.status === 'fetching') machine.out.rest.push({ kind: 'cancel-fetch', blob });
    machine.blobs.delete(blob);
  }
}

/** Whether bytes are the blob that a name of one chunk stands for. */
export const isBlob = (machine: Machine, blob: Cid, bytes: Uint8Array): boolean => {
  const expected = digestOfCid(blob);
  return machine.rules.hash(bytes).every((byte, index) => byte === expected[index]);
};
