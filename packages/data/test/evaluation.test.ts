import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createTokenStream, DataError, evaluationWindows } from '../src/index.ts';
import { documentOf, textOf } from './texts.ts';

test('evaluationWindows predicts every token but the first once, in order, and counts every byte', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 1, max: 9 }),
      (lines, context, batch) => {
        const stream = createTokenStream([documentOf('a', textOf('a', lines)), documentOf('b', 'b')]);
        const tokens: number[] = [];
        const targets: number[] = [];
        let bytes = 0;
        for (const window of evaluationWindows(stream, { context, batch })) {
          assert.equal(window.tokens.length, window.rows * window.columns);
          assert.equal(window.targets.length, window.rows * window.columns);
          assert.ok(window.rows <= batch && window.columns <= context);
          assert.ok(window.columns === context || window.rows === 1);
          tokens.push(...Array.from(window.tokens, Number));
          targets.push(...Array.from(window.targets, Number));
          bytes += window.bytes;
        }
        assert.deepEqual(tokens, [...stream.tokens.subarray(0, -1)]);
        assert.deepEqual(targets, [...stream.tokens.subarray(1)]);
        assert.equal(bytes, stream.bytes);
      },
    ),
    { numRuns: 60 },
  );
});

test('evaluationWindows makes full batches, then rows, then a part of a row', () => {
  const stream = createTokenStream([documentOf('a', 'x'.repeat(4 * 10 * 2 + 25 - 1))]);
  const shapes = [...evaluationWindows(stream, { context: 10, batch: 4 })].map(({ rows, columns }) => [
    rows,
    columns,
  ]);
  assert.deepEqual(shapes, [
    [4, 10],
    [4, 10],
    [2, 10],
    [1, 5],
  ]);
});

test('evaluationWindows stops before bytesMax, but gives one window', () => {
  const stream = createTokenStream([documentOf('a', textOf('a', 100))]);
  const covered = (bytesMax: number): number =>
    [...evaluationWindows(stream, { context: 50, batch: 2, bytesMax })].reduce(
      (sum, { bytes }) => sum + bytes,
      0,
    );
  assert.equal(covered(1_000), 1_000);
  assert.equal(covered(1_099), 1_000);
  assert.equal(covered(1), 100);
  assert.equal(covered(1e9), stream.bytes);
});

test('evaluationWindows refuses an empty stream and shapes that are none', () => {
  const empty = { tokens: new Uint16Array(), bytes: 0, segments: 0 };
  const stream = createTokenStream([documentOf('a', 'text')]);
  const isError = (code: string) => (error: unknown) => error instanceof DataError && error.code === code;
  assert.throws(() => evaluationWindows(empty, { context: 8, batch: 1 }).next(), isError('too-little-text'));
  assert.throws(() => evaluationWindows(stream, { context: 0, batch: 1 }).next(), isError('bad-input'));
  assert.throws(() => evaluationWindows(stream, { context: 8, batch: -1 }).next(), isError('bad-input'));
});
