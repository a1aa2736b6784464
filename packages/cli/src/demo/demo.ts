/**
 * The demo plays both sides: it founds a run, starts one process per language, kills one, brings it back, lets a
 * fifth join by the link, and at the end measures what was learned. The peers know nothing of the demo; it talks to
 * them by their command line and reads their JSON events.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cid } from '@murmuration/base';
import { createRun, freshNonce, type PeerEvent, storeRun, textModel } from '@murmuration/peer';
import { openStore, processUsing } from '@murmuration/store';
import { CliError } from '../errors.ts';
import { formatBytes } from '../format.ts';
import { invite } from '../invite.ts';
import { formatRunLink } from '../run-link.ts';
import { prepareCorpus } from './corpus.ts';
import {
  absenceMinMs,
  languageName,
  languages,
  lastStatusMs,
  model,
  script,
  stallTimeoutMs,
  training,
} from './defaults.ts';
import { PeerProcess } from './peer-process.ts';

export interface DemoOptions {
  readonly directory: string;
  /** Inner steps of each peer. */
  readonly steps: number;
  readonly signal: AbortSignal;
}

export interface DemoWatcher {
  /** Something worth a line of words. */
  onEvent(text: string): void;
  onPeers(peers: readonly PeerProcess[], rounds: number): void;
}

export interface DemoRun {
  readonly peers: readonly PeerProcess[];
  readonly killed: { readonly language: string; readonly round: number; readonly backAtRound: number };
  readonly late: {
    readonly language: string;
    readonly round: number;
    readonly firstContribution: number | undefined;
  };
  readonly rounds: number;
  readonly parameters: number;
  readonly seconds: number;
  textFolder(language: string): string;
}

const marker = '.murmuration-demo';

/** An empty folder; only one that an earlier demo made is emptied. */
function prepareFolder(directory: string): void {
  if (existsSync(directory) && !existsSync(join(directory, marker)))
    throw new CliError(`${directory} exists and was not made by a demo: choose another with --directory`, {
      code: 'store-exists',
      directory,
    });
  for (const language of [...languages.founders, languages.late]) {
    const pid = processUsing(join(directory, 'peers', language));
    if (pid !== undefined)
      throw new CliError(
        `a demo runs in ${directory} already (process ${pid}): choose another with --directory`,
        {
          code: 'store-exists',
          directory,
          pid,
        },
      );
  }
  rmSync(join(directory, 'peers'), { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, marker), '');
}

export class Demo {
  readonly #options: DemoOptions;
  readonly #watcher: DemoWatcher;
  readonly #peers: PeerProcess[] = [];
  readonly #rounds: number;
  readonly #failure = Promise.withResolvers<never>();
  readonly #everyoneEnded = Promise.withResolvers<void>();
  #everyoneStarted = false;
  #round = 0;
  #lastRoundMs = performance.now();
  #lateFirstContribution: number | undefined;
  #waiters: { round: number; resolve: () => void }[] = [];

  constructor(options: DemoOptions, watcher: DemoWatcher) {
    this.#options = options;
    this.#watcher = watcher;
    this.#rounds = Math.max(4, Math.round(options.steps / training.stepsPerRound));
    this.#failure.promise.catch(() => undefined);
  }

  /** Runs the whole script; on any failure or abort no process is left behind. */
  async run(): Promise<DemoRun> {
    const stopAll = (): void => {
      for (const peer of this.#peers) peer.killNow();
    };
    const abort = (): void =>
      this.#failure.reject(new CliError('the demo was interrupted', { code: 'demo-failed' }));
    this.#options.signal.addEventListener('abort', abort, { once: true });
    process.once('exit', stopAll);
    const stallCheck = setInterval(() => this.#checkStall(), 1_000);
    try {
      return await Promise.race([this.#play(), this.#failure.promise]);
    } catch (error) {
      await Promise.all(this.#peers.map((peer) => peer.stop()));
      throw error;
    } finally {
      clearInterval(stallCheck);
      this.#options.signal.removeEventListener('abort', abort);
      process.off('exit', stopAll);
    }
  }

  async #play(): Promise<DemoRun> {
    const { directory } = this.#options;
    prepareFolder(directory);
    const all = [...languages.founders, languages.late];
    this.#watcher.onEvent(`preparing text in ${all.length} languages`);
    await prepareCorpus(join(directory, 'text'), all);

    const { runId, parameters } = await this.#found();
    this.#lastRoundMs = performance.now();
    const startedMs = performance.now();
    const link = await this.#startFounders(runId);
    const [killedFacts, lateFacts] = await Promise.all([
      this.#killAndRestart(),
      this.#joinLate(link),
      this.#reach(this.#rounds),
    ]);
    this.#everyoneStarted = true;
    this.#wake();
    await this.#everyoneEnded.promise;
    const seconds = (performance.now() - startedMs) / 1_000;
    await new Promise((resolve) => setTimeout(resolve, lastStatusMs));
    const peers = [...this.#peers];
    for (const peer of peers) await peer.stop();
    return {
      peers,
      killed: killedFacts,
      late: { ...lateFacts, firstContribution: this.#lateFirstContribution },
      rounds: this.#rounds,
      parameters,
      seconds,
      textFolder: (language) => this.#textFolder(language),
    };
  }

  #textFolder(language: string): string {
    return join(this.#options.directory, 'text', language);
  }

  #storeFolder(language: string): string {
    return join(this.#options.directory, 'peers', language);
  }

  /** Makes the founders' keys and the run; the first founder's folder holds its settings and its graph. */
  async #found(): Promise<{ runId: Cid; parameters: number }> {
    const stores = languages.founders.map((language) =>
      openStore({ directory: this.#storeFolder(language) }),
    );
    const created = createRun({
      name: 'demo',
      nonce: freshNonce(),
      founders: stores.map(({ identity }) => identity.peer),
      rounds: this.#rounds,
      steps: training.stepsPerRound,
      overlapSteps: training.overlapSteps,
      batch: training.batch,
      inner: { learningRate: training.learningRate },
      model: textModel(model),
      k: training.k,
      bits: training.bits,
      kappa: training.kappa,
      outerStep: training.outerStep,
      feedback: training.feedback,
      snapshotEvery: 16,
      graceMs: training.graceMs,
      viewTimeoutMs: training.viewTimeoutMs,
    });
    const { run, runId } = created;
    for (const store of stores) store.bindRun(runId);
    if (stores[0]) await storeRun(stores[0], created);
    for (const store of stores) store.close();
    return { runId, parameters: run.initial.parameters };
  }

  #createPeer(language: string, command: readonly string[]): PeerProcess {
    const peer: PeerProcess = new PeerProcess({
      language,
      directory: this.#storeFolder(language),
      command,
      onEvent: (event) => this.#noteEvent(peer, event),
      onCrash: (error) => this.#failure.reject(error),
    });
    this.#peers.push(peer);
    return peer;
  }

  #peerOptions(language: string): string[] {
    return [
      ...['--store', this.#storeFolder(language), '--data', this.#textFolder(language)],
      ...['--listen', '/ip4/127.0.0.1/tcp/0', '--no-mdns', '--threads', '1'],
    ];
  }

  async #startFounders(runId: Cid): Promise<string> {
    const [first, ...others] = languages.founders;
    const address = await this.#createPeer(first, ['start', ...this.#peerOptions(first)]).start();
    const link = formatRunLink({ runId, peers: [address] });
    this.#watcher.onEvent(`the ${languageName(first)} peer founded the run and waits; link: ${link}`);
    await Promise.all(
      others.map((language) =>
        this.#createPeer(language, ['join', link, ...this.#peerOptions(language)]).start(),
      ),
    );
    this.#watcher.onEvent(`${languages.founders.length} peers run; each looks for the others in the DHT`);
    return link;
  }

  async #killAndRestart(): Promise<DemoRun['killed']> {
    const victim = this.#peers[1] as PeerProcess;
    await this.#reach(Math.max(2, Math.floor(script.killAt * this.#rounds)));
    const round = victim.status?.round ?? this.#round;
    this.#watcher.onEvent(`killing the ${languageName(victim.language)} peer (SIGKILL) after round ${round}`);
    await victim.kill();
    await Promise.all([
      this.#reach(Math.max(round + 1, Math.floor(script.restartAt * this.#rounds))),
      new Promise((resolve) => setTimeout(resolve, absenceMinMs)),
    ]);
    const backAtRound = this.#round;
    this.#watcher.onEvent(
      `starting the ${languageName(victim.language)} peer again from its store, ${backAtRound - round} rounds behind`,
    );
    await victim.start(['start', ...this.#peerOptions(victim.language)]);
    return { language: victim.language, round, backAtRound };
  }

  async #joinLate(link: string): Promise<{ language: string; round: number }> {
    const language = languages.late;
    await this.#reach(Math.max(3, Math.floor(script.lateAt * this.#rounds)));
    const invited = await this.#inviteLate(link);
    const round = this.#round;
    this.#watcher.onEvent(
      `a fifth peer (${languageName(language)}) joins with the run link, at round ${round}`,
    );
    await this.#createPeer(language, ['join', invited, ...this.#peerOptions(language)]).start();
    return { language, round };
  }

  /** The first founder invites the late peer's key; the invitation travels in the link. */
  async #inviteLate(link: string): Promise<string> {
    const own = openStore({ directory: this.#storeFolder(languages.late) });
    const guest = own.identity.peer;
    own.close();
    const invited = await invite({ directory: this.#storeFolder(languages.founders[0]), guest, link });
    return invited.link;
  }

  #noteEvent(peer: PeerProcess, event: PeerEvent): void {
    if (event.kind === 'status') this.#watcher.onPeers(this.#peers, this.#rounds);
    if (event.kind === 'certified') this.#noteCertified(peer, event.round, event.own);
    if (event.kind === 'ended') this.#wake();
    if (event.kind === 'diverged') {
      const { round, computed, expected } = event;
      const text = `the ${languageName(peer.language)} peer computed ${computed} at round ${round}, the others certified ${expected}`;
      this.#failure.reject(new CliError(text, { code: 'demo-failed', round }));
    }
    const words = wordsFor(event, peer.language, peer === this.#peers[0]);
    if (words) this.#watcher.onEvent(words);
  }

  #noteCertified(peer: PeerProcess, round: number, own: boolean): void {
    if (peer.language === languages.late && own && this.#lateFirstContribution === undefined) {
      this.#lateFirstContribution = round;
      this.#watcher.onEvent(
        `round ${round} is the first with work of the ${languageName(peer.language)} peer`,
      );
    }
    if (round <= this.#round) return;
    this.#round = round;
    this.#lastRoundMs = performance.now();
    this.#wake();
  }

  #wake(): void {
    const due = this.#waiters.filter(({ round }) => round <= this.#round);
    this.#waiters = this.#waiters.filter(({ round }) => round > this.#round);
    for (const { resolve } of due) resolve();
    if (this.#everyoneStarted && this.#peers.every(({ endRoot }) => endRoot !== undefined))
      this.#everyoneEnded.resolve();
  }

  #reach(round: number): Promise<void> {
    if (this.#round >= round) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ round, resolve }));
  }

  #checkStall(): void {
    if (performance.now() - this.#lastRoundMs > stallTimeoutMs)
      this.#failure.reject(
        new CliError(`no round was certified for ${stallTimeoutMs / 1_000} s (last: ${this.#round})`, {
          code: 'demo-failed',
          round: this.#round,
        }),
      );
  }
}

/** Events that a spectator wants in words; those that every peer reports are told once, by the first. */
function wordsFor(event: PeerEvent, language: string, isFirst: boolean): string | undefined {
  switch (event.kind) {
    case 'opened':
      return event.restored
        ? `the ${languageName(language)} peer is back, at round ${event.head} of its checkpoint`
        : undefined;
    case 'installed':
      return `the ${languageName(language)} peer downloaded and verified the state of round ${event.round}: ${formatBytes(event.bytes)}`;
    case 'engine-restarted':
      return `the ${languageName(language)} peer started its engine again: ${event.reason}`;
    case 'admitted':
      return isFirst ? `the invited peer is a member from epoch ${event.epoch} on` : undefined;
    case 'skipped':
      return isFirst ? `view ${event.view} was skipped: its proposer did not answer` : undefined;
    default:
      return undefined;
  }
}
