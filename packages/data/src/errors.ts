import { FactError } from '@murmuration/base';

/** Reasons to refuse text, arrays or options. */
export type DataErrorCode =
  /** There is not one byte of text. */
  | 'no-text'
  /** There is text, but not enough for the split, a window, or a sample. */
  | 'too-little-text'
  /** There are too few rows to train on one and hold one out. */
  | 'too-little-data'
  /** Bytes that are no `.npy` file of a known type in row-major, little-endian order. */
  | 'bad-array'
  /** An option, a position or an array is out of range. */
  | 'bad-input';

/** Why text or arrays cannot be trained on or evaluated. */
export class DataError extends FactError<DataErrorCode> {}
