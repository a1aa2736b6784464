/**
 * One life of a peer: the production replica and a trainer, driven as a real peer would. Events wait in a queue; each
 * is handled, its effects are performed in order, and after any of them the process may be killed. What was under way
 * then (timers, fetches, training) belongs to the dead process and changes nothing any more.
 */
import {
  type BlockId,
  createReplica,
  type Effect,
  type Replica,
  type ReplicaEvent,
  type Verdict,
} from '@murmuration/protocol';
import { drawMs } from './distribution.ts';
import type { SimEffect } from './liars.ts';
import type { Setting, SimPeer } from './peer.ts';
import { perform } from './perform.ts';
import { createTrainer, type Trainer } from './trainer.ts';

export interface Life {
  readonly peer: SimPeer;
  readonly setting: Setting;
  readonly replica: Replica;
  readonly trainer: Trainer;
  readonly isAlive: boolean;
  /** Times on the peer's own clock. */
  readonly timers: Map<string, number>;
  /** Blobs that are being fetched. */
  readonly fetches: Set<string>;
  /** The block whose state is being fetched; a wish for another one replaces it. */
  installing: BlockId | undefined;
  /** Tokens of the training under way, as far as it has come. */
  readonly tokensInWork: number;
  start(): void;
  end(): void;
  /** `heard` is told the verdict on a message. */
  handle(event: ReplicaEvent, heard?: (verdict: Verdict) => void): void;
  /** Answers only this process, and not before it goes on after a pause. */
  later(delayMs: number, act: () => void): void;
}

interface Training {
  readonly startedMs: number;
  readonly durationMs: number;
  readonly tokens: number;
}

/** Steps of a round's training; tokens are drawn per round, so that weights differ. */
const stepsPerRound = 5;
const tokensPerRound = 1_000;

function createParts(peer: SimPeer, setting: Setting) {
  const { run, runId, runDigest, keys, reader, mutant, judge, traffic, world } = setting;
  const voteKey = peer.voteKeys > 0 ? keys.voteKeyOf(peer.index, peer.voteKeys) : undefined;
  const own = keys.componentsOf(peer.id);
  const verify: typeof own.verify = (...signed) => {
    traffic.checked(peer);
    if (peer.isHonest) judge.bounds.check(peer, world.now);
    return own.verify(...signed);
  };
  const components = { ...own, verify, ...(voteKey && { voteKey }) };
  const base = peer.disk.base?.bytes;
  const made = createReplica(
    {
      ...{ run: mutant?.run?.(run) ?? run, runId, self: peer.id, role: peer.role, wallMs: peer.clock.now },
      ...(base && { base }),
    },
    mutant?.components?.(components) ?? components,
  );
  const trainer = createTrainer(
    {
      self: peer.id,
      runDigest,
      k: run.delta.k,
      bits: run.delta.bits,
      feedback: run.delta.feedback,
      target: peer.target,
      random: peer.random.fork(`noise ${peer.effects}`),
      blobOf: (blob) => peer.disk.blobs.get(blob)?.bytes,
      reader,
      book: judge.work.book,
      aggregate: peer.index % 4 === 1 ? mutant?.aggregate : undefined,
      complain: (problem) => {
        if (peer.isHonest && peer.engine !== 'faulty') judge.complain(`G2: peer ${peer.index}: ${problem}`);
      },
    },
    peer.disk.checkpoint,
  );
  return { replica: mutant?.replica?.(made) ?? made, trainer: mutant?.trainer?.(trainer) ?? trainer };
}

/** An event that waits for its turn. */
interface Queued {
  readonly event: ReplicaEvent;
  readonly heard: ((verdict: Verdict) => void) | undefined;
}

class RunningLife implements Life {
  readonly peer: SimPeer;
  readonly setting: Setting;
  readonly replica: Replica;
  readonly trainer: Trainer;
  readonly timers: Map<string, number> = new Map();
  readonly fetches: Set<string> = new Set();
  installing: BlockId | undefined;
  readonly #queue: Queued[] = [];
  #isAlive = true;
  #isBusy = false;
  #training: Training | undefined;

  constructor(peer: SimPeer, setting: Setting) {
    const { replica, trainer } = createParts(peer, setting);
    this.peer = peer;
    this.setting = setting;
    this.replica = replica;
    this.trainer = trainer;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get tokensInWork(): number {
    if (!this.#training) return 0;
    const { startedMs, durationMs, tokens } = this.#training;
    return tokens * Math.min(1, (this.setting.world.now - startedMs) / durationMs);
  }

  start(): void {
    const { peer, replica, trainer } = this;
    const { disk } = peer;
    const { stand, undoable } = trainer;
    const applied = stand.height === 0 ? undefined : { block: stand.block, height: stand.height };
    this.handle({
      kind: 'start',
      records: [...disk.records.values()],
      ledger: disk.ledger.slice(disk.base?.height ?? 0),
      applied,
      undoable: undoable.map(({ block, height }) => ({ block, height })),
    });
    if (peer.invitation && this.#isAlive) this.handle({ kind: 'invited', invitation: peer.invitation });
    const { draft } = disk.checkpoint;
    if (draft && this.#isAlive && replica.view.pending?.blob !== draft.blob && trainer.pending === draft.blob)
      this.handle({ kind: 'contributed', draft });
    for (const { everyMs, act } of peer.liar?.habits ?? []) this.#repeat(everyMs, act);
    const { now } = this.setting.world;
    for (const jumpMs of peer.clock.jumpsMs)
      if (jumpMs > now) this.later(jumpMs - now, () => this.#noticeClock());
  }

  end(): void {
    this.#isAlive = false;
    this.#queue.length = 0;
  }

  handle(event: ReplicaEvent, heard?: (verdict: Verdict) => void): void {
    this.#queue.push({ event, heard });
    if (!this.#isBusy && this.setting.world.now >= this.peer.pausedUntilMs) this.#work();
  }

  later(delayMs: number, act: () => void): void {
    const { world } = this.setting;
    world.after(delayMs, () => {
      if (!this.#isAlive) return;
      const { pausedUntilMs } = this.peer;
      if (world.now < pausedUntilMs) this.later(pausedUntilMs - world.now, act);
      else act();
    });
  }

  #work(): void {
    const { peer, replica } = this;
    this.#isBusy = true;
    for (let item = this.#queue.shift(); item && this.#isAlive; item = this.#queue.shift()) {
      const event = peer.liar?.hears?.(item.event) ?? item.event;
      const effects = replica.handle(event, peer.clock.now);
      const [first] = effects;
      if (item.heard && first?.kind === 'verdict') item.heard(first.verdict);
      this.#perform(effects);
    }
    this.#isBusy = false;
    if (this.#isAlive) this.#train();
  }

  #perform(effects: readonly Effect[]): void {
    const { peer } = this;
    const { judge } = this.setting;
    const bent: readonly SimEffect[] = peer.liar?.bend?.(effects, this) ?? effects;
    if (peer.isHonest) judge.bounds.effects(bent.length);
    for (const effect of bent) {
      perform(this, effect);
      judge.performed(effect.kind);
      peer.effects++;
      const crash = peer.crashes.get(peer.effects);
      if (crash) this.#crash(crash);
      if (!this.#isAlive) return;
    }
  }

  #crash({ downMs, aloneMs = 0 }: { readonly downMs: number; readonly aloneMs?: number }): void {
    const { peer, setting } = this;
    const { world, network } = setting;
    peer.aloneUntilMs = world.now + downMs + aloneMs;
    if (aloneMs) world.after(downMs + aloneMs, () => network.join(peer));
    world.after(downMs, peer.start);
    peer.kill();
  }

  /** The clock was set: timers that are due now fire. */
  #noticeClock(): void {
    for (const [name, at] of [...this.timers])
      if (this.#isAlive && at <= this.peer.clock.now && this.timers.delete(name))
        this.handle({ kind: 'timer', name });
  }

  #repeat(everyMs: number, act: (life: Life) => readonly SimEffect[]): void {
    this.later(everyMs, () => {
      for (const effect of act(this)) if (this.#isAlive) perform(this, effect);
      if (this.#isAlive && !this.peer.hasEnded) this.#repeat(everyMs, act);
    });
  }

  #train(): void {
    if (this.#training || !this.replica.view.mayContribute) return;
    const { scenario, world } = this.setting;
    const { random, traits } = this.peer;
    const durationMs = drawMs(scenario.training, random) * (traits.trainFactor ?? 1);
    const tokens = tokensPerRound + random.below(tokensPerRound);
    this.#training = { startedMs: world.now, durationMs, tokens };
    this.later(durationMs, () => {
      this.#training = undefined;
      this.trainer.train(stepsPerRound);
      this.#contribute(tokens);
    });
  }

  #contribute(tokens: number): void {
    const { peer, replica, trainer } = this;
    const { judge, world } = this.setting;
    if (!replica.view.mayContribute || trainer.pending) return;
    const { bytes, draft } = trainer.encode(tokens, stepsPerRound);
    peer.disk.blobs.set(draft.blob, { bytes, height: draft.baseHeight });
    peer.disk.checkpoint = trainer.checkpoint();
    if (peer.isHonest) judge.work.encoded(peer, draft, world.now);
    judge.commit.held(peer, draft.blob, world.now);
    this.handle({ kind: 'contributed', draft });
  }
}

/** A life that has not started; a peer has one at a time. */
export const createLife = (peer: SimPeer, setting: Setting): Life => new RunningLife(peer, setting);
