/**
 * Which blobs are held, wanted, invalid; fetches and their retries. A delta is valid for one announcement: the same
 * bytes under another author, base or norm are judged anew, so that nobody spoils a delta by announcing it wrongly.
 */
import { type Cid, digestOfCid, type PeerId } from '@murmuration/base';
import type { BlockRecord } from './block-record.ts';
import { fetchRetryMaxMs, fetchRetryMs, invalidBlobsMax } from './defaults.ts';
import type { Header } from './header.ts';
import type { AggregationInput } from './index.ts';
import { type BlobStatus, keepAtMost, type Machine, rosterOf } from './machine.ts';
import { holdingOf } from './statement.ts';

/** What a delta is judged by. */
export type DeltaInput = Pick<AggregationInput, 'author' | 'base' | 'norm' | 'blob' | 'blobBytes'>;

const deltaKey = ({ blob, author, base, norm }: DeltaInput): string => [blob, author, base, norm].join(' ');

export const isHeld = (machine: Machine, delta: DeltaInput): boolean =>
  machine.blobs.get(deltaKey(delta))?.status === 'held';

export const isInvalid = (machine: Machine, delta: DeltaInput): boolean =>
  machine.invalidDeltas.has(deltaKey(delta));

/** How often a delta could not be had. */
export const failedFetches = (machine: Machine, delta: DeltaInput): number =>
  machine.blobs.get(deltaKey(delta))?.attempts ?? 0;

/** Asks for a delta unless it is held or on its way. */
export function wantDelta(machine: Machine, delta: DeltaInput): void {
  const { blob, blobBytes, author, base, norm } = delta;
  const input = { author, base, norm };
  want(machine, deltaKey(delta), { blob, bytes: blobBytes, purpose: 'delta', author, input });
}

const listKey = ({ list, listBytes }: Pick<Header, 'list' | 'listBytes'>): string => `${list} ${listBytes}`;

/** Asks a proposer for the list of its block's contributions. */
export function wantList(machine: Machine, { list, listBytes }: Header, author: PeerId): void {
  want(machine, listKey({ list, listBytes }), {
    blob: list,
    bytes: listBytes,
    purpose: 'contributions',
    author,
    input: undefined,
  });
}

function want(
  machine: Machine,
  key: string,
  wish: Pick<BlobStatus, 'blob' | 'bytes' | 'purpose' | 'author' | 'input'>,
): void {
  if (machine.blobs.has(key) || machine.invalidDeltas.has(key)) return;
  const status: BlobStatus = { ...wish, status: 'wanted', attempts: 0, retryAt: machine.now };
  machine.blobs.set(key, status);
  fetchBlob(machine, status);
}

const isFetching = (machine: Machine, blob: Cid): boolean =>
  [...machine.blobs.values()].some((status) => status.blob === blob && status.status === 'fetching');

function fetchBlob(machine: Machine, status: BlobStatus): void {
  const { blob, bytes, purpose, input, author } = status;
  if (isFetching(machine, blob)) return;
  status.status = 'fetching';
  const from = sourcesOf(machine, blob, author);
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
  for (const [key, status] of machine.blobs) {
    if (status.blob !== blob || status.status !== 'fetching') continue;
    if (outcome === 'held') status.status = 'held';
    else if (outcome === 'invalid') {
      machine.blobs.delete(key);
      machine.invalidDeltas.add(key);
      keepAtMost(machine.invalidDeltas, invalidBlobsMax);
    } else {
      const wait = Math.min(fetchRetryMaxMs, fetchRetryMs * 2 ** Math.min(status.attempts, 16));
      status.status = 'wanted';
      status.retryAt = machine.now + wait;
      status.attempts++;
    }
    return;
  }
}

/** What is being fetched under this name. */
export const fetchOf = (machine: Machine, blob: Cid): BlobStatus | undefined =>
  [...machine.blobs.values()].find((status) => status.blob === blob && status.status === 'fetching');

/** Asks again for blobs whose waiting time is over; the time of the next retry. */
export function retryFetches(machine: Machine): number | undefined {
  let next: number | undefined;
  for (const status of machine.blobs.values()) {
    if (status.status !== 'wanted') continue;
    if (status.retryAt <= machine.now) fetchBlob(machine, status);
    else next = Math.min(next ?? status.retryAt, status.retryAt);
  }
  return next;
}

/** The own delta needs no fetch. */
export function holdOwn(machine: Machine, delta: DeltaInput): void {
  const { blob, blobBytes, author } = delta;
  machine.blobs.set(deltaKey(delta), {
    blob,
    bytes: blobBytes,
    purpose: 'delta',
    author,
    input: undefined,
    status: 'held',
    attempts: 0,
    retryAt: 0,
  });
}

/** Whether every delta of a block is held; asks for those that are not. */
export function holdsDeltas(machine: Machine, record: BlockRecord): boolean {
  let all = true;
  for (const input of record.block.execution.inputs) {
    wantDelta(machine, input);
    if (!isHeld(machine, input)) all = false;
  }
  return all;
}

/** Forgets blobs that neither the pool nor an undecided block needs; cancels their fetches. */
export function sweepBlobs(machine: Machine): void {
  const needed = new Set<string>();
  for (const { contribution } of machine.pool.values()) needed.add(deltaKey(contribution));
  for (const { block } of machine.records.values())
    if (block.height > machine.settled.block.height)
      for (const contribution of block.contributions) needed.add(deltaKey(contribution));
  for (const { proposal } of machine.views.values())
    if (proposal && !proposal.record) needed.add(listKey(proposal.proposal.header));
  for (const [key, { blob, status }] of machine.blobs) {
    if (needed.has(key)) continue;
    if (status === 'fetching') machine.out.rest.push({ kind: 'cancel-fetch', blob });
    machine.blobs.delete(key);
  }
}

/** Whether bytes are the blob that a name of one chunk stands for. */
export const isBlob = (machine: Machine, blob: Cid, bytes: Uint8Array): boolean => {
  const expected = digestOfCid(blob);
  return machine.rules.hash(bytes).every((byte, index) => byte === expected[index]);
};
