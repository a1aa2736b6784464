/**
 * The peers of one run as processes, and everything that is watched about them. The fleet makes the folders and the
 * run, starts `murmur` for each, kills and restarts. What the peers report goes to the memory and the ledgers; what
 * they sign goes to the witness, from the listeners (on the wire) and from their folders (on disk). The peers know
 * nothing of all this: the fleet uses their command line, their JSON events and, read-only, their folders.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cid, runDigest, second } from '@murmuration/base';
import { type PeerEvent, textModel } from '@murmuration/peer';
import { verifySignature } from '@murmuration/store';
import { foundRun } from '../../src/demo/found-run.ts';
import { PeerProcess } from '../../src/demo/peer-process.ts';
import { CliError } from '../../src/errors.ts';
import { formatRunLink } from '../../src/run-link.ts';
import { model, stallSeconds, training } from './defaults.ts';
import { readFolder } from './folder.ts';
import { areEqual, Ledgers, type Round } from './ledgers.ts';
import { Listener } from './listening.ts';
import { Memory } from './memory.ts';
import { Witness } from './witness.ts';

export interface FleetInit {
  readonly directory: string;
  readonly peers: number;
  /** Of the run. */
  readonly rounds: number;
  readonly graceMs: number;
  readonly viewTimeoutMs: number;
  /** Of the memory's table. */
  readonly roundsPerMark: number;
  /** Where a peer listens, and the command that runs its process. */
  listen(index: number): string;
  launcher?(index: number): readonly string[];
  onNews(text: string): void;
}

/** What is said about the whole run at its end. */
export interface Outcome {
  readonly equalRoots: boolean;
  /** Heights that somebody showed and that the ledgers at the end lack. */
  readonly lostRounds: readonly number[];
  /** Height of the shortest ledger. */
  readonly height: number;
}

interface Member {
  readonly process: PeerProcess;
  readonly lives: { round: number; ended: boolean };
  /** Height up to which its folder was read. */
  read: number;
}

const textOf = (index: number): string =>
  Array.from({ length: 600 }, (_, line) => `peer ${index} says that line ${line} follows ${line - 1}`).join(
    '\n',
  );

export class Fleet {
  readonly runId: Cid;
  readonly witness: Witness;
  readonly ledgers: Ledgers = new Ledgers();
  readonly memory: Memory;
  readonly #init: FleetInit;
  readonly #members: Member[];
  readonly #listeners: Listener[] = [];
  readonly #failure = Promise.withResolvers<never>();
  #waiting: { isDone(): boolean; resolve(): void }[] = [];
  #link = '';
  /** Counted, not read from a clock: a machine that sleeps, or stops us all, is no stall. */
  #secondsWithoutProgress = 0;
  #round = 0;

  /** Makes the folders and the run, of which all are founders. */
  static async create(init: FleetInit): Promise<Fleet> {
    const folders = Array.from({ length: init.peers }, (_, index) => join(init.directory, `peer-${index}`));
    for (const [index] of folders.entries()) {
      mkdirSync(init.directory, { recursive: true });
      writeFileSync(join(init.directory, `peer-${index}.txt`), textOf(index));
    }
    const { run, runId } = await foundRun(folders, {
      name: 'chaos',
      rounds: init.rounds,
      steps: training.steps,
      overlapSteps: training.overlapSteps,
      batch: training.batch,
      model: textModel(model),
      snapshotEvery: training.snapshotEvery,
      graceMs: init.graceMs,
      viewTimeoutMs: init.viewTimeoutMs,
    });
    return new Fleet(init, runId, run.founders);
  }

  private constructor(init: FleetInit, runId: Cid, founders: WitnessSigners) {
    this.#init = init;
    this.runId = runId;
    this.witness = new Witness({ run: runDigest(runId), signers: founders, verify: verifySignature });
    this.memory = new Memory(init.roundsPerMark);
    this.#failure.promise.catch(() => undefined);
    this.#members = Array.from({ length: init.peers }, (_, index) => this.#createMember(index));
  }

  /** The newest round that any peer reported. */
  get round(): number {
    return this.#round;
  }

  /** Newest certified round of one peer. */
  roundOf(index: number): number {
    return this.#members[index]?.lives.round ?? 0;
  }

  /** Indices of the peers whose process runs. */
  get running(): number[] {
    return [...this.#members.keys()].filter((index) => this.#members[index]?.process.running);
  }

  get restarts(): number {
    return this.#members.reduce((sum, { process }) => sum + Math.max(0, process.lives - 1), 0);
  }

  /** The first peer founds, a listener joins where asked, then all others. */
  async start(
    listeners: readonly { readonly listen: string; readonly launcher?: readonly string[] }[],
  ): Promise<void> {
    const [first, ...others] = this.#members;
    if (!first) return;
    const address = await first.process.start();
    this.#link = formatRunLink({ runId: this.runId, peers: [address] });
    for (const place of listeners)
      this.#listeners.push(
        new Listener({
          ...place,
          runId: this.runId,
          bootstrap: [address],
          onMessage: (bytes) => this.witness.hearMessage(bytes, 'the wire'),
          onEnd: (error) => this.#failure.reject(error),
        }),
      );
    await Promise.all(
      others.map(({ process }, index) => process.start(['join', this.#link, ...this.#options(index + 1)])),
    );
  }

  /** SIGKILL to all at once; then their folders are read. */
  async kill(indices: readonly number[]): Promise<void> {
    await Promise.all(indices.map((index) => this.#members[index]?.process.kill()));
    for (const index of indices) this.read(index);
  }

  async restart(index: number): Promise<void> {
    await this.#members[index]?.process.start(['start', ...this.#options(index)]);
  }

  /** Reads what is new in a peer's folder. */
  read(index: number): void {
    const member = this.#members[index];
    if (!member) return;
    const rounds = readFolder(member.process.directory, `the folder of peer ${index}`, this, member.read + 1);
    member.read = rounds.at(-1)?.height ?? member.read;
  }

  /** Resolves once all these peers have certified a round; rejects when a peer fails or nothing happens any more. */
  async reach(round: number, indices: readonly number[] = [...this.#members.keys()]): Promise<void> {
    await this.#until(() => indices.every((index) => this.roundOf(index) >= round));
  }

  /** Resolves once the run's last round is final at every peer. */
  async ended(): Promise<void> {
    await this.#until(() => this.#members.every(({ lives }) => lives.ended));
  }

  /** Stops everything and judges the folders; `height` is what each must have reached. */
  async finish(height: number): Promise<Outcome> {
    await this.stop();
    const finals: Round[][] = this.#members.map(({ process }, index) =>
      readFolder(process.directory, `the folder of peer ${index}`, this),
    );
    return {
      equalRoots: areEqual(finals, height),
      lostRounds: this.ledgers.lost(finals),
      height: Math.min(...finals.map((rounds) => rounds.at(-1)?.height ?? 0)),
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#members.map(({ process }) => process.stop()));
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.stop()));
  }

  /** For the last moment of this process. */
  killNow(): void {
    for (const { process } of this.#members) process.killNow();
    for (const listener of this.#listeners) listener.killNow();
  }

  remove(): void {
    rmSync(this.#init.directory, { recursive: true, force: true });
  }

  #createMember(index: number): Member {
    const lives = { round: 0, ended: false };
    const directory = join(this.#init.directory, `peer-${index}`);
    const launcher = this.#init.launcher?.(index);
    const process = new PeerProcess({
      language: `peer ${index}`,
      directory,
      command: ['start', ...this.#options(index)],
      ...(launcher ? { launcher } : {}),
      onEvent: (event) => this.#note(index, lives, event),
      onCrash: (error) => {
        if (!lives.ended) this.#failure.reject(error);
      },
    });
    return { process, lives, read: 0 };
  }

  #options(index: number): string[] {
    const { directory, listen } = this.#init;
    return [
      ...['--store', join(directory, `peer-${index}`), '--data', join(directory, `peer-${index}.txt`)],
      ...['--listen', listen(index), '--no-mdns', '--threads', '1', '--device', 'cpu', '--niceness', '0'],
    ];
  }

  #note(index: number, lives: Member['lives'], event: PeerEvent): void {
    if (event.kind === 'status') this.memory.note(event.status);
    if (event.kind === 'diverged' || event.kind === 'engine-restarted')
      this.#init.onNews(`peer ${index}: ${JSON.stringify(event)}`);
    if (event.kind === 'diverged')
      this.#failure.reject(failure(`peer ${index} computed another state at round ${event.round}`));
    if (event.kind === 'certified' || event.kind === 'ended') {
      this.ledgers.show(event.round, event.stateRoot);
      lives.round = Math.max(lives.round, event.round);
    }
    if (event.kind === 'installed') lives.round = Math.max(lives.round, event.round);
    if (event.kind === 'ended') lives.ended = true;
    if (lives.round > this.#round) {
      this.#round = lives.round;
      this.#secondsWithoutProgress = 0;
      if (this.#round % this.#init.roundsPerMark === 0) this.#init.onNews(`round ${this.#round}`);
    }
    const done = this.#waiting.filter(({ isDone }) => isDone());
    this.#waiting = this.#waiting.filter(({ isDone }) => !isDone());
    for (const { resolve } of done) resolve();
  }

  async #until(isDone: () => boolean): Promise<void> {
    if (isDone()) return;
    this.#secondsWithoutProgress = 0;
    const check = setInterval(() => {
      this.#secondsWithoutProgress += 1;
      if (this.#secondsWithoutProgress > stallSeconds)
        this.#failure.reject(failure(`no round was certified for ${stallSeconds} s: ${this.#standings()}`));
    }, 1 * second);
    const done = new Promise<void>((resolve) => this.#waiting.push({ isDone, resolve }));
    try {
      await Promise.race([done, this.#failure.promise]);
    } finally {
      clearInterval(check);
    }
  }

  #standings(): string {
    return this.#members
      .map(({ process, lives }, index) => {
        const state = process.running ? (process.status?.phase ?? 'starting') : 'stopped';
        return `peer ${index} ${state} at round ${lives.round}`;
      })
      .join(', ');
  }
}

type WitnessSigners = ConstructorParameters<typeof Witness>[0]['signers'];

const failure = (message: string): CliError => new CliError(message, { code: 'process-failed' });
