/**
 * Tokens, shards, rows of arrays, the held-out split, and which sample comes next. Pure: bytes come in, nothing is read
 * here.
 *
 * @example
 * const shard = createShard([{ name: 'a.txt', bytes }], { seed: runId });
 * const sampler = createSampler(shard.training, { context: 128, batch: 8, seed: peerId });
 * sampler.fill(tokens, targets); // BigInt64Array of 8 × 128 each
 * for (const window of evaluationWindows(shard.heldOut, { context: 128, batch: 8 })) evaluate(window);
 */

/** Text of one source. Any bytes will do; lines end with 0x0a. */
export interface Document {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Text to tokens and back. */
export interface Tokenizer {
  /** Tokens are integers in [0, vocabulary). */
  readonly vocabulary: number;
  /** Comes before and after a stretch of text whose surroundings are elsewhere (or held out). */
  readonly begin: number;
  readonly end: number;
  /** Fills rows that have no text; never inside a token stream. */
  readonly padding: number;
  encode(text: string): Uint16Array;
  /** The text of tokens; special ones vanish, bytes that are not UTF-8 become U+FFFD. */
  decode(tokens: ArrayLike<number | bigint>): string;
  /** Whether a token stands for bytes of text. */
  isText(token: number): boolean;
}

/** Text as tokens, each stretch between `begin` and `end`. */
export interface TokenStream {
  readonly tokens: Uint16Array;
  /** Bytes of text, without the special tokens. */
  readonly bytes: number;
  readonly segments: number;
}

/** How a shard is split; equal options split equal text alike. */
export interface ShardOptions {
  /** Share of the segments that is held out, in [0, 1); 0.1 by default. 0 holds nothing out. */
  readonly heldOut?: number;
  readonly seed: string;
}

/** One peer's text: what it trains on and what it measures with. */
export interface Shard {
  readonly training: TokenStream;
  readonly heldOut: TokenStream;
  /** Segments in neither part: drawn to be held out, but more than half of each also stands in training. */
  readonly droppedSegments: number;
}

/** ONNX int64 or int32 values. */
export type TokenArray = BigInt64Array | Int32Array;

/** Shape and order of the samples. */
export interface SamplerOptions {
  /** Tokens per sample. */
  readonly context: number;
  /** Samples per `fill`. */
  readonly batch: number;
  readonly seed: string;
  /** Where an earlier sampler of the same options stopped; 0 by default. */
  readonly position?: number;
}

/** Gives samples without end, in the order that its seed decides. */
export interface Sampler {
  /** Samples given so far: all that must be kept to go on after a restart. */
  readonly position: number;
  /** Samples in one pass over the stream. */
  readonly windows: number;
  /** Writes the next samples, row by row, into arrays of batch × context; `targets` are the tokens that follow. */
  fill(tokens: TokenArray, targets: TokenArray): void;
}

/** Shape of the windows, and how much of the text they cover. */
export interface EvaluationOptions {
  readonly context: number;
  readonly batch: number;
  /** Stop before predicting more bytes of text; all by default. */
  readonly bytesMax?: number;
}

/** Arrays of [rows, columns], row by row. */
export interface EvaluationWindow {
  readonly tokens: BigInt64Array;
  readonly targets: BigInt64Array;
  readonly rows: number;
  readonly columns: number;
  /** How many of the targets are bytes of text. */
  readonly bytes: number;
}

/** Rows of arrays by their use; row `rowOf(i)` is held out for i below `heldOut`, trained on above. */
export interface RowSplit {
  readonly training: number;
  readonly heldOut: number;
  /** A permutation of all rows. */
  rowOf(index: number): number;
}

/** Order of the rows. */
export interface RowSamplerOptions {
  readonly seed: string;
  /** Where an earlier sampler of the same options stopped; 0 by default. */
  readonly position?: number;
}

/** Gives rows without end, in the order that its seed decides. */
export interface RowSampler {
  /** Rows given so far: all that must be kept to go on after a restart. */
  readonly position: number;
  /** The next row to train on. */
  next(): number;
}

export { npyHeaderBytesMax } from './defaults.ts';
export { DataError, type DataErrorCode } from './errors.ts';
export { evaluationWindows } from './evaluation.ts';
export { type ArrayType, type NpyHeader, parseNpyHeader, type StoredType, valueBytes } from './npy.ts';
export { createRowSampler, splitRows } from './rows.ts';
export { createSampler } from './sampler.ts';
export { createShard, createTokenStream } from './shard.ts';
export { byteTokenizer } from './tokenizer.ts';
