/**
 * One simulated peer: the production replica, driven as a real peer would. What survives a crash is its disk; the
 * process (replica, engine, timers, answers on their way) is an incarnation that can end after any effect.
 */
import {
  type Cid,
  decodeCbor,
  encodeCbor,
  nameBlob,
  type PeerId,
  type Random,
  type RunConfig,
} from '@murmuration/base';
import {
  type Block,
  createReplica,
  type DurableRecord,
  type Effect,
  genesisBlockId,
  type LedgerEntry,
  type Replica,
  type ReplicaEvent,
  type Role,
} from '@murmuration/protocol';
import type { Judge } from './judge.ts';
import type { Keys } from './keys.ts';
import type { Scenario } from './scenario.ts';
import { createTinyEngine, type TinyEngine, type TinyState } from './tiny-engine.ts';
import type { World } from './world.ts';

/** What a delta's bytes say; the engine's check compares it with the announcement. */
export interface TinyDelta {
  readonly author: PeerId;
  readonly base: Cid;
  readonly norm: number;
}

interface Disk {
  readonly records: Map<string, DurableRecord>;
  readonly ledger: LedgerEntry[];
  readonly blobs: Map<Cid, Uint8Array>;
  readonly snapshots: Map<Cid, { readonly block: Cid; readonly height: number }>;
  checkpoint: TinyState;
  /** Own deltas that the checkpoint's `pending` refers to. */
  readonly drafts: Map<Cid, Extract<ReplicaEvent, { kind: 'contributed' }>['draft']>;
}

/** What the engine's validation finds: a delta that says of itself what its announcement says. */
function isDelta(bytes: Uint8Array, input: TinyDelta | undefined): boolean {
  const delta = decodeCbor(bytes) as TinyDelta;
  return delta.author === input?.author && delta.base === input.base && delta.norm === input.norm;
}

/** The network as one peer sees it. */
export interface SimNetwork {
  publish(from: SimPeer, bytes: Uint8Array): void;
  /** A peer of the list that is reachable now. */
  reach(from: SimPeer, to: readonly PeerId[]): SimPeer | undefined;
  delay(): number;
  /** The peer is reachable (again): all others hear of it. */
  join(peer: SimPeer): void;
}

export interface SimPeerInit {
  readonly id: PeerId;
  readonly role: Role;
  readonly run: RunConfig;
  readonly runId: Cid;
  readonly scenario: Scenario;
  readonly random: Random;
  readonly invitation: Uint8Array | undefined;
}

export interface SimPeerComponents {
  readonly world: World;
  readonly judge: Judge;
  readonly keys: Keys;
  readonly network: SimNetwork;
}

export interface SimPeer {
  readonly id: PeerId;
  readonly isUp: boolean;
  readonly replica: Replica | undefined;
  readonly disk: Disk;
  readonly effects: number;
  readonly publishedCount: number;
  /** Kills after this effect, then starts again after the time. */
  crashAt: { effect: number; downMs: number; aloneMs: number } | undefined;
  /** After a crash nobody hears from it, nor it from anybody, until then. */
  aloneUntil: number;
  boot(): void;
  kill(): void;
  handle(event: ReplicaEvent): void;
}

export function createSimPeer(init: SimPeerInit, components: SimPeerComponents): SimPeer {
  const { id, run, runId, scenario, random } = init;
  const { world, judge, keys, network } = components;
  const genesis = { block: genesisBlockId(runId), height: 0, tensors: run.initial.tensors };
  const disk: Disk = {
    records: new Map(),
    ledger: [],
    blobs: new Map(),
    snapshots: new Map(),
    checkpoint: { settled: genesis, applied: [], pending: undefined },
    drafts: new Map(),
  };
  let replica: Replica | undefined;
  let engine: TinyEngine | undefined;
  let incarnation = 0;
  let effects = 0;
  let publishedCount = 0;
  let training = false;
  let lastFinal: Block | undefined;
  /** The engine's pending delta, when a block took it that the engine skips. */
  let skippedOwn: Cid | undefined;
  const timers = new Map<string, number>();
  const queue: ReplicaEvent[] = [];
  let busy = false;
  const draw = ([low, high]: readonly [number, number]): number => low + random.below(high - low + 1);

  /** Answers only the incarnation that asked. */
  const later = (delayMs: number, act: () => void): void => {
    const asked = incarnation;
    world.after(delayMs, () => {
      if (asked === incarnation && replica) act();
    });
  };

  const self: SimPeer = {
    id,
    get isUp() {
      return replica !== undefined;
    },
    get replica() {
      return replica;
    },
    disk,
    get effects() {
      return effects;
    },
    get publishedCount() {
      return publishedCount;
    },
    crashAt: undefined,
    aloneUntil: 0,
    boot,
    kill() {
      incarnation++;
      replica = undefined;
      engine = undefined;
      training = false;
      timers.clear();
      skippedOwn = undefined;
      queue.length = 0;
    },
    handle(event) {
      queue.push(event);
      if (busy) return;
      busy = true;
      while (replica && queue.length > 0) perform(replica.handle(queue.shift() as ReplicaEvent, world.now));
      busy = false;
      train();
    },
  };

  function boot(): void {
    if (replica) return;
    incarnation++;
    engine = createTinyEngine(disk.checkpoint, (problem) => judge.complain(`${id}: ${problem}`));
    replica = createReplica({ run, runId, self: id, role: init.role }, keys.componentsOf(id));
    const { state } = engine;
    const head = engine.head();
    self.handle({
      kind: 'start',
      records: [...disk.records.values()],
      ledger: [...disk.ledger],
      applied: head.height === 0 ? undefined : { block: head.block, height: head.height },
      undoable: state.applied.map(({ block, height }) => ({ block, height })),
    });
    if (init.invitation && replica) self.handle({ kind: 'invited', invitation: init.invitation });
    const pending = engine?.state.pending;
    const draft = pending && disk.drafts.get(pending.blob);
    if (draft && replica && replica.view.pending?.blob !== pending.blob)
      self.handle({ kind: 'contributed', draft });
  }

  function perform(performed: readonly Effect[]): void {
    const mine = incarnation;
    for (const effect of performed) {
      if (mine !== incarnation) return;
      performOne(effect);
      judge.performed(effect.kind);
      effects++;
      if (self.crashAt?.effect === effects) {
        const { downMs, aloneMs } = self.crashAt;
        self.aloneUntil = world.now + downMs + aloneMs;
        if (aloneMs > 0) world.after(downMs + aloneMs, () => network.join(self));
        self.kill();
        world.after(downMs, boot);
      }
    }
  }

  function performOne(effect: Effect): void {
    switch (effect.kind) {
      case 'verdict':
        if (effect.verdict === 'reject') judge.complain(`${id} rejects an honest message: ${effect.reason}`);
        return;
      case 'persist':
        disk.records.set(effect.record.key, effect.record);
        return;
      case 'forget':
        forget(effect.below);
        return;
      case 'publish':
        publishedCount++;
        judge.published(id, effect.bytes);
        network.publish(self, effect.bytes);
        return;
      case 'serve':
        disk.blobs.set(effect.blob, effect.bytes);
        return;
      case 'timer':
        setTimer(effect.name, effect.at);
        return;
      case 'fetch':
        fetchBlob(effect);
        return;
      case 'sync':
        sync(effect.fromHeight, effect.from);
        return;
      case 'install':
        install(effect);
        return;
      case 'cancel-fetch':
        return;
      case 'report':
        if (effect.report.kind === 'skipped') judge.skipped(`${replica?.view.epoch}/${effect.report.view}`);
        if (effect.report.kind === 'diverged')
          judge.complain(`G2: ${id} diverged at ${effect.report.height}`);
        return;
      default:
        performOnEngine(effect);
    }
  }

  function performOnEngine(
    effect: Extract<Effect, { kind: 'execute' | 'apply' | 'undo' | 'settle' | 'expire' }>,
  ): void {
    if (!engine) return;
    switch (effect.kind) {
      case 'execute': {
        const missing = effect.execution.inputs.find(({ blob }) => !disk.blobs.has(blob));
        if (missing) judge.complain(`${id} executes without the delta ${missing.blob}`);
        const tensors = engine.execute(effect.execution);
        later(draw(scenario.executeMs), () =>
          self.handle({ kind: 'executed', request: effect.request, tensors }),
        );
        return;
      }
      case 'apply':
        watchOwn(effect);
        engine.apply(effect.block, effect.own);
        break;
      case 'undo':
        engine.undo(effect.block);
        break;
      case 'settle':
        if (effect.applied) engine.settle(effect.block.id);
        else if (effect.block.contributions.some(({ blob }) => blob === engine?.state.pending?.blob))
          skippedOwn = engine.state.pending?.blob;
        store(effect.entry);
        judge.settled(id, effect.block, world.now);
        lastFinal = effect.block;
        if (effect.block.height % run.snapshotEvery === 0)
          disk.snapshots.set(effect.block.tensors, { block: effect.block.id, height: effect.block.height });
        break;
      case 'expire':
        engine.expire(effect.blob);
        break;
    }
    if (random.below(2) === 0) disk.checkpoint = engine.state;
  }

  /** Work that a block takes must leave the local parameters, or it is counted again with the next delta. */
  function watchOwn({ block, own }: Extract<Effect, { kind: 'apply' }>): void {
    const taken = block.contributions.find(({ author }) => author === id)?.cid;
    if (taken !== own)
      judge.complain(`G4: ${id} applies ${block.height} with own ${own}, it carries ${taken}`);
  }

  /** A vote of a view after the newest stored block's may still be contradicted, so its record must stay. */
  function forget(below: number): void {
    const {
      epoch: finalEpoch,
      view: finalView,
      height: finalHeight,
    } = lastFinal ?? { epoch: 0, view: -1, height: 0 };
    for (const [key, { height }] of disk.records) {
      if (height >= below) continue;
      disk.records.delete(key);
      const [kind, epoch, view] = key.split('/');
      const undecided = Number(epoch) === finalEpoch && Number(view) > finalView && finalHeight < run.rounds;
      if (kind === 'vote' && undecided && replica?.view.epoch === finalEpoch)
        judge.complain(`G8: ${id} forgets ${key} after storing a block of view ${finalView}`);
    }
  }

  function store(entry: LedgerEntry): void {
    if (entry.height > disk.ledger.length + 1)
      judge.complain(`${id} settles ${entry.height} after ${disk.ledger.length}`);
    disk.ledger[entry.height - 1] ??= entry;
  }

  function setTimer(name: string, at: number | undefined): void {
    if (at === undefined) timers.delete(name);
    else timers.set(name, at);
    if (at === undefined) return;
    later(at - world.now, () => {
      if (timers.get(name) !== at) return;
      timers.delete(name);
      self.handle({ kind: 'timer', name });
    });
  }

  function fetchBlob({
    blob,
    bytes: length,
    from,
    purpose,
    input,
  }: Extract<Effect, { kind: 'fetch' }>): void {
    const finish = (): void => {
      const bytes = disk.blobs.get(blob) ?? network.reach(self, from)?.disk.blobs.get(blob);
      if (bytes) disk.blobs.set(blob, bytes);
      if (bytes && bytes.length !== length)
        judge.complain(`${id} expects ${length} bytes of ${blob}, which has ${bytes.length}`);
      const valid = !bytes || purpose !== 'delta' || isDelta(bytes, input);
      const outcome = bytes ? (valid ? 'held' : 'invalid') : 'unavailable';
      self.handle({ kind: 'blob', blob, outcome, ...(bytes && purpose === 'contributions' && { bytes }) });
    };
    later(2 * network.delay(), finish);
  }

  function sync(fromHeight: number, from: readonly PeerId[]): void {
    later(2 * network.delay(), () => {
      const source = network.reach(self, from);
      if (source)
        self.handle({
          kind: 'synced',
          from: source.id,
          entries: source.disk.ledger.slice(fromHeight - 1, fromHeight + 255),
        });
    });
  }

  function install({ block, height, tensors, from, own }: Extract<Effect, { kind: 'install' }>): void {
    if (skippedOwn !== undefined && own?.blob !== skippedOwn)
      judge.complain(`G4: ${id} installs ${height} without own ${skippedOwn}`);
    later(10 * network.delay(), () => {
      const source = network.reach(self, from);
      if (!source?.disk.snapshots.has(tensors) || !engine) return;
      engine.install({ block, height, tensors });
      skippedOwn = undefined;
      disk.checkpoint = engine.state;
      disk.snapshots.set(tensors, { block, height });
      self.handle({ kind: 'installed', block, height });
    });
  }

  function train(): void {
    if (training || !replica?.view.mayContribute) return;
    training = true;
    later(draw(scenario.trainMs), () => {
      training = false;
      contribute();
    });
  }

  function contribute(): void {
    const view = replica?.view;
    if (!view?.mayContribute || !engine) return;
    const { block: base, height: baseHeight } = view.head;
    const norm = 1 + random.unit();
    const bytes = encodeCbor({ author: id, base, norm, salt: random.uint32() });
    const { cid: blob } = nameBlob(bytes);
    const tokens = 1_000 + random.below(1_000);
    const draft = { base, baseHeight, blob, blobBytes: bytes.length, norm, tokens, steps: 5, loss: 3 };
    disk.blobs.set(blob, bytes);
    disk.drafts.set(blob, draft);
    engine.encode(blob, base, baseHeight);
    disk.checkpoint = engine.state;
    self.handle({ kind: 'contributed', draft });
  }

  return self;
}
