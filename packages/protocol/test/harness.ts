/** A few production replicas with real Ed25519 keys on a bus without delay, and an engine that hashes names. */
import {
  createPrivateKey,
  createPublicKey,
  sign as edSign,
  verify as edVerify,
  type KeyObject,
} from 'node:crypto';
import {
  type Cid,
  cidOf,
  encodeCbor,
  exampleRun,
  nameBlob,
  type PeerId,
  parseRunConfig,
  peerIdOf,
  publicKeyOf,
  type RunConfig,
  type RunConfigInput,
  runIdOf,
  sha256,
} from '@murmuration/base';
import {
  createReplica,
  type DurableRecord,
  type Effect,
  type Execution,
  type LedgerEntry,
  type Replica,
  type ReplicaComponents,
  type ReplicaEvent,
  type Role,
  readLedgerEntry,
  type VoteKey,
} from '@murmuration/protocol';

export interface Key {
  readonly peer: PeerId;
  readonly components: ReplicaComponents;
}

const keyOf = (prefix: string, raw: Uint8Array): Buffer => Buffer.concat([Buffer.from(prefix, 'hex'), raw]);
const publicKeys = new Map<PeerId, KeyObject>();

function verify(signer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean {
  let key = publicKeys.get(signer);
  if (!key) {
    const der = keyOf('302a300506032b6570032100', publicKeyOf(signer));
    key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    publicKeys.set(signer, key);
  }
  return edVerify(null, bytes, key, signature);
}

/** The Ed25519 key with the seed `index`, `index`, … */
export const createKey = (index: number): Key => createKeyFrom(new Uint8Array(32).fill(index));

/** The Ed25519 key with a seed of 32 bytes. */
export function createKeyFrom(seed: Uint8Array): Key {
  const der = keyOf('302e020100300506032b657004220420', seed);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return {
    peer: peerIdOf(new Uint8Array(spki.subarray(-32))),
    components: { hash: sha256, sign: (bytes) => new Uint8Array(edSign(null, bytes, key)), verify },
  };
}

export function createRun(founders: readonly PeerId[], changes: Partial<RunConfigInput> = {}): RunConfig {
  const name = cidOf(encodeCbor('initial'));
  return parseRunConfig({
    ...exampleRun,
    name: 'test',
    model: { graph: name, bytes: 1 },
    initial: { seed: 'test', tensors: name, parameters: 1 },
    round: { steps: 5, overlapSteps: 5, graceMs: 1_000, durationMaxMs: 10_000, viewTimeoutMs: 1_500 },
    aggregation: { ...exampleRun.aggregation, contributionsMax: 64 },
    founders: [...founders],
    rounds: 3,
    ...changes,
  });
}

export interface BusPeer {
  readonly key: Key;
  readonly replica: Replica;
  /** All that it wrote, also what was forgotten since. */
  readonly records: Map<string, DurableRecord>;
  readonly ledger: LedgerEntry[];
  /** Ledger states that it keeps, by height. */
  readonly states: Map<number, Uint8Array>;
  /** Every effect so far. */
  readonly effects: Effect[];
  /** Signatures that the replica had checked. */
  checks: number;
  handle(event: ReplicaEvent): Effect[];
  /** A valid delta from the head. */
  contribute(): void;
  /** A new replica from what is kept: all, or what a backup has. The engine stands at the newest entry; all connect. */
  restart(kept?: Partial<Kept>): Effect[];
}

/** What a peer starts from. */
export interface Kept {
  readonly records: readonly DurableRecord[];
  readonly ledger: readonly LedgerEntry[];
  readonly voteKey: VoteKey;
  readonly atHand: readonly { readonly tensors: Cid; readonly bytes: number }[];
  /** What the engine stands at, if not at the newest entry. */
  readonly applied: { readonly block: Cid; readonly height: number };
}

export interface Bus {
  readonly run: RunConfig;
  readonly runId: Cid;
  readonly peers: readonly BusPeer[];
  /** Contribution lists that somebody serves. */
  readonly lists: Map<Cid, Uint8Array>;
  now: number;
  /** Messages are dropped when this says so. */
  drops: (from: BusPeer, to: BusPeer) => boolean;
  tensorsOf: (peer: BusPeer, execution: Execution) => Cid;
  /** What comes of a fetch; `undefined`: no answer ever. */
  outcomeOf: (
    peer: BusPeer,
    fetch: Extract<Effect, { kind: 'fetch' }>,
  ) => 'held' | 'unavailable' | 'invalid' | undefined;
  /** Delivers until nobody has anything to say. */
  flow(): void;
  /** Lets time pass; timers fire in between. */
  wait(ms: number): void;
  /** Everybody contributes, and the round closes. */
  round(): void;
  /** Another peer comes, with the key `createKey(index)`; its ledger begins at `base`, if not at genesis. */
  join(index: number, base?: Uint8Array): BusPeer;
}

export const tensorsAfter = ({ parent, inputs }: Execution): Cid =>
  cidOf(encodeCbor([parent, inputs.map(({ blob, clip, weight }) => [blob, clip, weight])]));

export interface BusOptions {
  readonly members: number;
  readonly guests?: number;
  readonly run?: Partial<RunConfigInput>;
  /** Instead of `createReplica`, for tests that look inside. */
  readonly create?: typeof createReplica;
}

type Handle = Replica['handle'];

/** Replicas of which some hear, or say, less than others think. */
export const around =
  (wrap: (self: PeerId, handle: Handle) => Handle): typeof createReplica =>
  (init, components) => {
    const replica = createReplica(init, components);
    const handle = wrap(init.self, replica.handle);
    return {
      handle,
      get view() {
        return replica.view;
      },
    };
  };

/** A bus with so many members and guests that have found each other. */
export function createBus(options: BusOptions = { members: 4 }): Bus {
  const bus = new MessageBus(options);
  for (const peer of bus.peers) peer.handle({ kind: 'start', records: [], ledger: [], applied: undefined });
  bus.wait(1_200);
  return bus;
}

class MessageBus implements Bus {
  readonly run: RunConfig;
  readonly runId: Cid;
  readonly create: typeof createReplica;
  readonly peers: Member[] = [];
  readonly inbox: { readonly to: Member; readonly event: ReplicaEvent }[] = [];
  readonly lists: Map<Cid, Uint8Array> = new Map();
  now = 1_000;
  drops: Bus['drops'] = () => false;
  tensorsOf: Bus['tensorsOf'] = (_, execution) => tensorsAfter(execution);
  outcomeOf: Bus['outcomeOf'] = () => 'held';

  constructor({ members, guests = 0, run, create = createReplica }: BusOptions) {
    const keys = Array.from({ length: members + guests }, (_, index) => createKey(index + 1));
    this.run = createRun(
      keys.slice(0, members).map(({ peer }) => peer),
      run,
    );
    this.runId = runIdOf(this.run);
    this.create = create;
    for (const [index, key] of keys.entries())
      this.peers.push(new Member(this, key, index < members ? 'member' : 'guest'));
  }

  flow(): void {
    for (let next = this.inbox.shift(); next; next = this.inbox.shift()) next.to.handle(next.event);
  }

  wait(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const due = this.peers
        .flatMap((peer) => [...peer.timers].map(([name, at]) => ({ peer, name, at })))
        .filter(({ at }) => at <= end)
        .sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.now = Math.max(this.now, due.at);
      due.peer.timers.delete(due.name);
      due.peer.handle({ kind: 'timer', name: due.name });
      this.flow();
    }
    this.now = end;
  }

  round(): void {
    for (const peer of this.peers) if (peer.replica.view.mayContribute) peer.contribute();
    this.flow();
  }

  join(index: number, base?: Uint8Array): BusPeer {
    const peer = new Member(this, createKey(index), 'guest', base);
    this.peers.push(peer);
    peer.handle({ kind: 'start', records: [], ledger: [], applied: undefined });
    this.flow();
    return peer;
  }
}

class Member implements BusPeer {
  readonly key: Key;
  readonly records: Map<string, DurableRecord> = new Map();
  readonly ledger: LedgerEntry[] = [];
  readonly states: Map<number, Uint8Array> = new Map();
  readonly effects: Effect[] = [];
  readonly timers: Map<string, number> = new Map();
  /** The records that were not forgotten. */
  readonly durable: Map<string, DurableRecord> = new Map();
  checks = 0;
  readonly #bus: MessageBus;
  readonly #begin: (voteKey?: VoteKey) => Replica;
  #replica: Replica;
  #deltas = 0;

  constructor(bus: MessageBus, key: Key, role: Role, base?: Uint8Array) {
    const { run, runId, create } = bus;
    const components: ReplicaComponents = {
      ...key.components,
      verify: (...signed) => {
        this.checks++;
        return key.components.verify(...signed);
      },
    };
    this.key = key;
    this.#bus = bus;
    this.#begin = (voteKey) =>
      create(
        { run, runId, self: key.peer, role, wallMs: bus.now, ...(base && { base }) },
        { ...components, ...(voteKey && { voteKey }) },
      );
    this.#replica = this.#begin();
  }

  get replica(): Replica {
    return this.#replica;
  }

  handle(event: ReplicaEvent): Effect[] {
    const effects = this.#replica.handle(event, this.#bus.now);
    for (const effect of effects) this.#perform(effect);
    this.effects.push(...effects);
    return effects;
  }

  contribute(): void {
    this.handle({ kind: 'contributed', draft: draftOf(this, this.#deltas++) });
  }

  restart({
    records = [...this.durable.values()],
    ledger = [...this.ledger],
    voteKey,
    atHand = [],
    ...engine
  }: Partial<Kept> = {}): Effect[] {
    const { inbox, runId } = this.#bus;
    this.timers.clear();
    for (let index = inbox.length - 1; index >= 0; index--)
      if (inbox[index]?.to === this) inbox.splice(index, 1);
    this.records.clear();
    this.durable.clear();
    for (const record of records) this.#keep(record);
    this.ledger.length = 0;
    for (const entry of ledger) this.ledger[entry.height - 1] = entry;
    const last = ledger.at(-1);
    const newest = last && { block: readLedgerEntry(last.bytes, runId).id, height: last.height };
    const applied = engine.applied ?? newest;
    this.#replica = this.#begin(voteKey);
    const undoable = applied ? [applied] : [];
    const effects = this.handle({ kind: 'start', records, ledger, atHand, applied, undoable });
    for (const other of this.#bus.peers)
      if (other !== this) {
        this.handle({ kind: 'connected', peer: other.key.peer });
        other.handle({ kind: 'connected', peer: this.key.peer });
      }
    return effects;
  }

  #post(event: ReplicaEvent): void {
    this.#bus.inbox.push({ to: this, event });
  }

  #perform(effect: Effect): void {
    const bus = this.#bus;
    switch (effect.kind) {
      case 'persist':
        this.#keep(effect.record);
        break;
      case 'forget':
        this.#forget(effect);
        break;
      case 'serve':
        bus.lists.set(effect.blob, effect.bytes);
        break;
      case 'settle':
        this.ledger[effect.entry.height - 1] = effect.entry;
        if (effect.state) this.states.set(effect.block.height, effect.state);
        break;
      case 'install': {
        const { block, height } = effect;
        this.#post({ kind: 'installed', block, height, ledger: this.ledger.slice(height) });
        break;
      }
      case 'timer':
        if (effect.at === undefined) this.timers.delete(effect.name);
        else this.timers.set(effect.name, effect.at);
        break;
      case 'execute': {
        const tensors = bus.tensorsOf(this, effect.execution);
        this.#post({ kind: 'executed', request: effect.request, tensors });
        break;
      }
      case 'fetch':
        this.#fetch(effect);
        break;
      case 'publish':
        for (const to of bus.peers)
          if (to !== this && !bus.drops(this, to))
            bus.inbox.push({ to, event: { kind: 'message', from: this.key.peer, bytes: effect.bytes } });
        break;
      case 'sync': {
        const { fromHeight } = effect;
        const source = bus.peers.find((other) => other !== this && other.ledger.length >= fromHeight);
        const entries = source?.ledger.slice(fromHeight - 1);
        if (source && entries) this.#post({ kind: 'synced', from: source.key.peer, entries });
        break;
      }
    }
  }

  #keep(record: DurableRecord): void {
    this.records.set(record.key, record);
    this.durable.set(record.key, record);
  }

  #forget({ below, prefix }: Extract<Effect, { kind: 'forget' }>): void {
    for (const [key, { height }] of this.durable)
      if (height < below && key.startsWith('recovery/') === (prefix === 'recovery/'))
        this.durable.delete(key);
  }

  #fetch(fetch: Extract<Effect, { kind: 'fetch' }>): void {
    const bytes = this.#bus.lists.get(fetch.blob);
    const outcome = this.#bus.outcomeOf(this, fetch);
    if (outcome) this.#post({ kind: 'blob', blob: fetch.blob, outcome, ...(bytes && { bytes }) });
  }
}

/** What an engine would say of its n-th delta from the peer's head. */
export function draftOf(peer: BusPeer, count: number) {
  const { block: base, height: baseHeight } = peer.replica.view.head;
  const bytes = encodeCbor({ author: peer.key.peer, base, count });
  return {
    base,
    baseHeight,
    blob: nameBlob(bytes).cid,
    blobBytes: bytes.length,
    norm: 1.5,
    tokens: 1_000,
    steps: 5,
    loss: 2.5,
  };
}
