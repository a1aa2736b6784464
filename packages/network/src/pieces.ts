/**
 * What is still missing of one blob. It starts with the piece that the blob is named by; if that is a manifest, the
 * pieces that it lists follow. A piece is pending, or with one or two sources, or here. Every piece is checked
 * against its own name before it counts, so pieces may come from anybody in any order.
 */
import { hash as hashOf } from 'node:crypto';
import {
  BlobError,
  type BlobManifest,
  blobChunkBytes,
  type Cid,
  chunkCids,
  chunkLength,
  hasManifest,
  matchesCid,
  parseManifest,
} from '@murmuration/base';
import { slowPieceMs } from './defaults.ts';
import { NetworkError } from './errors.ts';
import type { ChunkSink } from './index.ts';

/** A chunk or manifest to ask for. */
export interface Piece {
  readonly cid: Cid;
  /** Where its bytes go; equal chunks of one blob are one piece. The manifest goes nowhere. */
  readonly offsets: readonly number[];
  /** Known for pieces that a manifest lists. */
  readonly length: number | undefined;
}

interface State {
  readonly piece: Piece;
  readonly holders: Set<string>;
  readonly refusedBy: Set<string>;
  takenAtMs: number;
}

const sha256 = (bytes: Uint8Array): Uint8Array => hashOf('sha256', bytes, 'buffer');

interface PiecesInit {
  readonly cid: Cid;
  readonly bytesMax: number;
  /** How often somebody who waits for a change looks whether a source has fallen silent, ms. */
  readonly hedgeMs: number;
  isSilent(source: string): boolean;
  /** Takes the chunks; without one the blob is put together in memory. */
  readonly sink?: ChunkSink | undefined;
}

/** The pieces of one blob, for one call of `fetchBlob` or `downloadBlob`. */
export class Pieces {
  readonly #bytesMax: number;
  readonly #missing = new Map<Cid, State>();
  readonly #hedgeMs: number;
  readonly #isSilent: (source: string) => boolean;
  readonly #sink: ChunkSink | undefined;
  #blob: Uint8Array = new Uint8Array();
  #size: number | undefined;
  #bytesHere = 0;
  #fatal: Error | undefined;
  #waiters: (() => void)[] = [];

  /**
   * A piece may be asked from a second source when the first one is silent, as `isSilent` tells, or takes very long.
   */
  constructor({ cid, bytesMax, hedgeMs, isSilent, sink }: PiecesInit) {
    this.#bytesMax = bytesMax;
    this.#hedgeMs = hedgeMs;
    this.#isSilent = isSilent;
    this.#sink = sink;
    if (sink?.manifest && hasManifest(cid) && matchesCid(sink.manifest, cid, sha256))
      this.#expand(cid, sink.manifest);
    else this.#add({ cid, offsets: hasManifest(cid) ? [] : [0], length: undefined });
  }

  get complete(): boolean {
    return this.#missing.size === 0;
  }

  /** Why no source can deliver this blob, or why it cannot be kept, once that is certain. */
  get fatal(): Error | undefined {
    return this.#fatal;
  }

  get settled(): boolean {
    return this.complete || this.#fatal !== undefined;
  }

  /** Bytes of the blob, once its manifest is here, and how many of them are. */
  get size(): number | undefined {
    return this.#size;
  }

  get bytesHere(): number {
    return this.#bytesHere;
  }

  /** The whole blob; only when complete and without a sink. */
  get blob(): Uint8Array {
    return this.#blob;
  }

  /** How many pieces are not here yet. */
  get missing(): number {
    return this.#missing.size;
  }

  /** The next piece to ask a source for: pending ones first, then one that another source is slow with. */
  take(source: string): Piece | undefined {
    const now = performance.now();
    let slow: State | undefined;
    for (const state of this.#missing.values()) {
      if (state.refusedBy.has(source) || state.holders.has(source)) continue;
      if (state.holders.size === 0) return hand(state, source, now);
      if (!slow && state.holders.size === 1 && this.#isSlow(state, now)) slow = state;
    }
    return slow && hand(slow, source, now);
  }

  #isSlow(state: State, now: number): boolean {
    if (now - state.takenAtMs > slowPieceMs) return true;
    for (const holder of state.holders) if (this.#isSilent(holder)) return true;
    return false;
  }

  /** Whether a source could still contribute, now or when another one fails. */
  mayServe(source: string): boolean {
    for (const state of this.#missing.values()) if (!state.refusedBy.has(source)) return true;
    return false;
  }

  /** A source does not have a piece (`refused`), or failed while it was asked for it. */
  giveBack(piece: Piece, source: string, refused: boolean): void {
    const state = this.#missing.get(piece.cid);
    state?.holders.delete(source);
    if (refused) state?.refusedBy.add(source);
    this.wake();
  }

  /** Checks and stores a piece; throws `NetworkError` `bad-message` if it is not what its name says. */
  put(piece: Piece, bytes: Uint8Array): void {
    if (!this.#missing.has(piece.cid)) return;
    const lengthHolds = piece.length === undefined || bytes.length === piece.length;
    if (!lengthHolds || !matchesCid(bytes, piece.cid, sha256))
      throw new NetworkError(`${bytes.length} bytes came that are not ${piece.cid}`, {
        code: 'bad-message',
        cid: piece.cid,
        length: bytes.length,
      });
    this.#missing.delete(piece.cid);
    if (piece.length !== undefined) this.#keep(piece, bytes);
    else if (hasManifest(piece.cid)) this.#expand(piece.cid, bytes);
    else if (bytes.length > this.#bytesMax) this.#fatal = tooLong(bytes.length, this.#bytesMax);
    else {
      this.#size = bytes.length;
      if (!this.#sink) this.#blob = new Uint8Array(bytes.length);
      this.#keep(piece, bytes);
    }
    this.wake();
  }

  #keep({ offsets }: Piece, bytes: Uint8Array): void {
    try {
      for (const offset of offsets)
        if (this.#sink) this.#sink.write(offset / blobChunkBytes, bytes);
        else this.#blob.set(bytes, offset);
      this.#bytesHere += bytes.length * offsets.length;
    } catch (error) {
      this.#fatal = error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Resolves at the next change, or when a slow piece may be asked again. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#hedgeMs);
      this.#waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Wakes whoever waits in `changed`. */
  wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  #expand(cid: Cid, bytes: Uint8Array): void {
    try {
      const { size, chunks } = parseManifest(bytes, Number.MAX_SAFE_INTEGER);
      if (size > this.#bytesMax) throw tooLong(size, this.#bytesMax);
      this.#size = size;
      const held = this.#sink?.begin(bytes);
      if (!held) this.#blob = new Uint8Array(size);
      for (const piece of piecesOf({ size, chunks }))
        if (held && piece.offsets.every((offset) => held.has(offset / blobChunkBytes)))
          this.#bytesHere += piece.length * piece.offsets.length;
        else this.#add(piece);
    } catch (cause) {
      if (cause instanceof BlobError)
        this.#fatal = new NetworkError(
          `${cid} names no blob: ${cause.message}`,
          { code: 'unavailable', cid },
          { cause },
        );
      else this.#fatal = cause instanceof Error ? cause : new Error(String(cause));
    }
  }

  #add(piece: Piece): void {
    this.#missing.set(piece.cid, { piece, holders: new Set(), refusedBy: new Set(), takenAtMs: 0 });
  }
}

function hand(state: State, source: string, now: number): Piece {
  state.holders.add(source);
  state.takenAtMs = now;
  return state.piece;
}

/** The distinct chunks of a manifest; throws `BlobError` where equal digests would need unequal lengths. */
function piecesOf(manifest: BlobManifest): Iterable<Piece & { readonly length: number }> {
  const pieces = new Map<Cid, { cid: Cid; offsets: number[]; length: number }>();
  chunkCids(manifest).forEach((cid, index) => {
    const length = chunkLength(manifest.size, index);
    const piece = pieces.get(cid) ?? { cid, offsets: [], length };
    if (piece.length !== length)
      throw new BlobError(`blob manifest: chunk ${cid} would have ${piece.length} and ${length} bytes`, {
        code: 'bad-manifest',
        cid,
      });
    piece.offsets.push(index * blobChunkBytes);
    pieces.set(cid, piece);
  });
  return pieces.values();
}

/** More bytes than the caller allows. */
const tooLong = (length: number, bytesMax: number): NetworkError =>
  new NetworkError(`expected a blob of at most ${bytesMax} bytes, got ${length}`, {
    code: 'too-long',
    length,
    lengthMax: bytesMax,
  });
