/**
 * A libp2p stream as a duplex for it-pipe: `source` gives what arrives, `sink` sends with back-pressure. What arrives
 * before it is wanted is kept up to a maximum and then ends the stream; so does silence while something is expected.
 */
import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface';
import { Uint8ArrayList } from 'uint8arraylist';
import { progressBytes } from './defaults.ts';
import { NetworkError } from './errors.ts';

/** Bytes in one piece or several. */
export type Bytes = Uint8Array | Uint8ArrayList;

export interface DuplexOptions {
  /** Unread bytes that are kept. */
  readonly bufferMax: number;
  /** Silence that ends the stream while something is expected, in ms. */
  readonly stallMs: number;
  /** Whether the other side owes us bytes now; by default always. */
  readonly expecting?: () => boolean;
  readonly signal?: AbortSignal;
}

export interface StreamDuplex {
  readonly source: AsyncGenerator<Uint8ArrayList>;
  readonly sink: (source: AsyncIterable<Bytes> | Iterable<Bytes>) => Promise<void>;
  /** For how long next to nothing has moved in either direction, in ms. */
  silentMs(): number;
  /** Why the stream failed, once it has. */
  failure(): NetworkError | undefined;
}

class Flow {
  readonly #stream: Stream;
  readonly #options: DuplexOptions;
  readonly #buffer = new Uint8ArrayList();
  #ended = false;
  #failure: NetworkError | undefined;
  #lastProgress: number = performance.now();
  #unmarked = 0;
  #wake: (() => void) | undefined;
  #drainWake: (() => void) | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(stream: Stream, options: DuplexOptions) {
    this.#stream = stream;
    this.#options = options;
    stream.addEventListener('message', this.#onMessage);
    stream.addEventListener('remoteCloseWrite', this.#onEnd);
    stream.addEventListener('drain', this.#onDrain);
    stream.addEventListener('close', this.#onClose);
    options.signal?.addEventListener('abort', this.#onAbort);
    this.#timer = setInterval(this.#checkProgress, Math.max(20, options.stallMs / 8)).unref();
    if (options.signal?.aborted) this.#onAbort();
    if (stream.remoteWriteStatus !== 'writable' && stream.readBufferLength === 0) this.#ended = true;
    if (stream.status !== 'open' && stream.status !== 'closing') this.#release();
  }

  silentMs(): number {
    return performance.now() - this.#lastProgress;
  }

  failure(): NetworkError | undefined {
    return this.#failure;
  }

  async *read(): AsyncGenerator<Uint8ArrayList> {
    for (;;) {
      if (this.#buffer.byteLength > 0) {
        const bytes = this.#buffer.sublist();
        this.#buffer.consume(bytes.byteLength);
        yield bytes;
      } else if (this.#failure) throw this.#failure;
      else if (this.#ended) return;
      else await this.#changed();
    }
  }

  async write(source: AsyncIterable<Bytes> | Iterable<Bytes>): Promise<void> {
    for await (const bytes of source) {
      if (this.#failure) throw this.#failure;
      if (this.#stream.writeStatus !== 'writable') break;
      this.#markProgress();
      this.#stream.send(bytes);
      while (this.#stream.writableNeedsDrain && this.#stream.writeStatus === 'writable' && !this.#failure)
        await this.#drained();
    }
    if (this.#failure) throw this.#failure;
    await this.#stream.close();
  }

  #markProgress(): void {
    this.#lastProgress = performance.now();
    this.#unmarked = 0;
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drainWake = resolve;
    });
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  #fail(failure: NetworkError): void {
    this.#failure ??= failure;
    this.#stream.abort(failure);
    this.#release();
  }

  #release(): void {
    clearInterval(this.#timer);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#ended = true;
    this.#notify();
    this.#drainWake?.();
  }

  readonly #onMessage = (event: StreamMessageEvent): void => {
    this.#buffer.append(event.data);
    this.#unmarked += event.data.byteLength;
    if (this.#unmarked >= progressBytes) this.#markProgress();
    if (this.#buffer.byteLength > this.#options.bufferMax) {
      const length = this.#buffer.byteLength;
      this.#buffer.consume(length);
      const { bufferMax } = this.#options;
      const failure = new NetworkError(
        `expected at most ${bufferMax} bytes ahead of what was asked for, got ${length}`,
        { code: 'too-long', length, lengthMax: bufferMax },
      );
      this.#failure ??= failure;
      queueMicrotask(() => this.#fail(failure));
    }
    this.#notify();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#notify();
  };

  readonly #onDrain = (): void => {
    this.#markProgress();
    this.#drainWake?.();
  };

  readonly #onClose = (event: StreamCloseEvent): void => {
    if (event.error)
      this.#failure ??= new NetworkError(
        `the stream broke: ${event.error.message}`,
        { code: 'unavailable', reason: event.error.name },
        { cause: event.error },
      );
    this.#release();
  };

  readonly #onAbort = (): void => {
    this.#fail(new NetworkError('aborted by the caller', { code: 'aborted' }));
  };

  readonly #checkProgress = (): void => {
    const silentMs = this.silentMs();
    const owed = this.#stream.writableNeedsDrain || (this.#options.expecting?.() ?? true);
    if (owed && silentMs > this.#options.stallMs)
      this.#fail(
        new NetworkError(`no progress for ${Math.round(silentMs)} ms`, { code: 'timeout', silentMs }),
      );
  };
}

/** Takes over a stream: from now on only this duplex reads and writes it. */
export function duplexOf(stream: Stream, options: DuplexOptions): StreamDuplex {
  const flow = new Flow(stream, options);
  return {
    source: flow.read(),
    sink: (source) => flow.write(source),
    silentMs: () => flow.silentMs(),
    failure: () => flow.failure(),
  };
}
