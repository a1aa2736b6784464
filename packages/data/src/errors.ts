import { FactError } from '@murmuration/base';

/** Reasons to refuse text or options. */
export type DataErrorCode =
  /** There is not one byte of text. */
  | 'no-text'
  /** There is text, but not enough for the split, a window, or a sample. */
  | 'too-little-text'
  /** An option, a position or an array is out of range. */
  | 'bad-input';

/** Why text cannot be trained on or evaluated. */
export class DataError extends FactError<DataErrorCode> {}
