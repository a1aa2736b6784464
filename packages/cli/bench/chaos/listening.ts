import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Cid } from '@murmuration/base';
import { exitInWords, launch } from '../../src/demo/launch.ts';
import { CliError } from '../../src/errors.ts';

export interface ListenerInit {
  readonly runId: Cid;
  readonly listen: string;
  readonly bootstrap: readonly string[];
  readonly launcher?: readonly string[];
  onMessage(bytes: Uint8Array): void;
  /** It ended without having been told to. */
  onEnd(error: CliError): void;
}

const script = fileURLToPath(new URL('./listener.ts', import.meta.url));

/** The listener's process: what it heard comes as messages, one by one. */
export class Listener {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #stopping = false;

  constructor({ runId, listen, bootstrap, launcher, onMessage, onEnd }: ListenerInit) {
    const child = launch({
      launcher,
      args: ['--conditions=murmuration-source', script, runId, listen, ...bootstrap],
      onLine: (line) => onMessage(Buffer.from(line, 'base64')),
    });
    child.stderr.pipe(process.stderr);
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve()));
    child.once('exit', (code, signal) => {
      if (this.#stopping) return;
      onEnd(new CliError(`the listener ended with ${exitInWords(code, signal)}`, { code: 'process-failed' }));
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#child.stdin?.end();
    await this.#exited;
  }

  /** For the last moment of the parent: no waiting. */
  killNow(): void {
    this.#stopping = true;
    this.#child.kill('SIGKILL');
  }
}
