import { FactError } from '@murmuration/base';

export type EngineErrorCode =
  /**
   * A data path that is missing, unreadable, a folder without text files, or without the arrays of a model's inputs.
   */
  | 'bad-data-path'
  /** The texts hold too few bytes for one sample. */
  | 'too-little-text'
  | 'too-much-text'
  /** The arrays hold too few rows to train on one and hold one out. */
  | 'too-little-data'
  /** Samples do not fit the graph's inputs. */
  | 'bad-samples'
  /** `train` or `evaluate` on an engine without data. */
  | 'no-data'
  | 'bad-graph'
  /** A device that does not take a step's graphs, or fails in a run. */
  | 'device-failed'
  /** Its vectors do not fit into the memory that a step works in. */
  | 'too-many-parameters'
  /** `generate` with a model that is not for text. */
  | 'not-a-text-model'
  /** A file of weights that the run needs was not given. */
  | 'missing-weights'
  /** θ₀ from the seed does not have the run's name. */
  | 'bad-initial-state'
  /** The folder's checkpoint belongs to another run. */
  | 'foreign-checkpoint'
  /** Loss or gradient is not a number: the step was not taken. Or logits are not. */
  | 'not-finite'
  /** A second `encode` while a delta is pending, or one without inner steps. */
  | 'nothing-to-encode'
  | 'already-pending'
  | 'unknown-parent'
  | 'not-undoable'
  | 'undo-limit'
  | 'missing-blob'
  | 'bad-blob'
  | 'bad-snapshot'
  | 'bad-prompt'
  | 'not-open'
  | 'already-open'
  | 'closed'
  | 'too-many-calls'
  | 'disk-full'
  | 'disk'
  | 'engine-died'
  /** What would need more memory than the machine has, by its sizes or because it was seen to. */
  | 'too-much-memory'
  /** A check of a model that did not end in its time. */
  | 'timed-out'
  /** A defect: the child met an error that has no code of its own. */
  | 'internal';

/** What goes wrong between a peer and its tensors. */
export class EngineError extends FactError<EngineErrorCode> {}

/** A file operation's error as facts: a full disk has its own code. */
export function diskError(cause: unknown, action: string, path: string): EngineError {
  const { code: errno, message } = cause as NodeJS.ErrnoException;
  const full = errno === 'ENOSPC' || errno === 'EDQUOT';
  return new EngineError(
    full ? `no space left to ${action} ${path}` : `cannot ${action} ${path}: ${message}`,
    { code: full ? 'disk-full' : 'disk', path, errno },
    { cause },
  );
}
