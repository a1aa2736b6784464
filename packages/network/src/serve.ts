/** The answering side of a request protocol: length-prefixed requests in, length-prefixed answers out, in order. */
import type { Connection, Stream } from '@libp2p/interface';
import { decode, encode } from 'it-length-prefixed';
import { pipe } from 'it-pipe';
import type { Uint8ArrayList } from 'uint8arraylist';
import type { Conduct } from './conduct.ts';
import { framingBytesMax, type NetworkLimits, servedIdleMs } from './defaults.ts';
import { type Bytes, duplexOf } from './duplex.ts';
import { NetworkError } from './errors.ts';
import { plainBytes } from './plain-bytes.ts';
import type { ServedTransfer } from './uplink.ts';

export interface ServeComponents {
  readonly conduct: Conduct;
  readonly limits: NetworkLimits;
  /** Aborted when the node stops. */
  readonly signal: AbortSignal;
}

/** What distinguishes one request protocol from another. */
export interface RequestProtocol {
  readonly requestBytesMax: number;
  /** Requests of one stream that may wait, in bytes. */
  readonly backlogBytesMax: number;
  /** Answers one request; throws `NetworkError` `bad-message` on bytes that are no request. */
  respond(peer: string, request: Uint8Array): Promise<Bytes>;
  /** Is told what a stream has carried, unless it fell silent. */
  onServed?(transfer: ServedTransfer): void;
}

/** Errors of it-length-prefixed that an honest peer never causes. */
const brokenFraming = new Set([
  'InvalidMessageLengthError',
  'InvalidDataLengthError',
  'InvalidDataLengthLengthError',
]);

/** Whether an error shows bytes that no honest peer sends. */
export const isOffence = (error: unknown): boolean =>
  error instanceof NetworkError
    ? error.code === 'bad-message' || error.code === 'too-long'
    : error instanceof Error && brokenFraming.has(error.name);

/** A handler for `node.handle` that counts streams per peer and in all, and refuses who misbehaved. */
export function createHandler(
  protocol: RequestProtocol,
  components: ServeComponents,
): (stream: Stream, connection: Connection) => void {
  const streamsOf = new Map<string, number>();
  let streams = 0;
  const { conduct, limits, signal } = components;
  return (stream, connection) => {
    const peer = connection.remotePeer.toString();
    const own = streamsOf.get(peer) ?? 0;
    if (conduct.isRefused(peer) || own >= limits.servedStreamsPerPeer || streams >= limits.servedStreamsMax) {
      stream.abort(new NetworkError(`too many streams of ${peer}`, { code: 'unavailable', peer }));
      return;
    }
    streamsOf.set(peer, own + 1);
    streams++;
    answer(stream, peer, protocol, signal)
      .catch((error: unknown) => {
        stream.abort(error instanceof Error ? error : new Error(String(error)));
        if (isOffence(error)) conduct.offend(peer);
      })
      .finally(() => {
        streams--;
        const left = (streamsOf.get(peer) ?? 1) - 1;
        if (left > 0) streamsOf.set(peer, left);
        else streamsOf.delete(peer);
      });
  };
}

async function answer(
  stream: Stream,
  peer: string,
  protocol: RequestProtocol,
  signal: AbortSignal,
): Promise<void> {
  const duplex = duplexOf(stream, { bufferMax: protocol.backlogBytesMax, stallMs: servedIdleMs, signal });
  let begunMs: number | undefined;
  let bytes = 0;
  const respond = async function* (requests: AsyncIterable<Uint8ArrayList>): AsyncGenerator<Uint8ArrayList> {
    for await (const request of requests) {
      const answered = await protocol.respond(peer, plainBytes(request));
      begunMs ??= performance.now();
      bytes += answered.byteLength;
      yield encode.single(answered);
    }
  };
  try {
    await pipe(
      duplex.source,
      (source) =>
        decode(source, { maxDataLength: protocol.requestBytesMax, maxLengthLength: framingBytesMax }),
      respond,
      duplex.sink,
    );
  } finally {
    if (begunMs !== undefined && duplex.failure()?.code !== 'timeout')
      protocol.onServed?.({ bytes, begunMs, endedMs: performance.now() });
  }
}
