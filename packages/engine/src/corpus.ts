import {
  createShard,
  createTokenStream,
  DataError,
  type Document,
  type TokenStream,
} from '@murmuration/data';
import { EngineError } from './errors.ts';
import { readTextFiles } from './text-files.ts';

/** The parts of an engine's text. Held-out text is in `heldOut` alone. */
export interface Corpus {
  readonly training: TokenStream;
  readonly heldOut: TokenStream;
}

function orEngineError<Value>(make: () => Value, paths: readonly string[]): Value {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const code =
      error.code === 'too-little-text' || error.code === 'no-text' ? 'too-little-text' : 'too-much-text';
    throw new EngineError(`data ${paths.join(', ')}: ${error.message}`, { code, paths }, { cause: error });
  }
}

/**
 * Reads texts and splits them. The seed is the run's, so that text which two peers have is held out by both. Throws
 * `EngineError`: `bad-data-path`, `too-little-text` unless there is one sample of `context` tokens, `too-much-text`.
 */
export function readCorpus(paths: readonly string[], seed: string, context: number): Corpus {
  const documents: Document[] = readTextFiles(paths);
  const { training, heldOut } = orEngineError(() => createShard(documents, { seed }), paths);
  if (training.tokens.length <= context)
    throw new EngineError(
      `data ${paths.join(', ')}: expected more than ${context} tokens to train on, got ${training.tokens.length}`,
      { code: 'too-little-text', paths, tokens: training.tokens.length },
    );
  return { training, heldOut };
}

/** All text of some files as one stream, to evaluate on. Throws like `readCorpus`. */
export function readWholeText(paths: readonly string[]): TokenStream {
  return orEngineError(() => createTokenStream(readTextFiles(paths)), paths);
}
