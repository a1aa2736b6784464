/**
 * Keeps the engine training and decides when a delta is due: after the run's inner steps, as soon as the replica may
 * contribute. While a contribution is being certified training goes on for the run's overlap, and without a bound once
 * that takes long: a peer that is alone still trains.
 */
import { type RunConfig, tokensPerStep } from '@murmuration/base';
import type { EncodedDelta, Engine, TrainProgress } from '@murmuration/engine';
import type { Uplink } from '@murmuration/network';
import type { ReplicaView } from '@murmuration/protocol';
import { newcomerWarmupRounds } from './defaults.ts';
import { Density } from './density.ts';
import type { EngineLane } from './engine-lane.ts';

interface TrainerInit {
  readonly run: RunConfig;
  /** Steps done in this engine's earlier lives. */
  readonly step: number;
}

interface TrainerComponents {
  readonly engine: Pick<Engine, 'train' | 'pause' | 'encode'>;
  readonly lane: EngineLane;
  /** What our line carries, and to how many. */
  line(): { readonly uplink: Uplink; readonly peers: number };
  view(): ReplicaView;
  /** Whether the lane has been given all that led to the current view: only then is its head the engine's next one. */
  laneFollowsView(): boolean;
  onDelta(delta: EncodedDelta): Promise<void>;
  onProgress(progress: TrainProgress): void;
  onFailure(error: unknown): void;
}

export class Trainer {
  readonly #run: RunConfig;
  readonly #isFresh: boolean;
  readonly #components: TrainerComponents;
  readonly #density: Density;
  /** Inner steps of one round at the present speed. */
  #trainingMs: number | undefined;
  #stepsSinceEncode = 0;
  /** Set by the first look at the view of a peer that has caught up. */
  #warmupLeft: number | undefined;
  #blockedSinceMs: number | undefined;
  #encoding = false;
  #running = false;
  #wake: (() => void) | undefined;

  constructor({ run, step }: TrainerInit, components: TrainerComponents) {
    this.#run = run;
    this.#components = components;
    this.#isFresh = step === 0;
    this.#density = new Density(run);
  }

  start(): void {
    this.#running = true;
    this.#loop().catch((error: unknown) => this.#components.onFailure(error));
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#wake?.();
    await this.#components.engine.pause();
  }

  /** The replica's view changed: a delta may be due now, or there may be room to train again. */
  viewChanged(): void {
    if (this.#running && this.#deltaIsDue()) this.#encode();
    this.#wake?.();
  }

  #deltaIsDue(): boolean {
    return (
      !this.#encoding &&
      this.#warmupLeft === 0 &&
      this.#stepsSinceEncode >= this.#run.round.steps &&
      this.#components.laneFollowsView() &&
      this.#components.view().mayContribute
    );
  }

  /** Up to when a delta is due in one go; while its predecessor is being certified step by step, to lose no time. */
  #stepsToTrain(): number {
    const { phase, pending, head } = this.#components.view();
    if (phase !== 'running') return 0;
    const { steps, overlapSteps, viewTimeoutMs } = this.#run.round;
    this.#warmupLeft ??= this.#isFresh && head.height > 0 ? newcomerWarmupRounds * steps : 0;
    if (this.#warmupLeft > 0) return this.#warmupLeft;
    const isWaiting = this.#encoding || pending !== undefined;
    const left = (isWaiting ? overlapSteps : steps) - this.#stepsSinceEncode;
    if (left > 0) {
      this.#blockedSinceMs = undefined;
      return isWaiting ? 1 : left;
    }
    this.#blockedSinceMs ??= performance.now();
    return performance.now() - this.#blockedSinceMs >= viewTimeoutMs ? 1 : 0;
  }

  async #viewChange(): Promise<void> {
    const change = Promise.withResolvers<void>();
    this.#wake = change.resolve;
    const timer = setTimeout(change.resolve, this.#run.round.viewTimeoutMs);
    await change.promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }

  async #loop(): Promise<void> {
    while (this.#running) {
      if (this.#deltaIsDue()) {
        this.#encode();
        await new Promise((resolve) => setImmediate(resolve));
      }
      const steps = this.#stepsToTrain();
      if (steps === 0) {
        await this.#viewChange();
        continue;
      }
      const progress = await this.#components.engine.train({
        steps,
        round: this.#components.view().head.height,
      });
      const done = progress.stepsSinceEncode - this.#stepsSinceEncode;
      this.#warmupLeft = Math.max(0, (this.#warmupLeft ?? 0) - Math.max(0, done));
      this.#stepsSinceEncode = progress.stepsSinceEncode;
      const roundTokens = this.#run.round.steps * tokensPerStep(this.#run);
      if (progress.tokensPerSecond > 0) this.#trainingMs = (1_000 * roundTokens) / progress.tokensPerSecond;
      this.#components.onProgress(progress);
    }
  }

  #encode(): void {
    const { head } = this.#components.view();
    this.#encoding = true;
    this.#blockedSinceMs = undefined;
    this.#components.lane.enqueue(async () => {
      const { uplink, peers } = this.#components.line();
      const k = this.#density.next(uplink, peers, this.#trainingMs);
      const delta = await this.#components.engine.encode({ base: head.block, baseHeight: head.height, k });
      this.#density.note(delta.bytes.length);
      this.#stepsSinceEncode = 0;
      await this.#components.onDelta(delta);
      this.#encoding = false;
      this.viewChanged();
    });
  }
}
