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
export function createKey(index: number): Key {
  const der = keyOf('302e020100300506032b657004220420', new Uint8Array(32).fill(index));
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
  readonly records: Map<string, DurableRecord>;
  readonly ledger: LedgerEntry[];
  /** Every effect so far. */
  readonly effects: Effect[];
  handle(event: ReplicaEvent): Effect[];
  /** A valid delta from the head. */
  contribute(): void;
}

export interface Bus {
  readonly run: RunConfig;
  readonly runId: Cid;
  readonly peers: readonly BusPeer[];
  now: number;
  /** Messages are dropped when this says so. */
  drops: (from: BusPeer, to: BusPeer) => boolean;
  tensorsOf: (peer: BusPeer, execution: Execution) => Cid;
  /** Delivers until nobody has anything to say. */
  flow(): void;
  /** Lets time pass; timers fire in between. */
  wait(ms: number): void;
  /** Everybody contributes, and the round closes. */
  round(): void;
}

export const tensorsAfter = ({ parent, inputs }: Execution): Cid =>
  cidOf(encodeCbor([parent, inputs.map(({ blob, clip, weight }) => [blob, clip, weight])]));

export function createBus(
  options: { readonly members: number; readonly guests?: number; readonly run?: Partial<RunConfigInput> } = {
    members: 4,
  },
): Bus {
  const keys = Array.from({ length: options.members + (options.guests ?? 0) }, (_, index) =>
    createKey(index + 1),
  );
  const founders = keys.slice(0, options.members).map(({ peer }) => peer);
  const run = createRun(founders, options.run);
  const runId = runIdOf(run);
  const lists = new Map<Cid, Uint8Array>();
  const inbox: { readonly to: BusPeer; readonly event: ReplicaEvent }[] = [];
  const timers = new Map<BusPeer, Map<string, number>>();
  const bus: Bus = {
    run,
    runId,
    peers: keys.map((key, index) => createPeer(key, index < options.members ? 'member' : 'guest')),
    now: 1_000,
    drops: () => false,
    tensorsOf: (_, execution) => tensorsAfter(execution),
    flow() {
      for (let next = inbox.shift(); next; next = inbox.shift()) next.to.handle(next.event);
    },
    wait(ms) {
      const end = bus.now + ms;
      for (;;) {
        const due = [...timers]
          .flatMap(([peer, own]) => [...own].map(([name, at]) => ({ peer, name, at })))
          .filter(({ at }) => at <= end)
          .sort((a, b) => a.at - b.at)[0];
        if (!due) break;
        bus.now = Math.max(bus.now, due.at);
        timers.get(due.peer)?.delete(due.name);
        due.peer.handle({ kind: 'timer', name: due.name });
        bus.flow();
      }
      bus.now = end;
    },
    round() {
      for (const peer of bus.peers) if (peer.replica.view.mayContribute) peer.contribute();
      bus.flow();
    },
  };

  function createPeer(key: Key, role: Role): BusPeer {
    const replica = createReplica({ run, runId, self: key.peer, role }, key.components);
    let deltas = 0;
    const peer: BusPeer = {
      key,
      replica,
      records: new Map(),
      ledger: [],
      effects: [],
      handle(event) {
        const effects = replica.handle(event, bus.now);
        for (const effect of effects) perform(peer, effect);
        peer.effects.push(...effects);
        return effects;
      },
      contribute() {
        const { blob, ...draft } = draftOf(peer, deltas++);
        peer.handle({ kind: 'contributed', draft: { ...draft, blob } });
      },
    };
    timers.set(peer, new Map());
    return peer;
  }

  function perform(peer: BusPeer, effect: Effect): void {
    const post = (event: ReplicaEvent): unknown => inbox.push({ to: peer, event });
    if (effect.kind === 'persist') peer.records.set(effect.record.key, effect.record);
    if (effect.kind === 'serve') lists.set(effect.blob, effect.bytes);
    if (effect.kind === 'settle') peer.ledger[effect.entry.height - 1] = effect.entry;
    if (effect.kind === 'timer' && effect.at !== undefined) timers.get(peer)?.set(effect.name, effect.at);
    if (effect.kind === 'timer' && effect.at === undefined) timers.get(peer)?.delete(effect.name);
    if (effect.kind === 'execute')
      post({ kind: 'executed', request: effect.request, tensors: bus.tensorsOf(peer, effect.execution) });
    if (effect.kind === 'fetch') {
      const bytes = lists.get(effect.blob);
      post({ kind: 'blob', blob: effect.blob, outcome: 'held', ...(bytes && { bytes }) });
    }
    if (effect.kind === 'publish')
      for (const to of bus.peers)
        if (to !== peer && !bus.drops(peer, to))
          inbox.push({ to, event: { kind: 'message', from: peer.key.peer, bytes: effect.bytes } });
    if (effect.kind === 'sync') {
      const source = bus.peers.find((other) => other !== peer && other.ledger.length >= effect.fromHeight);
      if (source)
        post({ kind: 'synced', from: source.key.peer, entries: source.ledger.slice(effect.fromHeight - 1) });
    }
  }
  for (const peer of bus.peers) peer.handle({ kind: 'start', records: [], ledger: [], applied: undefined });
  bus.wait(1_200);
  return bus;
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
