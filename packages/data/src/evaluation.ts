import { DataError } from './errors.ts';
import type { EvaluationOptions, EvaluationWindow, TokenStream } from './index.ts';
import { checkShape, copyTokens } from './sampler.ts';
import { byteTokenizer } from './tokenizer.ts';

/**
 * Windows that predict every token but the first exactly once, in order: first batches of [batch, context], then one of
 * fewer rows, then one row that is shorter, as far as there are any. With `bytesMax` it ends before the window that
 * would predict more text bytes, but not before the first. Throws `DataError` `too-little-text`, `bad-input`.
 *
 * Bits per byte of a text: Σ meanLoss · rows · columns ÷ ln 2 ÷ Σ bytes.
 */
export function* evaluationWindows(
  stream: TokenStream,
  { context, batch, bytesMax = Number.POSITIVE_INFINITY }: EvaluationOptions,
): Generator<EvaluationWindow> {
  checkShape({ context, batch });
  const predictable = stream.tokens.length - 1;
  if (predictable < 1 || stream.bytes < 1)
    throw new DataError(`expected text to evaluate on, got ${stream.bytes} bytes`, {
      code: 'too-little-text',
      bytes: stream.bytes,
    });
  let covered = 0;
  for (let start = 0; start < predictable; ) {
    const left = predictable - start;
    const rows = Math.max(1, Math.min(batch, Math.floor(left / context)));
    const columns = Math.min(context, left);
    const length = rows * columns;
    let bytes = 0;
    for (let at = start + 1; at <= start + length; at++)
      if (byteTokenizer.isText(stream.tokens[at] as number)) bytes++;
    if (start > 0 && covered + bytes > bytesMax) return;
    const tokens = new BigInt64Array(length);
    const targets = new BigInt64Array(length);
    copyTokens(stream, start, length, tokens, 0);
    copyTokens(stream, start + 1, length, targets, 0);
    yield { tokens, targets, rows, columns, bytes };
    covered += bytes;
    start += length;
  }
}
