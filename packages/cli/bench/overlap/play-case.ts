/**
 * One run of the demo's four founders, each a `murmur` process that reads one language, from start to its last round.
 * In a shaped case each has a network namespace of its own, behind a switch that delays and slows every frame.
 */
import { join } from 'node:path';
import type { Cid } from '@murmuration/base';
import type { PeerEvent } from '@murmuration/peer';
import { languages } from '../../src/demo/defaults.ts';
import { demoRun, foundRun } from '../../src/demo/found-run.ts';
import { PeerProcess } from '../../src/demo/peer-process.ts';
import { RoundWatch } from '../../src/demo/round-watch.ts';
import { CliError } from '../../src/errors.ts';
import { formatRunLink } from '../../src/run-link.ts';
import { guarded } from '../guarded.ts';
import { Lan, lanPort } from '../namespaces/lan.ts';
import { link, stallTimeoutMs } from './defaults.ts';
import { type Span, SpanWatch } from './span.ts';

export interface Case {
  readonly name: string;
  readonly isShaped: boolean;
  readonly overlapSteps: number;
}

export interface CaseInit {
  /** Empty, or not there yet. */
  readonly directory: string;
  readonly rounds: number;
  textOf(language: string): string;
}

interface Member {
  readonly process: PeerProcess;
  readonly options: readonly string[];
  readonly watch: SpanWatch;
}

class Team {
  readonly #members: readonly Member[];
  readonly #rounds = new RoundWatch();
  readonly #failure = Promise.withResolvers<never>();
  readonly #ended = Promise.withResolvers<void>();
  #running: number;

  constructor({ directory, textOf }: CaseInit, lan: Lan | undefined) {
    this.#failure.promise.catch(() => undefined);
    this.#running = languages.founders.length;
    this.#members = languages.founders.map((language, port) => {
      const watch = new SpanWatch();
      const listen = lan ? `/ip4/${lan.address(port)}/tcp/${lanPort}` : '/ip4/127.0.0.1/tcp/0';
      const store = join(directory, language);
      const options = [
        ...['--store', store, '--data', textOf(language), '--listen', listen],
        ...['--no-mdns', '--threads', '1', '--device', 'cpu'],
      ];
      const process = new PeerProcess({
        language,
        directory: store,
        command: ['start', ...options],
        ...(lan ? { launcher: lan.launcher(port) } : {}),
        onEvent: (event) => this.#note(watch, event),
        onCrash: (error) => this.#failure.reject(error),
      });
      return { process, options, watch };
    });
  }

  /** Until the last round is final at every peer; what each did. */
  async play(runId: Cid): Promise<Span[]> {
    const stall = setInterval(() => {
      if (this.#rounds.quietMs > stallTimeoutMs)
        this.#fail(
          `no round was certified for ${stallTimeoutMs / 1_000} s after round ${this.#rounds.round}`,
        );
    }, 1_000);
    try {
      return await Promise.race([this.#play(runId), this.#failure.promise]);
    } finally {
      clearInterval(stall);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#members.map(({ process }) => process.stop()));
  }

  killNow(): void {
    for (const { process } of this.#members) process.killNow();
  }

  async #play(runId: Cid): Promise<Span[]> {
    const [first, ...others] = this.#members;
    this.#rounds.begin();
    const address = await first?.process.start();
    const runLink = formatRunLink({ runId, peers: address ? [address] : [] });
    await Promise.all(others.map(({ process, options }) => process.start(['join', runLink, ...options])));
    await this.#ended.promise;
    return this.#members.map(({ process, watch }) => {
      const span = watch.span();
      if (!span)
        throw new CliError(`the ${process.language} peer told too little of its time`, {
          code: 'process-failed',
        });
      return span;
    });
  }

  #note(watch: SpanWatch, event: PeerEvent): void {
    const hadEnded = watch.hasEnded;
    watch.note(event, performance.now());
    if (watch.hasEnded && !hadEnded) this.#running -= 1;
    if (this.#running === 0) this.#ended.resolve();
    if (event.kind === 'certified') this.#rounds.note(event.round);
    if (event.kind === 'diverged') this.#fail(`a peer computed another state at round ${event.round}`);
  }

  #fail(message: string): void {
    this.#failure.reject(new CliError(message, { code: 'process-failed' }));
  }
}

/** Plays one case; no process or namespace is left, however it ends. */
export async function playCase({ isShaped, overlapSteps }: Case, init: CaseInit): Promise<Span[]> {
  const { delayMs, bitsPerSecond } = link;
  const ports = languages.founders.length;
  const { runId } = await foundRun(
    languages.founders.map((language) => join(init.directory, language)),
    { ...demoRun(init.rounds), overlapSteps },
  );
  const lan = isShaped
    ? await Lan.create({
        ports,
        delayMs,
        loss: 0,
        slow: { ports: [...Array(ports).keys()], bitsPerSecond },
        seed: '1',
      })
    : undefined;
  const team = new Team(init, lan);
  return guarded({ fleet: team, lan }, () => team.play(runId));
}
