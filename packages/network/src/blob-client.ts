/**
 * Pulls one blob. `Pieces` knows what is missing; for each source that takes part there is one stream and one pull,
 * which keeps a window of requests outstanding and checks each answer as it arrives. A source that lies, breaks or
 * falls silent is done for this call: what it was asked for goes back, and the next source begins. A long blob is
 * pulled from several sources at once, and a source that is slow with a piece does not hold back the others.
 */
import type { Stream } from '@libp2p/interface';
import { blobChunkBytes, type Cid, hasManifest, type PeerId } from '@murmuration/base';
import { decode, encode } from 'it-length-prefixed';
import { pipe } from 'it-pipe';
import type { Uint8ArrayList } from 'uint8arraylist';
import { decodeAnswer, encodeRequest } from './blob-wire.ts';
import type { Conduct } from './conduct.ts';
import {
  answerBytesMax,
  blobProtocol,
  framingBytesMax,
  hedgeMs,
  type NetworkLimits,
  piecesPerSource,
  slowSourceMs,
  slowSourceShare,
} from './defaults.ts';
import { duplexOf, type StreamDuplex } from './duplex.ts';
import { NetworkError, type NetworkErrorCode, reasonOf } from './errors.ts';
import type { Gate } from './gate.ts';
import type { ChunkSink, DownloadProgress } from './index.ts';
import type { Node } from './node.ts';
import { openStream } from './open-stream.ts';
import { type Piece, Pieces } from './pieces.ts';
import { plainBytes } from './plain-bytes.ts';
import { isOffence } from './serve.ts';

export interface FetchComponents {
  readonly node: Node;
  readonly conduct: Conduct;
  readonly limits: NetworkLimits;
  /** Keeps the streams to one source below what it serves. */
  readonly gate: Gate;
}

export interface FetchInit {
  readonly cid: Cid;
  readonly bytesMax: number;
  /** In order of preference, without duplicates. */
  readonly sources: readonly PeerId[];
  readonly signal: AbortSignal;
  /** Where the chunks go; without one the blob is put together in memory. */
  readonly sink?: ChunkSink | undefined;
  onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

/** A source under way. */
interface Source {
  readonly pull: Promise<void>;
  readonly stop: AbortController;
  readonly begunMs: number;
  silentMs: () => number;
}

interface Failure {
  readonly source: string;
  readonly code: NetworkErrorCode;
  readonly reason: string;
}

/**
 * Fetches a blob, every byte checked, into memory or `init.sink`. `NetworkError` `unavailable` | `too-long` |
 * `aborted`.
 */
export async function fetchBlob(init: FetchInit, components: FetchComponents): Promise<Uint8Array> {
  const { limits } = components;
  const patienceMs = Math.min(hedgeMs, limits.stallMs / 2);
  const active = new Map<PeerId, Source>();
  const isSilent = (source: string): boolean =>
    (active.get(source as PeerId)?.silentMs() ?? patienceMs) >= patienceMs;
  const { cid, bytesMax, sink } = init;
  const pieces = new Pieces({ cid, bytesMax, hedgeMs: patienceMs, isSilent, sink });
  const waiting = init.sources.slice(0, limits.sourcesMax);
  const failures: Failure[] = [];
  const bytesFrom = new Map<PeerId, number>();
  const done = new AbortController();
  const begin = (source: PeerId): void => {
    const begunMs = performance.now();
    const stop = new AbortController();
    const signal = AbortSignal.any([init.signal, done.signal, stop.signal]);
    const onOpen = (duplex: StreamDuplex): void => {
      const opened = active.get(source);
      if (opened) opened.silentMs = duplex.silentMs;
    };
    const onBytes = (bytes: number): void => {
      bytesFrom.set(source, (bytesFrom.get(source) ?? 0) + bytes);
      const { size, bytesHere } = pieces;
      if (size !== undefined) init.onProgress?.({ size, bytesHere, bytesFrom });
    };
    const pull = pullFrom(source, pieces, { ...init, signal, onOpen, onBytes }, components)
      .catch((error: unknown) => {
        const code = error instanceof NetworkError ? error.code : 'unavailable';
        const reason = stop.signal.aborted ? 'much slower than the others' : reasonOf(error);
        failures.push({ source, code, reason });
      })
      .finally(() => {
        active.delete(source);
        pieces.wake();
      });
    active.set(source, { pull, stop, begunMs, silentMs: () => performance.now() - begunMs });
  };
  try {
    while (!pieces.settled) {
      if (init.signal.aborted) throw new NetworkError('aborted by the caller', { code: 'aborted', cid });
      if (waiting.length > 0) slowest(active, bytesFrom)?.stop.abort();
      const allSilent = [...active.keys()].every(isSilent);
      const wanted = allSilent ? limits.sourcesAtOnce : Math.ceil(pieces.missing / piecesPerSource);
      const room = active.size < Math.min(wanted, limits.sourcesAtOnce);
      const next = room || active.size === 0 ? waiting.shift() : undefined;
      if (next) begin(next);
      else if (active.size === 0) throw unavailable(init, failures);
      else await Promise.race([pieces.changed(), ...[...active.values()].map(({ pull }) => pull)]);
    }
  } finally {
    done.abort();
    pieces.wake();
    await Promise.allSettled([...active.values()].map(({ pull }) => pull));
  }
  if (pieces.fatal) throw pieces.fatal;
  return pieces.blob;
}

/** A source that has had its time and is far behind the fastest one: another may do better. */
function slowest(
  active: ReadonlyMap<PeerId, Source>,
  bytesFrom: ReadonlyMap<PeerId, number>,
): Source | undefined {
  const now = performance.now();
  const rates = [...active].map(([peer, source]) => {
    const ageMs = now - source.begunMs;
    return { source, ageMs, rate: (bytesFrom.get(peer) ?? 0) / Math.max(1, ageMs) };
  });
  const best = Math.max(...rates.map(({ rate }) => rate));
  return rates.find(({ ageMs, rate }) => ageMs >= slowSourceMs && rate < slowSourceShare * best)?.source;
}

/** Pulls from one source until nothing is left that it could give; throws when it fails. */
async function pullFrom(
  source: PeerId,
  pieces: Pieces,
  init: FetchInit & {
    readonly onOpen: (duplex: StreamDuplex) => void;
    readonly onBytes: (bytes: number) => void;
  },
  { node, conduct, limits, gate }: FetchComponents,
): Promise<void> {
  const { signal } = init;
  const outstanding: Piece[] = [];
  const answerMax = hasManifest(init.cid) ? answerBytesMax : 1 + Math.min(init.bytesMax, blobChunkBytes);
  let over = false;
  const requests = async function* (): AsyncGenerator<Uint8ArrayList> {
    while (!over && !pieces.settled && pieces.mayServe(source)) {
      const piece = outstanding.length < limits.requestWindow ? pieces.take(source) : undefined;
      if (!piece) await pieces.changed();
      else {
        outstanding.push(piece);
        yield encode.single(encodeRequest(piece.cid));
      }
    }
  };
  const receive = async (answers: AsyncIterable<Uint8ArrayList>): Promise<void> => {
    for await (const answer of answers) {
      const [piece] = outstanding;
      if (!piece) throw new NetworkError('an answer came without a request', { code: 'bad-message', source });
      const chunk = decodeAnswer(plainBytes(answer));
      if (chunk) {
        pieces.put(piece, chunk);
        init.onBytes(chunk.length);
      } else pieces.giveBack(piece, source, true);
      outstanding.shift();
      if (pieces.settled || (outstanding.length === 0 && !pieces.mayServe(source))) return;
    }
    if (outstanding.length > 0)
      throw new NetworkError(`the stream ended with ${outstanding.length} answers missing`, {
        code: 'unavailable',
        source,
      });
  };
  const { stream, leave } = await enter(source, signal, { node, gate });
  const duplex = duplexOf(stream, {
    bufferMax: (limits.requestWindow + 1) * (answerBytesMax + framingBytesMax),
    stallMs: limits.stallMs,
    expecting: () => outstanding.length > 0,
    signal,
  });
  init.onOpen(duplex);
  try {
    await pipe(
      requests(),
      duplex,
      (bytes) => decode(bytes, { maxDataLength: answerMax, maxLengthLength: framingBytesMax }),
      receive,
    );
    if (!pieces.settled)
      throw new NetworkError(`${source} has not all of ${init.cid}`, { code: 'unavailable', source });
  } catch (error) {
    throw judged(error, source, answerMax, duplex.failure(), conduct);
  } finally {
    over = true;
    for (const piece of outstanding) pieces.giveBack(piece, source, true);
    pieces.wake();
    stream.abort(new NetworkError('the transfer is over', { code: 'aborted' }));
    leave();
  }
}

/** A stream to a source, as soon as it is our turn there. */
async function enter(
  source: PeerId,
  signal: AbortSignal,
  { node, gate }: Pick<FetchComponents, 'node' | 'gate'>,
): Promise<{ readonly stream: Stream; readonly leave: () => void }> {
  const leave = await gate.enter(source, signal);
  try {
    return { stream: await openStream(node, source, blobProtocol, signal), leave };
  } catch (error) {
    leave();
    throw error;
  }
}

/** The typed reason of a failed pull; what only a liar sends is held against the source. */
function judged(
  error: unknown,
  source: PeerId,
  answerMax: number,
  failure: NetworkError | undefined,
  conduct: Conduct,
): NetworkError {
  if (failure?.code === 'aborted' || failure?.code === 'timeout') return failure;
  const name = error instanceof Error ? error.name : '';
  if (name === 'InvalidDataLengthError' && answerMax < answerBytesMax)
    return new NetworkError(`${source} announced more than ${answerMax - 1} bytes`, {
      code: 'too-long',
      source,
    });
  const lied = isOffence(error);
  if (lied) conduct.offend(source);
  if (error instanceof NetworkError) return error;
  return new NetworkError(
    `${source} sent a broken answer: ${reasonOf(error)}`,
    { code: lied ? 'bad-message' : 'unavailable', source },
    { cause: error },
  );
}

function unavailable(init: FetchInit, failures: readonly Failure[]): NetworkError {
  if (failures.some((failure) => failure.code === 'too-long'))
    return new NetworkError(
      `${init.cid}: every source that has it announced more than ${init.bytesMax} bytes`,
      {
        code: 'too-long',
        cid: init.cid,
        lengthMax: init.bytesMax,
        failures,
      },
    );
  const tried = failures.map(({ source, reason }) => `${source.slice(-8)}: ${reason}`).join('; ');
  return new NetworkError(`no source delivered ${init.cid} (${tried || 'no peer to ask'})`, {
    code: 'unavailable',
    cid: init.cid,
    failures,
  });
}
