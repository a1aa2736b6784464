/**
 * One life of the replica and its engine. The session owns both, a lane of engine calls, a trainer and a blob
 * fetcher; the network and the store outlive it. If the engine dies, the peer ends its session and opens the next
 * one from the store, by the same path as after a crash of the whole process.
 *
 * One event's way: gossip, a timer, a fetched blob or an engine's answer is queued; the pump hands it to the replica
 * and performs the effects in their order, each before the next, so that what must be durable is so before it is
 * sent. Effects that need the engine join the lane; their answers come back as events.
 */
import type { Cid, PeerId, RunConfig } from '@murmuration/base';
import {
  createEngine,
  type DeviceChoice,
  type EncodedDelta,
  type Engine,
  type EngineState,
  type TrainProgress,
} from '@murmuration/engine';
import type { Network, Verdict } from '@murmuration/network';
import {
  baseOf,
  createReplica,
  type Effect,
  genesisBlockId,
  type Replica,
  type ReplicaEvent,
  type ReplicaView,
  type Report,
  type Role,
} from '@murmuration/protocol';
import { hashBytes, type Store, verifySignature } from '@murmuration/store';
import { BlobFetcher } from './blob-fetcher.ts';
import { CatchUp, storedEntries } from './catch-up.ts';
import { eventsMax } from './defaults.ts';
import { EngineDriver } from './engine-driver.ts';
import { EngineLane } from './engine-lane.ts';
import { PeerError } from './errors.ts';
import type { PeerEvent } from './index.ts';
import type { PeerConfig } from './peer-config.ts';
import { eventOfReport } from './report-event.ts';
import { now, Timers } from './timers.ts';
import { Trainer } from './trainer.ts';
import { weightPaths } from './weight-paths.ts';

export interface SessionInit {
  readonly run: RunConfig;
  readonly runId: Cid;
  readonly graph: Uint8Array;
  readonly config: PeerConfig;
  readonly role: Role;
  readonly invitation: Uint8Array | undefined;
  /** Where the ledger begins, if not at genesis. */
  readonly base: Uint8Array | undefined;
}

export interface SessionComponents {
  readonly store: Store;
  readonly network: Network;
  onEvent(event: PeerEvent): void;
  /** The session cannot go on; it has stopped its engine. */
  onFailure(error: unknown): void;
}

interface QueuedEvent {
  readonly event: ReplicaEvent;
  readonly settle?: (verdict: Verdict) => void;
}

export class Session {
  readonly #init: SessionInit;
  readonly #components: SessionComponents;
  readonly #engine: Engine;
  readonly #device: DeviceChoice;
  readonly #replica: Replica;
  readonly #lane: EngineLane;
  readonly #trainer: Trainer;
  readonly #fetcher: BlobFetcher;
  readonly #catchUp: CatchUp;
  readonly #state: EngineDriver;
  readonly #abort = new AbortController();
  readonly #timers = new Timers((name) => this.#post({ event: { kind: 'timer', name } }));
  readonly #queue: QueuedEvent[] = [];
  #pumping = false;
  #performing = false;
  #failed = false;
  #progress: TrainProgress | undefined;

  /** Starts the engine, opens its checkpoint and brings the replica to where the store left it. */
  static async open(init: SessionInit, components: SessionComponents): Promise<Session> {
    const { run, runId, graph, config } = init;
    let session: Session | undefined;
    let early: unknown;
    const fail = (error: unknown): void => {
      if (session) session.#fail(error);
      else early = error;
    };
    const engine = await createEngine({
      run,
      runId,
      self: components.store.identity.peer,
      graph,
      weights: weightPaths(run, components.store),
      directory: `${components.store.directory}/engine`,
      data: config.data,
      threads: config.threads,
      device: config.device,
      checkpointActivations: config.checkpointActivations,
      niceness: config.niceness,
      onProgress: (progress) => session?.noteProgress(progress),
      onExit: fail,
    });
    try {
      const state = await engine.open(genesisBlockId(runId));
      if (early) throw early;
      session = new Session(init, components, engine, state);
      await session.#start(state);
      return session;
    } catch (error) {
      if (session?.hasFailed) return session;
      await engine.close().catch(() => undefined);
      throw error;
    }
  }

  private constructor(init: SessionInit, components: SessionComponents, engine: Engine, state: EngineState) {
    this.#init = init;
    this.#components = components;
    this.#engine = engine;
    this.#device = state.device;
    const { store, network } = components;
    this.#replica = createReplica(
      {
        run: init.run,
        runId: init.runId,
        self: store.identity.peer,
        role: init.role,
        wallMs: Date.now(),
        ...(init.base && { base: init.base }),
      },
      {
        hash: hashBytes,
        sign: (bytes) => store.identity.sign(bytes),
        voteKey: store.voteKey,
        verify: verifySignature,
      },
    );
    const onFailure = (error: unknown): void => this.#fail(error);
    this.#lane = new EngineLane(onFailure);
    this.#fetcher = new BlobFetcher({
      store,
      network,
      engine,
      onBlob: (event) => this.#post({ event }),
      onFailure,
    });
    this.#catchUp = new CatchUp({
      store,
      network,
      engine,
      signal: this.#abort.signal,
      post: (event) => this.#post({ event }),
      onEvent: components.onEvent,
    });
    this.#state = new EngineDriver({
      run: init.run,
      engine,
      store,
      network,
      lane: this.#lane,
      catchUp: this.#catchUp,
      pending: state.pending?.blob,
      signal: this.#abort.signal,
      post: (event) => this.#post({ event }),
      onEvent: components.onEvent,
    });
    this.#trainer = new Trainer(
      { run: init.run, step: state.step },
      {
        engine,
        lane: this.#lane,
        line: () => ({ uplink: network.uplink(), peers: network.connected().length }),
        view: () => this.#replica.view,
        laneFollowsView: () => !this.#performing,
        onDelta: (delta) => this.#announce(delta),
        onProgress: (progress) => this.noteProgress(progress),
        onFailure,
      },
    );
  }

  get view(): ReplicaView {
    return this.#replica.view;
  }

  /** Whether `onFailure` was told; such a session does nothing any more. */
  get hasFailed(): boolean {
    return this.#failed;
  }

  /** Where the engine trains. */
  get device(): DeviceChoice {
    return this.#device;
  }

  get progress(): TrainProgress | undefined {
    return this.#progress;
  }

  engineMemory(): Promise<number> {
    return this.#engine.memory();
  }

  noteProgress(progress: TrainProgress): void {
    this.#progress = progress;
  }

  /** Judges one gossip message; what follows from it happens on the way. */
  receive(from: PeerId, bytes: Uint8Array): Promise<Verdict> {
    if (this.#queue.length >= eventsMax || this.#failed) return Promise.resolve('ignore');
    return new Promise((settle) => this.#post({ event: { kind: 'message', from, bytes }, settle }));
  }

  /** Asks to be a member no more, again and again until a block says so. */
  leave(): void {
    this.#post({ event: { kind: 'leave' } });
  }

  peerChanged(peer: PeerId, kind: 'connected' | 'disconnected'): void {
    this.#post({ event: { kind, peer } });
  }

  async stop(): Promise<void> {
    if (this.#abort.signal.aborted) return;
    this.#halt();
    await this.#trainer.stop().catch(() => undefined);
    await this.#engine.close().catch(() => undefined);
  }

  async #start(state: EngineState): Promise<void> {
    const { store, network, onEvent } = this.#components;
    if (state.pending) await store.putBlob(state.pending.blob, state.pending.bytes);
    onEvent({
      kind: 'opened',
      head: state.head.height,
      parameters: state.parameters,
      restored: state.step > 0 || state.head.height > 0,
      device: state.device,
    });
    const { base } = this.#init;
    const begins = base ? baseOf(this.#init, base, hashBytes).height : 0;
    this.#post({
      event: {
        kind: 'start',
        records: store.records(),
        ledger: storedEntries(store, begins + 1),
        atHand: store.downloads().map(({ cid, bytes }) => ({ tensors: cid, bytes })),
        applied: state.head,
        undoable: state.undoable,
      },
    });
    for (const peer of network.connected()) this.peerChanged(peer, 'connected');
    const opening = store.getSetting('opening');
    if (opening) this.#post({ event: { kind: 'opening', opening } });
    if (this.#init.invitation) this.#post({ event: { kind: 'invited', invitation: this.#init.invitation } });
    this.#lane.enqueue(async () => {
      if (state.pending && !this.#replica.view.pending && !this.#state.hasIncludedPending)
        await this.#announce(state.pending);
    });
    if (this.#init.config.data.length > 0) this.#trainer.start();
  }

  async #announce(delta: EncodedDelta): Promise<void> {
    const { store, onEvent } = this.#components;
    await store.putBlob(delta.blob, delta.bytes);
    const { base, baseHeight, blob, norm, tokens, steps, loss } = delta;
    onEvent({ kind: 'contributed', round: baseHeight + 1, bytes: delta.bytes.length, steps, loss });
    await new Promise<void>((done) => {
      this.#post({
        event: {
          kind: 'contributed',
          draft: { base, baseHeight, blob, blobBytes: delta.bytes.length, norm, tokens, steps, loss },
        },
        settle: () => done(),
      });
    });
  }

  #post(queued: QueuedEvent): void {
    if (this.#abort.signal.aborted) {
      queued.settle?.('ignore');
      return;
    }
    this.#queue.push(queued);
    if (!this.#pumping) void this.#pump().catch((error: unknown) => this.#fail(error));
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      const { event, settle } = next;
      this.#performing = true;
      for (const effect of this.#replica.handle(event, now())) {
        if (effect.kind === 'verdict') settle?.(effect.verdict);
        else await this.#perform(effect);
      }
      this.#performing = false;
      settle?.('ignore');
      this.#trainer.viewChanged();
    }
    this.#pumping = false;
  }

  async #perform(effect: Exclude<Effect, { kind: 'verdict' }>): Promise<void> {
    const { store, network } = this.#components;
    switch (effect.kind) {
      case 'persist':
        return store.putRecord(effect.record);
      case 'forget':
        return store.forgetRecords(effect.below, effect.prefix);
      case 'publish':
        network.publish(effect.bytes).catch(() => undefined);
        return;
      case 'timer':
        return this.#timers.set(effect.name, effect.at);
      case 'fetch':
        return this.#fetcher.want(effect);
      case 'cancel-fetch':
        return this.#fetcher.cancel(effect.blob);
      case 'serve':
        return store.putBlob(effect.blob, effect.bytes);
      case 'execute':
        return this.#state.execute(effect);
      case 'apply':
        return this.#state.apply(effect);
      case 'undo':
        return this.#state.undo(effect);
      case 'settle':
        return this.#state.settle(effect);
      case 'fork':
        return this.#state.fork(effect);
      case 'provision':
        return this.#state.provision(effect);
      case 'rewind':
        return this.#state.rewind(effect);
      case 'expire':
        this.#components.onEvent({ kind: 'expired' });
        return this.#state.expire(effect);
      case 'sync':
        void this.#catchUp.sync(effect);
        return;
      case 'install':
        return this.#state.install(effect);
      case 'report':
        return this.#report(effect.report);
    }
  }

  #report(report: Report): void {
    const { store, onEvent } = this.#components;
    const self = store.identity.peer;
    if (report.kind === 'certified')
      for (const { author, loss } of report.contributions)
        if (author === self) this.#putMetrics(report.height, loss);
    if (report.kind === 'forgotten')
      this.#fail(
        new PeerError('expected to know all that our vote key has signed, heard more', { code: 'forgotten' }),
      );
    const event = eventOfReport(report, self);
    if (event) onEvent(event);
  }

  /** Of a certified round that holds our work. Utilisation is that since the engine began to train. */
  #putMetrics(height: number, loss: number): void {
    const { store } = this.#components;
    const timeMs = Date.now();
    store.putMetric({ height, name: 'loss', value: loss, timeMs });
    const { trainingSeconds, wallSeconds } = this.#progress?.time ?? { trainingSeconds: 0, wallSeconds: 0 };
    if (wallSeconds > 0)
      store.putMetric({ height, name: 'utilisation', value: trainingSeconds / wallSeconds, timeMs });
  }

  #halt(): void {
    this.#abort.abort();
    this.#fetcher.stop();
    this.#timers.clear();
    for (const { settle } of this.#queue.splice(0)) settle?.('ignore');
  }

  #fail(error: unknown): void {
    if (this.#failed || this.#abort.signal.aborted) return;
    this.#failed = true;
    this.#halt();
    void this.#engine
      .close()
      .catch(() => undefined)
      .then(() => this.#components.onFailure(error));
  }
}
