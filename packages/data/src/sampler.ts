import { createRandom } from '@murmuration/base';
import { DataError } from './errors.ts';
import type { Sampler, SamplerOptions, TokenArray, TokenStream } from './index.ts';

/** Copies `stream[start, start + length)` into `array` from `at` on. */
export function copyTokens(
  stream: TokenStream,
  start: number,
  length: number,
  array: TokenArray,
  at: number,
): void {
  if (array instanceof BigInt64Array)
    for (let i = 0; i < length; i++) array[at + i] = BigInt(stream.tokens[start + i] as number);
  else array.set(stream.tokens.subarray(start, start + length), at);
}

/** Throws `DataError` `bad-input` unless each of `values` is an integer ≥ 1. */
export function checkShape(values: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(values))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new DataError(`${name}: expected a positive integer, got ${value}`, {
        code: 'bad-input',
        name,
        value,
      });
}

/**
 * Windows of `context` tokens in an order that the seed decides. Each pass over the stream starts at another offset and
 * shuffles its windows, so that a pass shows no token twice and leaves out less than two windows at the ends, and two
 * passes cut the text differently. Where the sampler stands is one number. Throws `DataError` `too-little-text` when
 * the stream has not one window, `bad-input`.
 */
export function createSampler(stream: TokenStream, options: SamplerOptions): Sampler {
  const { context, batch, seed } = options;
  checkShape({ context, batch });
  let position = options.position ?? 0;
  if (!Number.isSafeInteger(position) || position < 0)
    throw new DataError(`position: expected an integer ≥ 0, got ${position}`, {
      code: 'bad-input',
      position,
    });
  const spare = Math.min(context, stream.tokens.length - context);
  if (spare < 1)
    throw new DataError(
      `expected more than ${context} tokens (one window of the context) to train on, got ${stream.tokens.length}`,
      { code: 'too-little-text', tokens: stream.tokens.length, context },
    );
  const windows = Math.floor((stream.tokens.length - spare) / context);
  const starts = new Uint32Array(windows);
  const random = createRandom(seed);
  let shuffledPass = -1;

  function shuffle(pass: number): void {
    const draw = random.fork(`pass ${pass}`);
    const offset = draw.below(spare);
    for (let i = 0; i < windows; i++) {
      const j = draw.below(i + 1);
      starts[i] = starts[j] as number;
      starts[j] = offset + i * context;
    }
    shuffledPass = pass;
  }

  return {
    get position() {
      return position;
    },
    windows,
    fill(tokens, targets) {
      if (tokens.length !== batch * context || targets.length !== batch * context)
        throw new DataError(
          `fill: expected arrays of ${batch} × ${context} tokens, got ${tokens.length} and ${targets.length}`,
          { code: 'bad-input', tokens: tokens.length, targets: targets.length },
        );
      for (let row = 0; row < batch; row++, position++) {
        const pass = Math.floor(position / windows);
        if (pass !== shuffledPass) shuffle(pass);
        const start = starts[position % windows] as number;
        copyTokens(stream, start, context, tokens, row * context);
        copyTokens(stream, start + 1, context, targets, row * context);
      }
    },
  };
}
