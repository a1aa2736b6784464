import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineError } from '../src/errors.ts';
import { checkGrows, createGeneration, drawByte } from '../src/generation.ts';

test('drawByte takes the likeliest byte at temperature 0, draws in proportion above it, and never a special token', () => {
  const logits = Float32Array.from({ length: 260 }, (_, token) => (token >= 256 ? 9 : token === 65 ? 2 : 0));
  assert.equal(drawByte(logits, 0, 0.99), 65);
  const share = (255 * 1) / (255 + Math.exp(2));
  assert.equal(drawByte(logits, 1, 0), 0);
  assert.equal(drawByte(logits, 1, 0.9999), 255);
  assert.equal(drawByte(logits, 1, share * (65 / 255) + (1 - share) / 2), 65);
});

test('createGeneration refuses logits among which there is no number', async () => {
  for (const value of [Number.NaN, Number.NEGATIVE_INFINITY])
    for (const temperature of [0, 1]) {
      const logits = async (tokens: BigInt64Array) => new Float32Array(260 * tokens.length).fill(value);
      const job = createGeneration({ logits, context: 4 }, 'a', { bytes: 1, temperature, seed: 's' });
      await assert.rejects(job.slice(), { code: 'not-finite' });
    }
});

test('checkGrows takes symbolic lengths and refuses a fixed one with its input and shape', () => {
  checkGrows({ name: 'tokens', type: 'int64', shape: ['batch', 'sequence'] });
  assert.throws(
    () => checkGrows({ name: 'tokens', type: 'int64', shape: ['batch', 32] }),
    (error) =>
      error instanceof EngineError &&
      error.code === 'not-a-text-model' &&
      /input tokens is \[batch,32\]/.test(error.message),
  );
});
