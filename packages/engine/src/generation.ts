import { createRandom } from '@murmuration/base';
import { byteTokenizer } from '@murmuration/data';
import type { ValueInfo } from '@murmuration/onnx';
import { generateBytesMax } from './defaults.ts';
import { EngineError } from './errors.ts';
import type { Job } from './schedule.ts';

export interface GenerationOptions {
  readonly bytes: number;
  readonly temperature: number;
  readonly seed: string;
}

/**
 * Draws a text byte by its logits: the likeliest at temperature 0, else in proportion to exp(logit ÷ temperature).
 * Special tokens are never drawn. Throws `EngineError` `not-finite` where no logit is a number.
 */
export function drawByte(logits: ArrayLike<number>, temperature: number, unit: number): number {
  const candidates = Array.from(logits).filter((_, token) => byteTokenizer.isText(token));
  const highest = candidates.reduce((high, logit) => Math.max(high, logit), Number.NEGATIVE_INFINITY);
  if (!Number.isFinite(highest))
    throw new EngineError(`generate: expected logits that are numbers, the highest is ${highest}`, {
      code: 'not-finite',
    });
  if (temperature === 0) return candidates.indexOf(highest);
  const weights = candidates.map((logit) => Math.exp((logit - highest) / temperature));
  let left = unit * weights.reduce((sum, weight) => sum + weight, 0);
  for (let token = 0; token < weights.length; token++) {
    left -= weights[token] as number;
    if (left < 0) return token;
  }
  return candidates.indexOf(highest);
}

/**
 * Text grows token by token: throws `EngineError` `not-a-text-model` for an input that takes a fixed number of them.
 */
export function checkGrows({ name, shape }: ValueInfo): void {
  const [rows, columns] = shape ?? [];
  if (typeof columns !== 'number' && (typeof rows !== 'number' || rows === 1)) return;
  throw new EngineError(
    `generate: expected a model that takes texts of any length, got one whose input ${name} is [${shape}]: ` +
      `export it with symbolic batch and sequence dimensions`,
    { code: 'not-a-text-model', input: name },
  );
}

function checkOptions(prompt: string, { bytes, temperature }: GenerationOptions): void {
  const problem =
    !Number.isSafeInteger(bytes) || bytes < 0 || bytes > generateBytesMax
      ? `bytes: expected an integer from 0 to ${generateBytesMax}, got ${bytes}`
      : !(temperature >= 0 && temperature < Number.POSITIVE_INFINITY)
        ? `temperature: expected a number ≥ 0, got ${temperature}`
        : prompt.length > generateBytesMax
          ? `prompt: expected at most ${generateBytesMax} characters, got ${prompt.length}`
          : undefined;
  if (problem) throw new EngineError(`generate ${problem}`, { code: 'bad-prompt' });
}

/** Continues a prompt, one byte per slice, from the last `context` tokens. The result is the continuation alone. */
export function createGeneration(
  init: {
    /** Logits [tokens, vocabulary] of some tokens, row by row. */
    readonly logits: (tokens: BigInt64Array) => Promise<Float32Array>;
    readonly context: number;
  },
  prompt: string,
  options: GenerationOptions,
): Job & { result(): string } {
  checkOptions(prompt, options);
  const { context } = init;
  const random = createRandom(options.seed);
  const tokens: number[] = [byteTokenizer.begin, ...byteTokenizer.encode(prompt)];
  const promptLength = tokens.length;
  return {
    activity: 'evaluation',
    async slice() {
      if (tokens.length - promptLength >= options.bytes) return true;
      const window = BigInt64Array.from(tokens.slice(-context), BigInt);
      const logits = await init.logits(window);
      const vocabulary = logits.length / window.length;
      tokens.push(drawByte(logits.subarray(-vocabulary), options.temperature, random.unit()));
      return false;
    },
    result: () => byteTokenizer.decode(tokens.slice(promptLength)),
  };
}
