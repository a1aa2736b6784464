/** What a peer pulls from others: blobs, ledger entries, states. Sources are asked in turn until one has it. */
import type { PeerId } from '@murmuration/base';
import { type Effect, provisionalEntries } from '@murmuration/protocol';
import { keepSnapshot } from './disk.ts';
import type { Life } from './life.ts';
import type { SimPeer } from './peer.ts';
import { nameParameters } from './run.ts';

type Of<Kind extends Effect['kind']> = Extract<Effect, { kind: Kind }>;

/** A source that sends nothing for so long is left for the next one. */
const sourceTimeoutMs = 5_000;
const entriesMax = 256;
/** A state takes so many times as long as a small request. */
const stateTrips = 10;

/** Asks one source after the other; `take` gets what the first willing one has. */
function askInTurn<Answer>(
  life: Life,
  sources: readonly PeerId[],
  ask: {
    readonly trips: number;
    /** What a source has; `undefined` if nothing. */
    find(source: SimPeer): Answer | undefined;
    bytesOf(answer: Answer): number;
    /** Milliseconds that a lying source adds; `undefined`: it never answers. */
    delay?(source: SimPeer): number | undefined;
    /** Whether this was it. */
    take(answer: Answer, source: SimPeer): boolean;
    fail(): void;
  },
): void {
  const { network } = life.setting;
  const [id, ...others] = sources;
  if (id === undefined) {
    ask.fail();
    return;
  }
  const next = (): void => askInTurn(life, others, ask);
  const source = network.reach(life.peer, id);
  if (!source) {
    life.later(network.delay(life.peer), next);
    return;
  }
  const added = ask.delay ? ask.delay(source) : 0;
  if (added === undefined || added >= sourceTimeoutMs) {
    life.later(sourceTimeoutMs, next);
    return;
  }
  const answer = ask.find(source);
  const way = ask.trips * network.delay(life.peer, source) + added;
  const sending = answer === undefined ? 0 : network.transfer(source, life.peer, ask.bytesOf(answer));
  life.later(way + sending, () => {
    const arrived = network.reach(life.peer, id) === source;
    if (answer === undefined || !arrived || !ask.take(answer, source)) next();
  });
}

export function cancelFetch({ fetches }: Life, { blob }: Of<'cancel-fetch'>): void {
  fetches.delete(blob);
}

export function fetchBlob(life: Life, effect: Of<'fetch'>): void {
  const { peer, setting, fetches } = life;
  const { blob, bytes: length, from, purpose, input } = effect;
  fetches.add(blob);
  if (peer.isHonest) setting.judge.bounds.fetches(fetches.size);
  const answer = (outcome: 'held' | 'unavailable' | 'invalid', bytes?: Uint8Array): void => {
    if (!fetches.delete(blob)) return;
    if (outcome === 'held' && purpose === 'delta') setting.judge.commit.held(peer, blob, setting.world.now);
    life.handle({
      kind: 'blob',
      blob,
      outcome,
      ...(bytes && purpose === 'contributions' && { bytes }),
    });
  };
  const take = (bytes: Uint8Array): boolean => {
    if (bytes.length !== length) return false;
    const isValid =
      purpose !== 'delta' ||
      (input && (setting.mutant?.trustsDeltas || setting.reader.isValid(blob, bytes, input)));
    if (isValid) peer.disk.blobs.set(blob, { bytes, height: life.replica.view.head.height });
    answer(isValid ? 'held' : 'invalid', bytes);
    return true;
  };
  const own = peer.disk.blobs.get(blob)?.bytes;
  if (own) {
    life.later(1, () => take(own) || answer('unavailable'));
    return;
  }
  askInTurn(life, from, {
    trips: 2,
    find: (source) => source.disk.blobs.get(blob)?.bytes,
    bytesOf: (bytes) => bytes.length,
    delay: (source) => (source.liar?.serves ? source.liar.serves(blob, peer) : 0),
    take,
    fail: () => answer('unavailable'),
  });
}

export function syncLedger(life: Life, { fromHeight, from, opening }: Of<'sync'>): void {
  askInTurn(life, from, {
    trips: 2,
    find({ disk, liar }) {
      const entries = opening
        ? provisionalEntries([...disk.records.values()], opening, fromHeight, entriesMax)
        : disk.ledger.slice(fromHeight - 1, fromHeight - 1 + entriesMax).filter((entry) => entry);
      return liar?.entries?.(entries) ?? entries;
    },
    bytesOf: (entries) => entries.reduce((sum, { bytes }) => sum + bytes.length, 0),
    take(entries, source) {
      life.handle({ kind: 'synced', from: source.id, entries, ...(opening && { opening }) });
      return true;
    },
    fail: () => undefined,
  });
}

export function installState(life: Life, effect: Of<'install'>): void {
  const { peer, trainer, setting } = life;
  const { block, height, tensors, from, own } = effect;
  if (life.installing === block) return;
  life.installing = block;
  const isHere = peer.disk.snapshots.has(tensors);
  askInTurn(life, isHere ? [peer.id] : from, {
    trips: stateTrips,
    find({ disk, liar }) {
      const values = disk.snapshots.get(tensors)?.values;
      return values && (liar?.state?.(values) ?? values);
    },
    bytesOf: (values) => values.byteLength,
    take(values) {
      if (life.installing !== block) return true;
      if (nameParameters(values) !== tensors && !setting.mutant?.trustsStates) return false;
      life.installing = undefined;
      trainer.install({ block, height, tensors }, values, own);
      peer.disk.checkpoint = trainer.checkpoint();
      keepSnapshot(peer.disk, tensors, { block, height, values });
      setting.trace?.note(peer.index, 'install', height);
      if (peer.engine === 'faulty') peer.engine = 'mended';
      life.handle({ kind: 'installed', block, height, ledger: peer.disk.ledger.slice(height) });
      return true;
    },
    fail() {
      if (life.installing === block) life.installing = undefined;
    },
  });
}
