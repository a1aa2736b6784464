/**
 * The parent's side. `createEngine` forks the child and waits until it has read the graph and the data. Every method
 * of the engine is one request; its answer settles the promise. Whatever ends the child first (a signal, a crash of
 * native code, `close`) settles all of them. The child runs graphs that others made, so it is ended when it takes too
 * much memory, and never outlives its parent's orderly end.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { childOptions } from './child-options.ts';
import { callsMax, closeTimeoutMs, errorTailBytes, memoryShareMax } from './defaults.ts';
import type { DeviceChoice } from './device/devices.ts';
import { resolveDevice } from './device/resolve-device.ts';
import { EngineError, type EngineErrorCode } from './errors.ts';
import type { Engine, EngineInit } from './index.ts';
import type { ChildInit, EngineCall, EngineCalls, ErrorMessage, Request, Response } from './messages.ts';
import { watchMemory } from './watch-memory.ts';
import { flushFile } from './whole-files.ts';

interface Waiting {
  resolve(value: unknown): void;
  reject(error: EngineError): void;
}

const callNames: { readonly [Call in EngineCall]: true } = {
  open: true,
  train: true,
  pause: true,
  encode: true,
  validate: true,
  execute: true,
  apply: true,
  undo: true,
  settle: true,
  expire: true,
  snapshot: true,
  install: true,
  fork: true,
  rewind: true,
  evaluate: true,
  generate: true,
  exportOnnx: true,
  memory: true,
  close: true,
};

const toEngineError = ({ message, facts }: ErrorMessage): EngineError =>
  new EngineError(message, { ...facts, code: facts.code as EngineErrorCode });

class EngineProcess {
  readonly #child: ChildProcess;
  readonly #init: EngineInit;
  readonly #device: DeviceChoice;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  #nextId = 1;
  #ready: Waiting | undefined;
  #ended: EngineError | undefined;
  #closing: Promise<void> | undefined;
  #errorTail = '';

  constructor(init: EngineInit, device: DeviceChoice) {
    this.#init = init;
    this.#device = device;
    const entry = new URL(import.meta.url.endsWith('.ts') ? './child.ts' : './child.js', import.meta.url);
    this.#child = fork(fileURLToPath(entry), [], {
      serialization: 'advanced',
      execArgv: childOptions(process.execArgv),
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errorTail = (this.#errorTail + text).slice(-errorTailBytes);
    });
    this.#child.on('message', (message) => this.#receive(message as Response));
    const kill = (): void => void this.#child.kill('SIGKILL');
    process.once('exit', kill);
    const watch = watchMemory(this.#child, init.memoryMaxBytes ?? memoryShareMax * totalmem());
    this.#exited = new Promise((resolve) => {
      const end = (reason: string, clean = false) => {
        process.off('exit', kill);
        watch.stop();
        this.#end(watch.exceeded ?? reason, clean);
        resolve();
      };
      this.#child.once('close', (exitCode, signal) => end(signal ?? `exit code ${exitCode}`, exitCode === 0));
      this.#child.on('error', (error) => {
        if (this.#child.pid === undefined) end(error.message);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Sends the init and waits for the child's `ready`. */
  async start(): Promise<void> {
    const { onProgress: _, onExit: __, ...init } = this.#init;
    await new Promise<unknown>((resolve, reject) => {
      this.#ready = { resolve, reject };
      this.#send({ kind: 'init', init: { ...init, device: this.#device } satisfies ChildInit });
    });
  }

  call(call: EngineCall, parameters: readonly unknown[]): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#ended);
    if (this.#closing)
      return Promise.reject(new EngineError(`${call}: the engine is closed`, { code: 'closed', call }));
    if (this.#waiting.size >= callsMax)
      return Promise.reject(
        new EngineError(`${call}: ${callsMax} calls already wait for an answer`, {
          code: 'too-many-calls',
          call,
        }),
      );
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send({ kind: 'call', id, call, parameters });
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#ended) return;
    const saved = this.call('close', []);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), closeTimeoutMs);
    const failure = await saved.then(
      () => undefined,
      (error: EngineError) => error,
    );
    await this.#exited;
    clearTimeout(timer);
    if (failure) throw failure;
  }

  #send(request: Request): void {
    if (!this.#child.connected) return;
    this.#child.send(request, () => {
      // A failed send is followed by the child's end, which settles the call.
    });
  }

  #receive(response: Response): void {
    switch (response.kind) {
      case 'ready':
        this.#ready?.resolve(undefined);
        this.#ready = undefined;
        return;
      case 'failed':
        this.#ready?.reject(toEngineError(response.error));
        this.#ready = undefined;
        return;
      case 'progress':
        this.#init.onProgress?.(response.progress);
        return;
      case 'value':
        if (response.unflushed === undefined) this.#take(response.id)?.resolve(response.value);
        else void this.#flush(response.unflushed, response.id, response.value);
        return;
      case 'error':
        this.#take(response.id)?.reject(toEngineError(response.error));
        return;
      default:
        response satisfies never;
    }
  }

  async #flush(path: string, id: number, value: unknown): Promise<void> {
    try {
      await flushFile(path);
      this.#send({ kind: 'flushed', path });
      this.#take(id)?.resolve(value);
    } catch (error) {
      this.#take(id)?.reject(error as EngineError);
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #end(reason: string, clean: boolean): void {
    const asked = this.#closing !== undefined && clean;
    const wasReady = this.#ready === undefined;
    this.#ended = asked
      ? new EngineError('the engine is closed', { code: 'closed' })
      : new EngineError(
          `the engine's process ended unexpectedly (${reason})${this.#errorTail ? `: ${this.#errorTail.trim()}` : ''}`,
          {
            code: 'engine-died',
            reason,
            pid: this.pid,
            errorTail: this.#errorTail,
            device: this.#device.name,
          },
        );
    this.#ready?.reject(this.#ended);
    this.#ready = undefined;
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
    if (!this.#closing && wasReady) this.#init.onExit?.(this.#ended);
  }
}

/** A process that has read graph and data, on the device of the choice or, when that ends the process, on the CPU. */
async function startProcess(init: EngineInit, device: DeviceChoice): Promise<EngineProcess> {
  const child = new EngineProcess(init, device);
  try {
    await child.start();
    return child;
  } catch (error) {
    await child.close().catch(() => undefined);
    const { code, facts } = error as EngineError;
    if (code !== 'engine-died' || device.name === 'cpu') throw error;
    const reason = `${device.name} ended the engine's process (${facts.reason})`;
    return startProcess(init, { wish: device.wish, name: 'cpu', reason });
  }
}

/**
 * Starts an engine's process, which reads the graph and the data. Throws `EngineError`: `bad-graph`, `bad-data-path`,
 * `too-little-text`, `too-much-text`, `disk`, `engine-died`.
 */
export async function createEngine(init: EngineInit): Promise<Engine> {
  const wish = init.device ?? 'cpu';
  const device: DeviceChoice =
    init.data.length > 0
      ? await resolveDevice(wish)
      : { wish, name: 'cpu', reason: 'there is nothing to train on' };
  const child = await startProcess(init, device);
  const methods = Object.fromEntries(
    Object.keys(callNames).map((call) => [
      call,
      (...parameters: unknown[]) => child.call(call as EngineCall, parameters),
    ]),
  ) as unknown as EngineCalls;
  return { ...methods, close: () => child.close(), pid: child.pid };
}
