/**
 * Counts bytes where they enter and leave the streams. The multiplexer's factory is wrapped: each stream that a
 * multiplexer makes or accepts gets its two lowest methods, `sendData` and `onData`, counted before anybody reads
 * from it. (A listener for `message` events would be the documented way, but the first listener makes a stream
 * deliver what it holds, and what the protocol's own handler should have read is lost.)
 */
import type { MultiaddrConnection, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface';
import { AbstractStream, AbstractStreamMuxer } from '@libp2p/utils';
import type { Traffic } from './index.ts';

interface Count {
  sent: number;
  received: number;
}

const negotiation = 'negotiation';

/** One node's counts by protocol. */
export class TrafficMeter {
  readonly #closed = new Map<string, Count>();
  readonly #open = new Map<AbstractStream, Count>();

  /** Counts every byte of a stream from now on; protocol negotiation included. */
  track(stream: AbstractStream): void {
    if (this.#open.has(stream)) return;
    const count: Count = { sent: 0, received: 0 };
    this.#open.set(stream, count);
    const sendData = stream.sendData.bind(stream);
    const onData = stream.onData.bind(stream);
    stream.sendData = (data) => {
      const result = sendData(data);
      count.sent += result.sentBytes;
      return result;
    };
    stream.onData = (data) => {
      count.received += data.byteLength;
      onData(data);
    };
    stream.addEventListener('close', () => this.#close(stream), { once: true });
  }

  /** Wraps a multiplexer's factory so that all its streams are tracked. */
  metered(factory: StreamMuxerFactory): StreamMuxerFactory {
    const createStreamMuxer = (connection: MultiaddrConnection): StreamMuxer => {
      const muxer = factory.createStreamMuxer(connection);
      if (!(muxer instanceof AbstractStreamMuxer))
        throw new TypeError('expected a multiplexer of @libp2p/utils');
      const onCreateStream = muxer.onCreateStream.bind(muxer);
      const onRemoteStream = muxer.onRemoteStream.bind(muxer);
      muxer.onCreateStream = (options) => {
        const stream: unknown = onCreateStream(options);
        if (stream instanceof AbstractStream) this.track(stream);
        return stream as AbstractStream;
      };
      muxer.onRemoteStream = (stream) => {
        if (stream instanceof AbstractStream) this.track(stream);
        onRemoteStream(stream);
      };
      return muxer;
    };
    return { ...factory, protocol: factory.protocol, createStreamMuxer };
  }

  traffic(): Traffic {
    const byProtocol: Record<string, Count> = {};
    let sent = 0;
    let received = 0;
    const add = (protocol: string, count: Count): void => {
      const sum = byProtocol[protocol] ?? { sent: 0, received: 0 };
      byProtocol[protocol] = { sent: sum.sent + count.sent, received: sum.received + count.received };
      sent += count.sent;
      received += count.received;
    };
    for (const [protocol, count] of this.#closed) add(protocol, count);
    for (const [stream, count] of this.#open) add(stream.protocol || negotiation, count);
    return { sent, received, byProtocol };
  }

  #close(stream: AbstractStream): void {
    const count = this.#open.get(stream);
    if (!count) return;
    this.#open.delete(stream);
    const protocol = stream.protocol || negotiation;
    const sum = this.#closed.get(protocol) ?? { sent: 0, received: 0 };
    sum.sent += count.sent;
    sum.received += count.received;
    this.#closed.set(protocol, sum);
  }
}
