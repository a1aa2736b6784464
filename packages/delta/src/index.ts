/**
 * A parameter change to bytes and back, and many deltas to one. Everything is deterministic: equal inputs give equal
 * bits on every platform. README.md describes the wire format.
 *
 * @example
 * const bytes = encodeDelta(u, { runDigest, base, author }, { k: 64, bits: 1 });
 * const { delta } = decodeDelta(bytes, { parameters: u.length });
 * subtractDelta(u, delta, 1, residual);
 * const update = aggregate([{ delta, clip: 1, weight: 5_120 }], { kappa: 0, length: u.length });
 * const undo = applyUpdate(θ, update, 1);
 */

/** What a delta is bound to. Each field has 32 bytes. */
export interface DeltaHeader {
  /** Digest inside the run's id. */
  readonly runDigest: Uint8Array;
  /** Digest inside the id of the block whose state the delta starts from. */
  readonly base: Uint8Array;
  /** Raw Ed25519 public key. */
  readonly author: Uint8Array;
}

/** Bits of a sent value: its sign, and the number of its level in the rest. */
export type ValueBits = 1 | 2 | 4 | 8;

/** How densely and how finely a vector is said. */
export interface DeltaSettings {
  /** Values sent per chunk of 4,096, in [1, 1024]; a shorter last chunk sends ⌈k · length / 4096⌉. */
  readonly k: number;
  /**
   * 1: sign × the mean magnitude of what the chunk sends. 2: sign × one of two fitted magnitudes. 4, 8: sign × one of 8
   * or 128 magnitudes between the chunk's extremes.
   */
  readonly bits: ValueBits;
}

/** A vector that is made chunk by chunk, so that it need not be in memory as a whole. */
export interface VectorSource {
  readonly length: number;
  /** The values from `start` to `end`, at most 4,096; used until the next call only. */
  chunk(start: number, end: number): Float32Array;
}

/** What a reader expects of bytes that may come from anyone. */
export interface DeltaLimits {
  /** Exactly so many values must the delta be of. */
  readonly parameters: number;
  /** Smallest and largest k that are accepted; 1 and 1,024 by default. */
  readonly kMin?: number;
  readonly kMax?: number;
  /** Bits per value that are accepted; any by default. */
  readonly bits?: ValueBits;
  /** Header fields that must be equal. */
  readonly expected?: Partial<DeltaHeader>;
}

/** A vector of `length` values, zero but at `indices` (strictly rising). */
export interface SparseDelta {
  readonly length: number;
  readonly indices: Uint32Array;
  readonly values: Float32Array;
}

/** What the bytes of a delta say. */
export interface DecodedDelta {
  readonly header: DeltaHeader;
  readonly settings: DeltaSettings;
  readonly delta: SparseDelta;
}

/** One input of a block. */
export interface WeightedDelta {
  readonly delta: SparseDelta;
  /** Factor in (0, 1] that scales the delta. */
  readonly clip: number;
  /** Weight in the mean, > 0. */
  readonly weight: number;
}

/** How a block divides, and how long its vectors are. */
export interface AggregationRule {
  /** In [0, 1]; the divisor of a coordinate is max(Σ weights of its senders, κ · Σ weights of all). */
  readonly kappa: number;
  /** Number of parameters. */
  readonly length: number;
}

/** The old values of θ where an update changed it. */
export interface UpdateUndo {
  readonly indices: Uint32Array;
  readonly values: Float32Array;
}

export { aggregate, applyUpdate, deltaNorm, revertUpdate, subtractDelta } from './aggregate.ts';
export { decodeDelta, encodeDelta } from './codec.ts';
export { chunkCountMax, chunkLength, valueBits } from './defaults.ts';
export { DeltaError, type DeltaErrorCode } from './errors.ts';
export { deltaBytesMax, deltaLimits } from './header.ts';
