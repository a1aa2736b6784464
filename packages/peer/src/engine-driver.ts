/** Performs those effects that change the engine's parameters, each in its turn in the lane. */
import type { Cid, RunConfig } from '@murmuration/base';
import type { Engine } from '@murmuration/engine';
import type { Network } from '@murmuration/network';
import type { AggregationInput, Effect, ReplicaEvent } from '@murmuration/protocol';
import type { Store } from '@murmuration/store';
import type { CatchUp } from './catch-up.ts';
import { applyLoadMaxMs, executeLoadMaxMs } from './defaults.ts';
import type { EngineLane } from './engine-lane.ts';
import type { PeerEvent } from './index.ts';
import { loadDeltas } from './load-deltas.ts';

type Snapshot = Awaited<ReturnType<Engine['snapshot']>>;
type EffectOf<Kind extends Effect['kind']> = Extract<Effect, { kind: Kind }>;

interface EngineDriverComponents {
  readonly run: RunConfig;
  readonly engine: Engine;
  readonly store: Store;
  readonly network: Network;
  readonly lane: EngineLane;
  readonly catchUp: CatchUp;
  readonly signal: AbortSignal;
  /** The delta that the engine had made and not seen in a block when it opened. */
  readonly pending?: Cid | undefined;
  /** How long an `apply` waits for its deltas; a test is less patient. */
  readonly applyLoadMs?: number;
  post(event: ReplicaEvent): void;
  onEvent(event: PeerEvent): void;
}

export class EngineDriver {
  readonly #components: EngineDriverComponents;
  readonly #snapshots = new Map<Cid, Promise<Snapshot>>();
  #hasIncludedPending = false;
  /** Blocks that the engine did not come to, because a delta of the first of them is lost; an install ends that. */
  readonly #unapplied = new Set<Cid>();
  #installing: { readonly block: Cid; readonly controller: AbortController } | undefined;

  constructor(components: EngineDriverComponents) {
    this.#components = components;
  }

  /** Whether a block that was applied here includes the delta that the engine had pending when it opened. */
  get hasIncludedPending(): boolean {
    return this.#hasIncludedPending;
  }

  /** An execution whose deltas are gone must not hold up the changes behind it: the replica asks again. */
  execute({ request, execution }: EffectOf<'execute'>): void {
    const { engine, lane, post } = this.#components;
    lane.enqueue(async () => {
      const isLost = this.#unapplied.size > 0;
      const blobs = isLost ? undefined : await this.#load(execution.inputs, executeLoadMaxMs);
      const tensors = blobs && (await engine.execute(execution, blobs));
      post({ kind: 'executed', request, tensors });
    });
  }

  /** The deltas of a block; `undefined` when one of them could not be had in time. */
  async #load(
    inputs: readonly AggregationInput[],
    timeMs: number,
  ): Promise<ReadonlyMap<Cid, Uint8Array> | undefined> {
    const { signal } = this.#components;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), timeMs);
    try {
      return await loadDeltas(inputs, this.#components, AbortSignal.any([late.signal, signal]));
    } catch (error) {
      if (late.signal.aborted && !signal.aborted) return undefined;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** A block whose deltas are gone is left out, with all that follow it: the replica then takes a snapshot instead. */
  apply({ block, own: contribution, carried = false }: EffectOf<'apply'>): void {
    const { run, engine, lane, pending, post, applyLoadMs = applyLoadMaxMs } = this.#components;
    const { inputs } = block.execution;
    const own = inputs.find((input) => input.contribution === contribution)?.blob;
    if (own && own === pending) this.#hasIncludedPending = true;
    lane.enqueue(async () => {
      const isLost = this.#unapplied.size > 0;
      const blobs = isLost ? undefined : await this.#load(inputs, applyLoadMs);
      if (!blobs) {
        this.#unapplied.add(block.id);
        if (!isLost) post({ kind: 'unapplied', block: block.id, height: block.height });
        return;
      }
      await engine.apply(block.id, block.execution, blobs, own, carried);
      if (block.height % run.snapshotEvery !== 0) return;
      const snapshot = engine.snapshot();
      this.#snapshots.set(block.id, snapshot);
      await snapshot;
    });
  }

  undo({ block }: EffectOf<'undo'>): void {
    const { engine, lane } = this.#components;
    this.#snapshots.delete(block);
    lane.enqueue(async () => {
      if (!this.#unapplied.has(block)) await engine.undo(block);
    });
  }

  settle({ block, entry, applied, state }: EffectOf<'settle'>): void {
    const { engine, lane, store } = this.#components;
    store.putEntry(entry);
    if (state) store.putState(block.height, state);
    if (!applied) return;
    lane.enqueue(async () => {
      if (this.#unapplied.has(block.id)) return;
      await engine.settle(block.id);
      const snapshot = await this.#snapshots.get(block.id);
      this.#snapshots.delete(block.id);
      if (snapshot) await store.adoptSnapshot(snapshot);
    });
  }

  /** The state at which a recovery begins: without it nobody could go back. */
  fork({ block }: EffectOf<'fork'>): void {
    const { engine, lane } = this.#components;
    lane.enqueue(() => engine.fork(block));
  }

  provision({ block, applied }: EffectOf<'provision'>): void {
    const { engine, lane } = this.#components;
    this.#snapshots.delete(block.id);
    if (!applied) return;
    lane.enqueue(async () => {
      if (!this.#unapplied.has(block.id)) await engine.settle(block.id);
    });
  }

  rewind({ block, height, tensors, carry }: EffectOf<'rewind'>): void {
    const { engine, lane, post } = this.#components;
    lane.enqueue(async () => {
      await engine.rewind({ block, height, tensors, carry });
      this.#unapplied.clear();
      post({ kind: 'rewound', block });
    });
  }

  expire({ blob }: EffectOf<'expire'>): void {
    const { engine, lane } = this.#components;
    lane.enqueue(() => engine.expire(blob));
  }

  /** A wish for a newer block replaces one that nobody could fulfil; asked again for the same, the download goes on. */
  install(effect: EffectOf<'install'>): void {
    const { run, lane, catchUp, signal, onEvent } = this.#components;
    const { block } = effect;
    if (this.#installing?.block === block) return;
    this.#installing?.controller.abort();
    const controller = new AbortController();
    const installing = { block, controller };
    this.#installing = installing;
    const either = AbortSignal.any([controller.signal, signal]);
    lane.enqueue(async () => {
      const bytes = 4 * run.initial.parameters;
      const done = await catchUp.install(effect, bytes, either);
      if (done) this.#unapplied.clear();
      if (this.#installing === installing) this.#installing = undefined;
      if (done) onEvent({ kind: 'installed', round: effect.height, bytes });
    });
  }
}
