/**
 * The demo plays both sides: it founds a run, starts one process per language, kills one, brings it back, lets a
 * fifth join by the link, and at the end measures what was learned. The peers know nothing of the demo; it talks to
 * them by their command line and reads their JSON events.
 */
import type { Cid } from '@murmuration/base';
import type { PeerEvent } from '@murmuration/peer';
import { openStore } from '@murmuration/store';
import { CliError } from '../errors.ts';
import { invite } from '../invite.ts';
import { formatRunLink } from '../run-link.ts';
import { prepareCorpus } from './corpus.ts';
import {
  absenceMinMs,
  languageName,
  languages,
  lastStatusMs,
  script,
  stallTimeoutMs,
  training,
} from './defaults.ts';
import { type DemoFolder, prepareFolder } from './demo-folder.ts';
import { wordsFor } from './event-words.ts';
import { demoRun, foundRun } from './found-run.ts';
import { PeerProcess } from './peer-process.ts';
import { RoundWatch } from './round-watch.ts';

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

const peerOptions = ({ storeOf, textOf }: DemoFolder, language: string): string[] => [
  ...['--store', storeOf(language), '--data', textOf(language)],
  ...['--listen', '/ip4/127.0.0.1/tcp/0', '--no-mdns', '--threads', '1'],
];

export class Demo {
  readonly #options: DemoOptions;
  readonly #watcher: DemoWatcher;
  readonly #peers: PeerProcess[] = [];
  readonly #rounds: number;
  readonly #failure = Promise.withResolvers<never>();
  readonly #everyoneEnded = Promise.withResolvers<void>();
  readonly #watch = new RoundWatch();
  #everyoneStarted = false;
  #lateFirstContribution: number | undefined;

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
    const folder = prepareFolder(directory);
    const all = [...languages.founders, languages.late];
    this.#watcher.onEvent(`preparing text in ${all.length} languages`);
    await prepareCorpus(folder.texts, all);

    const { runId, parameters } = await this.#found(folder);
    this.#watch.begin();
    const startedMs = performance.now();
    const link = await this.#startFounders(folder, runId);
    const [killedFacts, lateFacts] = await Promise.all([
      this.#killAndRestart(folder),
      this.#joinLate(folder, link),
      this.#watch.reach(this.#rounds),
    ]);
    this.#everyoneStarted = true;
    this.#noteEnd();
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
      textFolder: folder.textOf,
    };
  }

  /** Makes the founders' keys and the run; the first founder's folder holds its settings and its graph. */
  async #found(folder: DemoFolder): Promise<{ runId: Cid; parameters: number }> {
    const { run, runId } = await foundRun(languages.founders.map(folder.storeOf), demoRun(this.#rounds));
    return { runId, parameters: run.initial.parameters };
  }

  #createPeer(folder: DemoFolder, language: string, ...command: string[]): PeerProcess {
    const peer: PeerProcess = new PeerProcess({
      language,
      directory: folder.storeOf(language),
      command: [...command, ...peerOptions(folder, language)],
      onEvent: (event) => this.#noteEvent(peer, event),
      onCrash: (error) => this.#failure.reject(error),
    });
    this.#peers.push(peer);
    return peer;
  }

  async #startFounders(folder: DemoFolder, runId: Cid): Promise<string> {
    const [first, ...others] = languages.founders;
    const address = await this.#createPeer(folder, first, 'start').start();
    const link = formatRunLink({ runId, peers: [address] });
    this.#watcher.onEvent(`the ${languageName(first)} peer founded the run and waits; link: ${link}`);
    await Promise.all(others.map((language) => this.#createPeer(folder, language, 'join', link).start()));
    this.#watcher.onEvent(`${languages.founders.length} peers run; each looks for the others in the DHT`);
    return link;
  }

  async #killAndRestart(folder: DemoFolder): Promise<DemoRun['killed']> {
    const victim = this.#peers[1] as PeerProcess;
    await this.#watch.reach(Math.max(2, Math.floor(script.killAt * this.#rounds)));
    const round = victim.status?.round ?? this.#watch.round;
    this.#watcher.onEvent(`killing the ${languageName(victim.language)} peer (SIGKILL) after round ${round}`);
    await victim.kill();
    await Promise.all([
      this.#watch.reach(Math.max(round + 1, Math.floor(script.restartAt * this.#rounds))),
      new Promise((resolve) => setTimeout(resolve, absenceMinMs)),
    ]);
    const backAtRound = this.#watch.round;
    this.#watcher.onEvent(
      `starting the ${languageName(victim.language)} peer again from its store, ${backAtRound - round} rounds behind`,
    );
    await victim.start(['start', ...peerOptions(folder, victim.language)]);
    return { language: victim.language, round, backAtRound };
  }

  async #joinLate(folder: DemoFolder, link: string): Promise<{ language: string; round: number }> {
    const language = languages.late;
    await this.#watch.reach(Math.max(3, Math.floor(script.lateAt * this.#rounds)));
    const invited = await this.#inviteLate(folder, link);
    const round = this.#watch.round;
    this.#watcher.onEvent(
      `a fifth peer (${languageName(language)}) joins with the run link, at round ${round}`,
    );
    await this.#createPeer(folder, language, 'join', invited).start();
    return { language, round };
  }

  /** The first founder invites the late peer's key; the invitation travels in the link. */
  async #inviteLate(folder: DemoFolder, link: string): Promise<string> {
    const own = openStore({ directory: folder.storeOf(languages.late) });
    const guest = own.identity.peer;
    own.close();
    const invited = await invite({ directory: folder.storeOf(languages.founders[0]), guest, link });
    return invited.link;
  }

  #noteEvent(peer: PeerProcess, event: PeerEvent): void {
    if (event.kind === 'status') this.#watcher.onPeers(this.#peers, this.#rounds);
    if (event.kind === 'certified') this.#noteCertified(peer, event.round, event.own);
    if (event.kind === 'ended') this.#noteEnd();
    if (event.kind === 'diverged') {
      const { round, computed, expected } = event;
      const text =
        `the ${languageName(peer.language)} peer computed ${computed} at round ${round}, ` +
        `the others certified ${expected}`;
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
    this.#watch.note(round);
  }

  #noteEnd(): void {
    if (this.#everyoneStarted && this.#peers.every(({ endRoot }) => endRoot !== undefined))
      this.#everyoneEnded.resolve();
  }

  #checkStall(): void {
    const { round, quietMs } = this.#watch;
    if (quietMs > stallTimeoutMs)
      this.#failure.reject(
        new CliError(`no round was certified for ${stallTimeoutMs / 1_000} s (last: ${round})`, {
          code: 'demo-failed',
          round,
        }),
      );
  }
}
