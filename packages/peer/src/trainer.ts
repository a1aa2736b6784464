/**
 * Keeps the engine training and decides when a delta is due: after the run's inner steps, as soon as the replica may
 * contribute. While a contribution is being certified training goes on for the run's overlap, and without a bound once
 * that takes long: a peer that is alone still trains. One order waits in the engine while another is carried out, so
 * that it never waits for an answer from here.
 */
import { type RunConfig, tokensPerStep } from '@murmuration/base';
import type { EncodedDelta, Engine, TrainProgress } from '@murmuration/engine';
import type { Uplink } from '@murmuration/network';
import type { ReplicaView } from '@murmuration/protocol';
import { newcomerWarmupRounds, stepsPerOrder, trainCallsMax } from './defaults.ts';
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
  /** Inner steps of all lives, as far as we know. */
  #step: number;
  /** How many of them are in earlier deltas; unknown before the engine has said something. */
  #encodedSteps: number | undefined;
  /** What the engine was told to train and has not answered. */
  #ordered = { calls: 0, steps: 0 };
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
    this.#step = step;
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

  get #stepsSinceEncode(): number {
    return this.#encodedSteps === undefined ? 0 : this.#step - this.#encodedSteps;
  }

  /** Deltas may have taken more than was known when an answer was on its way, never less. */
  #noteEncoded(steps: number): void {
    this.#encodedSteps = Math.max(this.#encodedSteps ?? 0, steps);
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

  /** Up to when a delta is due in one go; while its predecessor is being certified in small pieces. */
  #stepsToTrain(): number {
    const { phase, pending, head } = this.#components.view();
    const { calls, steps: ordered } = this.#ordered;
    if (phase !== 'running' || calls >= trainCallsMax) return 0;
    const { steps, overlapSteps, viewTimeoutMs } = this.#run.round;
    this.#warmupLeft ??= this.#isFresh && head.height > 0 ? newcomerWarmupRounds * steps : 0;
    if (this.#warmupLeft > 0) return Math.max(0, this.#warmupLeft - ordered);
    const isWaiting = this.#encoding || pending !== undefined;
    const left = (isWaiting ? overlapSteps : steps) - this.#stepsSinceEncode - ordered;
    if (left > 0) {
      this.#blockedSinceMs = undefined;
      return isWaiting ? Math.min(left, stepsPerOrder) : left;
    }
    if (calls > 0) return 0;
    this.#blockedSinceMs ??= performance.now();
    return performance.now() - this.#blockedSinceMs >= viewTimeoutMs ? 1 : 0;
  }

  /** The view changed, or the engine did what it was told. */
  async #change(): Promise<void> {
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
      if (steps > 0) void this.#train(steps);
      else await this.#change();
    }
  }

  async #train(steps: number): Promise<void> {
    const { engine, view, onProgress, onFailure } = this.#components;
    this.#ordered.calls += 1;
    this.#ordered.steps += steps;
    try {
      const progress = await engine.train({ steps, round: view().head.height });
      this.#warmupLeft = Math.max(0, (this.#warmupLeft ?? 0) - (progress.step - this.#step));
      this.#step = progress.step;
      this.#noteEncoded(progress.step - progress.stepsSinceEncode);
      const roundTokens = this.#run.round.steps * tokensPerStep(this.#run);
      if (progress.tokensPerSecond > 0) this.#trainingMs = (1_000 * roundTokens) / progress.tokensPerSecond;
      onProgress(progress);
    } catch (error) {
      this.#running = false;
      onFailure(error);
    }
    this.#ordered.calls -= 1;
    this.#ordered.steps -= steps;
    this.#wake?.();
  }

  #encode(): void {
    const { head } = this.#components.view();
    this.#encoding = true;
    this.#blockedSinceMs = undefined;
    this.#components.lane.enqueue(async () => {
      const { uplink, peers } = this.#components.line();
      const k = this.#density.next(uplink, peers, this.#trainingMs);
      const encodedSteps = this.#encodedSteps ?? 0;
      const delta = await this.#components.engine.encode({ base: head.block, baseHeight: head.height, k });
      this.#density.note(delta.bytes.length);
      this.#noteEncoded(encodedSteps + delta.steps);
      await this.#components.onDelta(delta);
      this.#encoding = false;
      this.viewChanged();
    });
  }
}
