/**
 * Which blobs are held, wanted, invalid; fetches and their retries. A delta is valid for one announcement: the same
 * bytes under another author, base or norm are judged anew, so that nobody spoils a delta by announcing it wrongly.
 */
import { type Cid, digestOfCid, type PeerId } from '@murmuration/base';
import type { BlockRecord } from './block-record.ts';
import { fetchRetryMaxMs, fetchRetryMs, guestAttemptsMax, invalidBlobsMax } from './defaults.ts';
import type { Header } from './header.ts';
import type { AggregationInput, FetchPriority } from './index.ts';
import { keepAtMost, type Machine, membersOf } from './machine.ts';
import type { BlobStatus } from './machine-parts.ts';
import { saysItHolds } from './standing.ts';
import { holdingOf } from './statement.ts';

/** What a delta is judged by. */
type DeltaInput = Pick<AggregationInput, 'author' | 'base' | 'norm' | 'blob' | 'blobBytes'>;

const deltaKeys = new WeakMap<DeltaInput, string>();

function deltaKey(delta: DeltaInput): string {
  const known = deltaKeys.get(delta);
  if (known !== undefined) return known;
  const key = [delta.blob, delta.author, delta.base, delta.norm].join(' ');
  deltaKeys.set(delta, key);
  return key;
}

export const isHeld = (machine: Machine, delta: DeltaInput): boolean =>
  machine.blobs.get(deltaKey(delta))?.status === 'held';

export const isInvalid = (machine: Machine, delta: DeltaInput): boolean =>
  machine.invalidDeltas.has(deltaKey(delta));

/** How often a delta could not be had. */
export const failedFetches = (machine: Machine, delta: DeltaInput): number =>
  machine.blobs.get(deltaKey(delta))?.attempts ?? 0;

/** Whether a delta is held or was asked for. */
export const isWanted = (machine: Machine, delta: DeltaInput): boolean => machine.blobs.has(deltaKey(delta));

/** Asks for a delta unless it is held or on its way with this priority. */
export function wantDelta(machine: Machine, delta: DeltaInput, priority: FetchPriority = 'first'): void {
  const { blob, blobBytes, author, base, norm } = delta;
  const input = { author, base, norm };
  want(machine, deltaKey(delta), { blob, bytes: blobBytes, purpose: 'delta', author, input, priority });
}

const listKey = ({ list, listBytes }: Pick<Header, 'list' | 'listBytes'>): string => `${list} ${listBytes}`;

/** What becomes of a fetch that brought nothing, or nothing that lasted: it waits for longer each time. */
const laterTry = ({ now }: Machine, { attempts }: BlobStatus) =>
  ({
    status: 'wanted',
    retryAt: now + Math.min(fetchRetryMaxMs, fetchRetryMs * 2 ** Math.min(attempts, 16)),
    attempts: attempts + 1,
  }) as const;

/** Asks a proposer for the list of its block's contributions; again if it came and had to give way to others. */
export function wantList(machine: Machine, { list, listBytes }: Header, author: PeerId): void {
  const key = listKey({ list, listBytes });
  const before = machine.blobs.get(key);
  if (before?.status === 'held') machine.blobs.set(key, { ...before, ...laterTry(machine, before) });
  want(machine, key, {
    blob: list,
    bytes: listBytes,
    purpose: 'contributions',
    author,
    input: undefined,
    priority: 'first',
  });
}

function want(
  machine: Machine,
  key: string,
  wish: Pick<BlobStatus, 'blob' | 'bytes' | 'purpose' | 'author' | 'input' | 'priority'>,
): void {
  if (machine.invalidDeltas.has(key)) return;
  const known = machine.blobs.get(key);
  if (known && isBefore(wish, known)) {
    known.priority = wish.priority;
    if (known.status === 'fetching') pushFetch(machine, known);
  }
  if (known) return;
  const status: BlobStatus = { ...wish, status: 'wanted', attempts: 0, retryAt: machine.now };
  machine.blobs.set(key, status);
  fetchBlob(machine, status);
}

const priorities: readonly FetchPriority[] = ['first', 'guest', 'stranger'];
const isBefore = (a: Pick<BlobStatus, 'priority'>, b: Pick<BlobStatus, 'priority'>): boolean =>
  priorities.indexOf(a.priority) < priorities.indexOf(b.priority);

/** A blob is fetched for one wish at a time; who announces another's blob does not keep that one waiting. */
function fetchBlob(machine: Machine, status: BlobStatus): void {
  const other = fetchOf(machine, status.blob);
  if (other && !isBefore(status, other)) return;
  if (other) {
    other.status = 'wanted';
    other.retryAt = machine.now + fetchRetryMs;
    machine.out.rest.push({ kind: 'cancel-fetch', blob: status.blob });
  }
  status.status = 'fetching';
  pushFetch(machine, status);
}

function pushFetch(machine: Machine, { blob, bytes, purpose, priority, input, author }: BlobStatus): void {
  const from = sourcesOf(machine, blob, author);
  machine.out.rest.push({ kind: 'fetch', blob, bytes, from, purpose, priority, ...(input && { input }) });
}

/** The author first, then who says that it holds the blob, then connected members, then whoever else is connected. */
function sourcesOf(machine: Machine, blob: Cid, author: PeerId): PeerId[] {
  const holdings = [...machine.pool.values()]
    .filter(({ contribution }) => contribution.blob === blob)
    .map(({ contribution }) => holdingOf(contribution.cid));
  const holders = [...machine.peers].filter(([, standing]) =>
    holdings.some((holding) => saysItHolds(standing, holding)),
  );
  const members = membersOf(machine).filter((member) => machine.connected.has(member));
  const sources = new Set([author, ...holders.map(([peer]) => peer), ...members, ...machine.connected]);
  sources.delete(machine.init.self);
  return [...sources];
}

/** The driver's answer to a fetch. */
export function onBlob(machine: Machine, blob: Cid, outcome: 'held' | 'unavailable' | 'invalid'): void {
  for (const [key, status] of machine.blobs) {
    if (status.blob !== blob || status.status !== 'fetching') continue;
    if (outcome === 'held') machine.blobs.set(key, { ...status, status: 'held' });
    else if (outcome === 'invalid') {
      machine.blobs.delete(key);
      machine.invalidDeltas.add(key);
      keepAtMost(machine.invalidDeltas, invalidBlobsMax);
    } else {
      Object.assign(status, laterTry(machine, status));
      if (isHopeless(status)) giveUp(machine, key);
    }
    return;
  }
}

const isHopeless = ({ priority, attempts }: BlobStatus): boolean =>
  priority === 'stranger' || (priority === 'guest' && attempts >= guestAttemptsMax);

/** Its author may announce it again. */
function giveUp(machine: Machine, key: string): void {
  machine.blobs.delete(key);
  for (const [cid, { contribution }] of machine.pool)
    if (deltaKey(contribution) === key) machine.pool.delete(cid);
}

/** What is being fetched under this name. */
export function fetchOf(machine: Machine, blob: Cid): BlobStatus | undefined {
  for (const status of machine.blobs.values())
    if (status.status === 'fetching' && status.blob === blob) return status;
  return undefined;
}

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
    priority: 'first',
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

/** Forgets blobs and lists that neither the pool nor an undecided block needs; cancels their fetches. */
export function sweepBlobs(machine: Machine): void {
  const needed = new Set<string>();
  for (const { contribution } of machine.pool.values()) needed.add(deltaKey(contribution));
  for (const { block } of machine.records.values())
    if (block.height > machine.settled.block.height)
      for (const contribution of block.contributions) needed.add(deltaKey(contribution));
  const lists = new Set<Cid>();
  for (const { proposal } of machine.views.values()) {
    if (!proposal || proposal.record) continue;
    needed.add(listKey(proposal.proposal.header));
    lists.add(proposal.proposal.header.list);
  }
  for (const name of machine.lists.keys()) if (!lists.has(name)) machine.lists.delete(name);
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
