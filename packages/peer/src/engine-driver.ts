/** Performs those effects that change the engine's parameters, each in its turn in the lane. */
import type { Cid, RunConfig } from '@murmuration/base';
import type { Engine } from '@murmuration/engine';
import type { Network } from '@murmuration/network';
import type { Effect, ReplicaEvent } from '@murmuration/protocol';
import type { Store } from '@murmuration/store';
import type { CatchUp } from './catch-up.ts';
import { executeLoadMaxMs } from './defaults.ts';
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
  post(event: ReplicaEvent): void;
  onEvent(event: PeerEvent): void;
}

export class EngineDriver {
  readonly #components: EngineDriverComponents;
  readonly #snapshots = new Map<Cid, Promise<Snapshot>>();
  readonly #included = new Set<Cid>();
  #installing: { readonly block: Cid; readonly controller: AbortController } | undefined;

  constructor(components: EngineDriverComponents) {
    this.#components = components;
  }

  /** Whether a block that was applied here includes this delta of ours. */
  hasIncluded(blob: Cid): boolean {
    return this.#included.has(blob);
  }

  /** An execution whose deltas are gone must not hold up the changes behind it: the replica asks again. */
  execute({ request, execution }: EffectOf<'execute'>): void {
    const { engine, lane, signal, post } = this.#components;
    lane.enqueue(async () => {
      const late = AbortSignal.timeout(executeLoadMaxMs);
      const either = AbortSignal.any([late, signal]);
      const blobs = await loadDeltas(execution.inputs, this.#components, either).catch((error: unknown) => {
        if (late.aborted) return undefined;
        throw error;
      });
      const tensors = blobs && (await engine.execute(execution, blobs));
      post({ kind: 'executed', request, tensors });
    });
  }

  apply({ block, own: contribution }: EffectOf<'apply'>): void {
    const { run, engine, lane, signal } = this.#components;
    const { inputs } = block.execution;
    const own = inputs.find((input) => input.contribution === contribution)?.blob;
    if (own) this.#included.add(own);
    lane.enqueue(async () => {
      const blobs = await loadDeltas(inputs, this.#components, signal);
      await engine.apply(block.id, block.execution, blobs, own);
      if (block.height % run.snapshotEvery !== 0) return;
      const snapshot = engine.snapshot();
      this.#snapshots.set(block.id, snapshot);
      await snapshot;
    });
  }

  undo({ block }: EffectOf<'undo'>): void {
    const { engine, lane } = this.#components;
    this.#snapshots.delete(block);
    lane.enqueue(() => engine.undo(block));
  }

  settle({ block, entry, applied }: EffectOf<'settle'>): void {
    const { engine, lane, store } = this.#components;
    store.putEntry(entry);
    if (!applied) return;
    lane.enqueue(async () => {
      await engine.settle(block.id);
      const snapshot = await this.#snapshots.get(block.id);
      this.#snapshots.delete(block.id);
      if (snapshot) await store.adoptSnapshot(snapshot);
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
      if (this.#installing === installing) this.#installing = undefined;
      if (done) onEvent({ kind: 'installed', round: effect.height, bytes });
    });
  }
}
