import { FactError } from '@murmuration/base';

/** Reasons to refuse a vector, bytes, or inputs. */
export type DeltaErrorCode =
  /** The bytes end before what their header promises. */
  | 'truncated'
  /** Bytes or set bits follow the last chunk. */
  | 'trailing'
  | 'bad-magic'
  | 'unknown-version'
  /** k or bits is outside what the format or the caller allows. */
  | 'bad-settings'
  | 'wrong-parameters'
  /** The header names another run, base or author than expected. */
  | 'wrong-header'
  | 'index-range'
  | 'bad-scale'
  /** The bytes decode, but no encoder writes them so. */
  | 'not-canonical'
  /** Nothing but zeros. */
  | 'zero'
  | 'not-finite'
  /** An argument of aggregation or application is out of range. */
  | 'bad-input';

/** What is wrong with a vector to encode, with bytes to decode, or with deltas to aggregate. */
export class DeltaError extends FactError<DeltaErrorCode> {}
