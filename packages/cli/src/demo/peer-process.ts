/**
 * One peer of the demo: an operating-system process that runs `murmur start` or `murmur join` and tells its events
 * as JSON lines. It may be killed and started again; what it sent and received adds up over its lives.
 */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { PeerEvent, PeerStatus } from '@murmuration/peer';
import { CliError } from '../errors.ts';
import { stderrLinesMax, stopGraceMs } from './defaults.ts';
import { exitInWords, launch } from './launch.ts';

export interface PeerProcessInit {
  readonly language: string;
  readonly directory: string;
  /** Arguments of `murmur`, without `--json`. */
  readonly command: readonly string[];
  /** A command that runs another, such as one that enters a network namespace; its process becomes the peer's. */
  readonly launcher?: readonly string[];
  onEvent(event: PeerEvent): void;
  /** The process ended without having been told to. */
  onCrash(error: CliError): void;
}

const entry = fileURLToPath(new URL('../../bin/murmur.js', import.meta.url));

export class PeerProcess {
  readonly language: string;
  readonly directory: string;
  status: PeerStatus | undefined;
  address: string | undefined;
  /** Set once the run's last round is final here. */
  endRoot: string | undefined;
  endRound = 0;
  lives = 0;
  readonly #init: PeerProcessInit;
  readonly #stderr: string[] = [];
  #child: ChildProcess | undefined;
  #expectedExit = false;
  #earlier = { sent: 0, received: 0 };

  constructor(init: PeerProcessInit) {
    this.#init = init;
    this.language = init.language;
    this.directory = init.directory;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Bytes through the streams of all lives, as the peer last reported them. */
  get traffic(): { sent: number; received: number } {
    const current = this.#child ? this.status?.traffic : undefined;
    return {
      sent: this.#earlier.sent + (current?.sent ?? 0),
      received: this.#earlier.received + (current?.received ?? 0),
    };
  }

  /** Resolves with the address that the peer listens on. */
  start(command: readonly string[] = this.#init.command): Promise<string> {
    this.lives += 1;
    this.#expectedExit = false;
    return new Promise((resolve, reject) => {
      const child = launch({
        launcher: this.#init.launcher,
        args: [entry, ...command, '--json', '--while-stdin-open'],
        onLine: (line) => {
          const event = parseEvent(line);
          if (!event) return;
          this.#note(event);
          if (event.kind === 'listening' && this.address) resolve(this.address);
          this.#init.onEvent(event);
        },
      });
      this.#child = child;
      createInterface({ input: child.stderr }).on('line', (line) => {
        this.#stderr.push(line);
        if (this.#stderr.length > stderrLinesMax) this.#stderr.shift();
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        this.#ended();
        const error = new CliError(
          `the ${this.language} peer ended with ${exitInWords(code, signal)}: ${this.#stderr.join('\n') || '(no message)'}`,
          { code: 'process-failed', language: this.language, exitCode: code, signal },
        );
        reject(error);
        if (!this.#expectedExit) this.#init.onCrash(error);
      });
    });
  }

  /** SIGKILL: nothing is saved, nobody is told. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGINT, and SIGKILL if that has no effect in time. */
  async stop(): Promise<void> {
    const child = this.#child;
    const timer = setTimeout(() => child?.kill('SIGKILL'), stopGraceMs);
    await this.#end('SIGINT');
    clearTimeout(timer);
  }

  /** For the last moment of the parent: no waiting. */
  killNow(): void {
    this.#expectedExit = true;
    this.#child?.kill('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#expectedExit = true;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    await exited;
  }

  #note(event: PeerEvent): void {
    if (event.kind === 'status') this.status = event.status;
    if (event.kind === 'listening') this.address = event.addresses[0];
    if (event.kind === 'ended') {
      this.endRoot = event.stateRoot;
      this.endRound = event.round;
    }
  }

  #ended(): void {
    this.#earlier = this.traffic;
    this.#child = undefined;
  }
}

function parseEvent(line: string): PeerEvent | undefined {
  try {
    return JSON.parse(line) as PeerEvent;
  } catch {
    return undefined;
  }
}
