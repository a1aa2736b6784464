/**
 * One peer of a recovery world: a replica, an engine that counts pieces of work, a disk, and what comes between them.
 */
import { type Cid, cidOf, encodeCbor, type PeerId, type Random, type RunConfig } from '@murmuration/base';
import {
  type Block,
  createReplica,
  type DurableRecord,
  type Effect,
  type LedgerEntry,
  provisionalEntries,
  type Replica,
  type ReplicaEvent,
  type Role,
} from '@murmuration/protocol';
import { componentsOf } from './signed-watch.ts';
import {
  add,
  createWorkEngine,
  type EngineState,
  emptyEngine,
  type Work,
  type WorkEngine,
} from './work-engine.ts';

type Of<Kind extends Effect['kind']> = Extract<Effect, { kind: Kind }>;

/** What all peers of a world share. */
export interface Surroundings {
  readonly run: RunConfig;
  readonly runId: Cid;
  readonly random: Random;
  readonly loss: number;
  readonly trainingMs: number;
  readonly peers: readonly WorldPeer[];
  readonly now: number;
  readonly works: Map<Cid, Work>;
  readonly lists: Map<Cid, Uint8Array>;
  /** Regular blocks by height, and heights of contributions. */
  readonly certified: Map<number, Block>;
  readonly contributionsAt: Map<Cid, number>;
  connected(a: WorldPeer, b: WorldPeer): boolean;
  crashes(peer: WorldPeer, effect: Effect): boolean;
  complain(problem: string): void;
  signed(peer: WorldPeer, message: Uint8Array): void;
  after(ms: number, act: () => void): void;
  delay(): number;
  nextUnit(): number;
}

export class WorldPeer {
  readonly id: PeerId;
  readonly index: number;
  readonly role: Role;
  replica: Replica | undefined;
  readonly engine: EngineState = emptyEngine();
  readonly ledger: LedgerEntry[] = [];
  readonly records: Map<string, DurableRecord> = new Map();
  readonly blobs: Set<Cid> = new Set();
  /** Effects performed in all lives. */
  effects = 0;
  readonly reports: Of<'report'>['report'][] = [];
  readonly world: Surroundings;
  readonly calls: WorkEngine;
  readonly timers: Map<string, number> = new Map();
  readonly fetches: Set<Cid> = new Set();
  #saved: EngineState = emptyEngine();
  #life = 0;
  #training = false;
  #busy = false;
  readonly #inbox: ReplicaEvent[] = [];

  constructor(id: PeerId, index: number, role: Role, world: Surroundings) {
    this.id = id;
    this.index = index;
    this.role = role;
    this.world = world;
    this.calls = createWorkEngine(this.engine, {
      workOf: (blob) => {
        if (!this.blobs.has(blob)) world.complain(`peer ${index} executes a delta that it does not hold`);
        return world.works.get(blob) as Work;
      },
      complain: (problem) => world.complain(`peer ${index}: ${problem}`),
    });
  }

  start(): void {
    if (this.replica) return;
    const { run, runId, peers, now } = this.world;
    Object.assign(this.engine, { ...this.#saved, applied: [...this.#saved.applied] });
    const init = { run, runId, self: this.id, role: this.role, wallMs: now };
    this.replica = createReplica(init, componentsOf(this.id));
    this.#training = false;
    const { stand, applied, pending, draft } = this.engine;
    this.handle({
      kind: 'start',
      records: [...this.records.values()],
      ledger: [...this.ledger],
      applied: stand && { block: stand.block, height: stand.height },
      undoable: applied.map(({ block, height }) => ({ block, height })),
    });
    if (pending && draft && this.replica?.view.pending?.blob !== pending.blob)
      this.handle({ kind: 'contributed', draft: draft as never });
    for (const other of peers)
      if (other !== this && other.replica && this.world.connected(this, other)) {
        this.handle({ kind: 'connected', peer: other.id });
        other.handle({ kind: 'connected', peer: this.id });
      }
  }

  kill(): void {
    this.replica = undefined;
    this.#life++;
    this.timers.clear();
    this.fetches.clear();
    this.#inbox.length = 0;
  }

  handle(event: ReplicaEvent): void {
    if (!this.replica) return;
    this.#inbox.push(event);
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#inbox.shift(); next && this.replica; next = this.#inbox.shift())
      this.#performAll(this.replica.handle(next, this.world.now));
    this.#busy = false;
    this.#train();
  }

  #performAll(effects: readonly Effect[]): void {
    const mine = this.#life;
    for (const effect of effects) {
      (performers[effect.kind] as ((peer: WorldPeer, effect: Effect) => void) | undefined)?.(this, effect);
      this.effects++;
      if (this.world.random.below(2) === 0) this.save();
      if (this.world.crashes(this, effect)) this.kill();
      if (this.#life !== mine) return;
    }
  }

  save(): void {
    this.#saved = { ...this.engine, applied: [...this.engine.applied] };
  }

  /** Only in this life. */
  later(ms: number, act: () => void): void {
    const mine = this.#life;
    this.world.after(ms, () => {
      if (mine === this.#life && this.replica) act();
    });
  }

  #train(): void {
    const mayTrain = (): boolean => !!this.replica?.view.mayContribute && !this.engine.pending;
    if (this.#training || !mayTrain()) return;
    this.#training = true;
    const { trainingMs, random } = this.world;
    this.later(trainingMs + random.below(trainingMs + 1), () => {
      this.#training = false;
      if (mayTrain()) this.#contribute((this.replica as Replica).view.head);
    });
  }

  #contribute({ block: base, height: baseHeight }: Replica['view']['head']): void {
    const { engine, world } = this;
    const unit = world.nextUnit();
    engine.local = add(engine.local, new Map([[unit, 1]]));
    const work = add(engine.local, engine.theta, -1);
    if (work.size === 0) return;
    const bytes = encodeCbor([this.id, base, unit + 1, [...work]]);
    const blob = cidOf(bytes);
    if ((engine.stand?.block ?? base) !== base)
      world.complain(`peer ${this.index} encodes on another block than its head`);
    world.works.set(blob, work);
    this.blobs.add(blob);
    engine.pending = { blob, work };
    const sizes = { blobBytes: bytes.length, norm: 1.5, tokens: 1_000, steps: 5, loss: 2 };
    const draft = { base, baseHeight, blob, ...sizes };
    engine.draft = draft;
    this.save();
    this.handle({ kind: 'contributed', draft });
  }
}

const performers: { readonly [Kind in Effect['kind']]?: (peer: WorldPeer, effect: Of<Kind>) => void } = {
  persist: ({ records }, { record }) => {
    records.set(record.key, record);
  },
  forget({ records }, { below, prefix }) {
    for (const [key, { height }] of records)
      if (height < below && key.startsWith('recovery/') === (prefix === 'recovery/')) records.delete(key);
  },
  publish,
  timer,
  fetch,
  'cancel-fetch': ({ fetches }, { blob }) => {
    fetches.delete(blob);
  },
  serve: ({ world }, { blob, bytes }) => {
    world.lists.set(blob, bytes);
  },
  execute(peer, effect) {
    const tensors = peer.calls.execute(effect);
    const { request } = effect;
    peer.later(20 + peer.world.random.below(40), () => peer.handle({ kind: 'executed', request, tensors }));
  },
  apply: ({ calls }, effect) => calls.apply(effect),
  undo: ({ calls }, effect) => calls.undo(effect),
  settle,
  provision({ calls }, { applied, block }) {
    if (applied) calls.forgetUndo(block.id);
  },
  fork(peer, { block }) {
    const { engine, world, index } = peer;
    if ((engine.stand?.block ?? block) !== block || engine.applied.length > 0)
      world.complain(`peer ${index} forks where it does not stand`);
    engine.fork = { block, theta: engine.theta };
    peer.save();
  },
  rewind(peer, effect) {
    peer.calls.rewind(effect);
    peer.save();
    peer.later(20, () => peer.handle({ kind: 'rewound', block: effect.block }));
  },
  expire({ engine }, { blob }) {
    if (engine.pending?.blob === blob) engine.pending = undefined;
  },
  sync,
  report({ reports, world, index }, { report }) {
    reports.push(report);
    if (report.kind === 'diverged') world.complain(`G2: peer ${index} diverged`);
    if (report.kind === 'forgotten') world.complain(`G8: peer ${index} has forgotten what it signed`);
  },
  verdict({ world, index }, { verdict, reason }) {
    if (verdict === 'reject') world.complain(`peer ${index} rejects a message: ${reason}`);
  },
};

function publish(peer: WorldPeer, { bytes }: Of<'publish'>): void {
  const { world, id } = peer;
  world.signed(peer, bytes);
  for (const to of world.peers)
    if (to !== peer && world.random.unit() >= world.loss && world.connected(peer, to))
      world.after(world.delay(), () => {
        if (world.connected(peer, to)) to.handle({ kind: 'message', from: id, bytes });
      });
}

function timer(peer: WorldPeer, { name, at }: Of<'timer'>): void {
  const { timers, world } = peer;
  if (at === undefined) {
    timers.delete(name);
    return;
  }
  timers.set(name, at);
  peer.later(Math.max(0, at - world.now), () => {
    if (timers.get(name) !== at) return;
    timers.delete(name);
    peer.handle({ kind: 'timer', name });
  });
}

function fetch(peer: WorldPeer, { blob, from, purpose }: Of<'fetch'>): void {
  const { world, fetches } = peer;
  const has = (other: WorldPeer): boolean =>
    purpose === 'delta' ? other.blobs.has(blob) : world.lists.has(blob);
  const isReached = (other: WorldPeer): boolean =>
    other === peer || (!!other.replica && from.includes(other.id) && world.connected(peer, other));
  fetches.add(blob);
  peer.later(2 * world.delay(), () => {
    if (!fetches.delete(blob)) return;
    const source = world.peers.find((other) => has(other) && isReached(other));
    const bytes = world.lists.get(blob);
    if (source && purpose === 'delta') peer.blobs.add(blob);
    const outcome = source ? 'held' : 'unavailable';
    peer.handle({ kind: 'blob', blob, outcome, ...(bytes && source && { bytes }) });
  });
}

function settle({ world, index, ledger, calls }: WorldPeer, { block, entry, applied }: Of<'settle'>): void {
  if (entry.height > ledger.length + 1)
    world.complain(`G8: peer ${index} settles ${entry.height} too early, after ${ledger.length}`);
  ledger[entry.height - 1] ??= entry;
  if (applied) calls.forgetUndo(block.id);
  const known = world.certified.get(block.height);
  if (known && known.id !== block.id)
    world.complain(`G1: peer ${index} has another block at ${block.height}`);
  world.certified.set(block.height, block);
  for (const { cid } of block.contributions) {
    if ((world.contributionsAt.get(cid) ?? block.height) !== block.height)
      world.complain('G4: certified twice');
    world.contributionsAt.set(cid, block.height);
  }
}

function sync(peer: WorldPeer, { fromHeight, from, opening }: Of<'sync'>): void {
  const { world } = peer;
  const entriesOf = ({ records, ledger }: WorldPeer): readonly LedgerEntry[] =>
    opening
      ? provisionalEntries([...records.values()], opening, fromHeight, 64)
      : ledger.slice(fromHeight - 1, fromHeight + 63);
  const source = world.peers.find(
    (other) =>
      from.includes(other.id) &&
      other.replica &&
      world.connected(peer, other) &&
      (!opening || entriesOf(other).length > 0),
  );
  if (!source) return;
  const entries = entriesOf(source);
  peer.later(2 * world.delay(), () =>
    peer.handle({ kind: 'synced', from: source.id, entries, ...(opening && { opening }) }),
  );
}
