/**
 * `/murmuration/ledger/1` on the wire: one length-prefixed request, one length-prefixed answer, both canonical
 * dag-cbor. Request: `{ run, from, count, bytes }`. Answer: `{ entries: [[height, bytes], …] }`, contiguous from
 * `from`, possibly empty; or `{ refused: 'other-run' }`. For somebody who does not begin at genesis: `{ run, state }`
 * with a height, answered by `{ state }`: the bytes of the ledger state after that height's block, or null.
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
  /** The recovery whose entries are asked for, instead of the ledger's. */
  readonly opening?: Cid;
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
  const { run, from, count, bytes, opening } = decodeObject(request, 'ledger request');
  const isNamed = opening === undefined || typeof opening === 'string';
  if (typeof run !== 'string' || !isCount(from) || !isCount(count) || !isCount(bytes) || !isNamed)
    throw new NetworkError('ledger request: expected run, from, count and bytes', { code: 'bad-message' });
  return { run, from, count, bytes, ...(opening !== undefined && { opening: opening as Cid }) };
}

/** The height of a request for a ledger state; `undefined` if it asks for entries. `NetworkError` `bad-message`. */
function decodeStateRequest(
  request: Uint8Array,
): { readonly run: string; readonly state: number } | undefined {
  const { run, state } = decodeObject(request, 'ledger request');
  if (state === undefined) return undefined;
  if (typeof run !== 'string' || !isCount(state))
    throw new NetworkError('ledger request: expected run and state', { code: 'bad-message' });
  return { run, state };
}

/** Reads the answer to it. `NetworkError` `bad-message`. */
export function decodeState(answer: Uint8Array): Uint8Array | undefined {
  const { state, refused } = decodeObject(answer, 'ledger answer');
  if (refused === 'other-run' || state === null) return undefined;
  if (!(state instanceof Uint8Array))
    throw new NetworkError('ledger answer: expected the bytes of a state', { code: 'bad-message' });
  return state;
}

/**
 * Reads an answer: exactly the heights from, from + 1, …, at most `countMax`. `NetworkError` `bad-message` otherwise.
 */
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
    for (const { height, bytes } of ledger.entries(range.from, countMax, bytesMax, range.opening)) {
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
      const state = decodeStateRequest(request);
      const range = state ?? decodeRange(request);
      const found = (): unknown =>
        state ? { state: ledger.state?.(state.state) ?? null } : { entries: collect(range as Range) };
      const answer = encodeCbor(range.run === runId ? found() : { refused: 'other-run' });
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
  readonly opening?: Cid | undefined;
  readonly signal: AbortSignal;
}

interface AskInit {
  readonly peer: PeerId;
  readonly signal: AbortSignal;
}

interface AskComponents {
  readonly node: Node;
  readonly conduct: Conduct;
  readonly limits: NetworkLimits;
}

/** Ledger entries from one peer. `NetworkError` `unavailable` | `bad-message` | `timeout` | `aborted`. */
export function fetchEntries(init: FetchEntriesInit, components: AskComponents): Promise<Entry[]> {
  const { limits } = components;
  const countMax = Math.min(init.countMax, limits.entriesMax);
  const request = {
    run: init.runId,
    from: init.from,
    count: countMax,
    bytes: limits.entriesBytesMax,
    ...(init.opening && { opening: init.opening }),
  };
  return ask(request, (answer) => decodeEntries(answer, init.from, countMax), init, components);
}

/** The ledger state after a height's block from one peer. Rejects like `fetchEntries`. */
export function fetchState(
  init: AskInit & { readonly runId: Cid; readonly height: number },
  components: AskComponents,
): Promise<Uint8Array | undefined> {
  return ask({ run: init.runId, state: init.height }, decodeState, init, components);
}

/** One request to one peer. */
async function ask<Answer>(
  request: unknown,
  read: (answer: Uint8Array) => Answer,
  init: AskInit,
  { node, conduct, limits }: AskComponents,
): Promise<Answer> {
  const answerMax = limits.entriesBytesMax + answerOverheadBytesMax;
  const stream = await openStream(node, init.peer, ledgerProtocol, init.signal);
  const duplex = duplexOf(stream, {
    bufferMax: answerMax + framingBytesMax,
    stallMs: limits.stallMs,
    signal: init.signal,
  });
  try {
    return await pipe(
      [encode.single(encodeCbor(request))],
      duplex,
      (bytes) => decode(bytes, { maxDataLength: answerMax, maxLengthLength: framingBytesMax }),
      async (answers: AsyncIterable<Uint8ArrayList>) => {
        for await (const answer of answers) return read(plainBytes(answer));
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
