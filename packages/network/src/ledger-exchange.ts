/**
 * `/murmuration/ledger/1` on the wire: one length-prefixed request, one length-prefixed answer, both canonical
 * dag-cbor. Request: `{ run, from, count, bytes }`. Answer: `{ entries: [[height, bytes], …] }`, contiguous from
 * `from`, possibly empty; or `{ refused: 'other-run' }`.
 */
import { type Cid, DigestError, decodeCbor, encodeCbor, type PeerId } from '@murmuration/base';
import { decode, encode } from 'it-length-prefixed';
import { pipe } from 'it-pipe';
import type { Uint8ArrayList } from 'uint8arraylist';
import type { Conduct } from './conduct.ts';
import {
  answerOverheadBytesMax,
  framingBytesMax,
  ledgerProtocol,
  type NetworkLimits,
  rangeBytesMax,
} from './defaults.ts';
import { duplexOf } from './duplex.ts';
import { NetworkError, reasonOf } from './errors.ts';
import type { NetworkComponents } from './index.ts';
import type { Node } from './node.ts';
import { openStream } from './open-stream.ts';
import { plainBytes } from './plain-bytes.ts';
import { isOffence, type RequestProtocol } from './serve.ts';

/** One block of the ledger, as stored. */
export interface Entry {
  readonly height: number;
  readonly bytes: Uint8Array;
}

interface Range {
  readonly run: string;
  readonly from: number;
  readonly count: number;
  readonly bytes: number;
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

function decodeObject(bytes: Uint8Array, what: string): { readonly [key: string]: unknown } {
  let value: unknown;
  try {
    value = decodeCbor(bytes);
  } catch (cause) {
    if (!(cause instanceof DigestError)) throw cause;
    throw new NetworkError(`${what}: ${cause.message}`, { code: 'bad-message' }, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new NetworkError(`${what}: expected a map, got ${typeof value}`, { code: 'bad-message' });
  return value as { readonly [key: string]: unknown };
}

/** Reads a request; `NetworkError` `bad-message` on anything else. */
export function decodeRange(request: Uint8Array): Range {
  const { run, from, count, bytes } = decodeObject(request, 'ledger request');
  if (typeof run !== 'string' || !isCount(from) || !isCount(count) || !isCount(bytes))
    throw new NetworkError('ledger request: expected run, from, count and bytes', { code: 'bad-message' });
  return { run, from, count, bytes };
}

/** Reads an answer: exactly the heights from, from + 1, …, at most `countMax`. `NetworkError` `bad-message` otherwise. */
export function decodeEntries(answer: Uint8Array, from: number, countMax: number): Entry[] {
  const { entries, refused } = decodeObject(answer, 'ledger answer');
  if (refused === 'other-run')
    throw new NetworkError('ledger answer: the peer follows another run', { code: 'unavailable', refused });
  if (!Array.isArray(entries) || entries.length > countMax)
    throw new NetworkError(`ledger answer: expected at most ${countMax} entries`, { code: 'bad-message' });
  return entries.map((entry: unknown, index) => {
    const [height, bytes] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (height !== from + index || !(bytes instanceof Uint8Array))
      throw new NetworkError(
        `ledger answer: expected height ${from + index} and bytes, got ${String(height)}`,
        {
          code: 'bad-message',
        },
      );
    return { height, bytes };
  });
}

/** The answering side of `/murmuration/ledger/1`; `wait` slows down a peer that has used up its budget. */
export function createLedgerProtocol(
  runId: Cid,
  ledger: NetworkComponents['ledger'],
  conduct: Conduct,
  limits: NetworkLimits,
  wait: (ms: number) => Promise<void>,
): RequestProtocol {
  const collect = (range: Range): [number, Uint8Array][] => {
    const countMax = Math.min(range.count, limits.entriesMax);
    const bytesMax = Math.min(range.bytes, limits.entriesBytesMax);
    const collected: [number, Uint8Array][] = [];
    let length = 0;
    for (const { height, bytes } of ledger.entries(range.from, countMax, bytesMax)) {
      length += bytes.length;
      if (collected.length >= countMax || length > bytesMax || height !== range.from + collected.length)
        break;
      collected.push([height, bytes]);
    }
    return collected;
  };
  return {
    requestBytesMax: rangeBytesMax,
    backlogBytesMax: 4 * rangeBytesMax,
    async respond(peer, request) {
      const range = decodeRange(request);
      const answer = encodeCbor(range.run === runId ? { entries: collect(range) } : { refused: 'other-run' });
      await wait(conduct.spend(peer, answer.length));
      return answer;
    },
  };
}

export interface FetchEntriesInit {
  readonly runId: Cid;
  readonly peer: PeerId;
  readonly from: number;
  readonly countMax: number;
  readonly signal: AbortSignal;
}

/** One request to one peer. `NetworkError` `unavailable` | `bad-message` | `timeout` | `aborted`. */
export async function fetchEntries(
  init: FetchEntriesInit,
  {
    node,
    conduct,
    limits,
  }: { readonly node: Node; readonly conduct: Conduct; readonly limits: NetworkLimits },
): Promise<Entry[]> {
  const countMax = Math.min(init.countMax, limits.entriesMax);
  const answerMax = limits.entriesBytesMax + answerOverheadBytesMax;
  const stream = await openStream(node, init.peer, ledgerProtocol, init.signal);
  const duplex = duplexOf(stream, {
    bufferMax: answerMax + framingBytesMax,
    stallMs: limits.stallMs,
    signal: init.signal,
  });
  const request = { run: init.runId, from: init.from, count: countMax, bytes: limits.entriesBytesMax };
  try {
    return await pipe(
      [encode.single(encodeCbor(request))],
      duplex,
      (bytes) => decode(bytes, { maxDataLength: answerMax, maxLengthLength: framingBytesMax }),
      async (answers: AsyncIterable<Uint8ArrayList>) => {
        for await (const answer of answers) return decodeEntries(plainBytes(answer), init.from, countMax);
        throw new NetworkError('the stream ended without an answer', {
          code: 'unavailable',
          peer: init.peer,
        });
      },
    );
  } catch (error) {
    const failure = duplex.failure();
    if (failure?.code === 'aborted' || failure?.code === 'timeout') throw failure;
    if (isOffence(error)) conduct.offend(init.peer);
    if (error instanceof NetworkError) throw error;
    throw new NetworkError(
      `${init.peer} sent a broken answer: ${reasonOf(error)}`,
      { code: isOffence(error) ? 'bad-message' : 'unavailable', peer: init.peer },
      { cause: error },
    );
  } finally {
    stream.abort(new NetworkError('the transfer is over', { code: 'aborted' }));
  }
}
