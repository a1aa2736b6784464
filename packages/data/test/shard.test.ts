import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '@murmuration/base';
import fc from 'fast-check';
import {
  byteTokenizer,
  createShard,
  createTokenStream,
  DataError,
  type Document,
  type Shard,
  type ShardOptions,
  type TokenStream,
} from '../src/index.ts';
import { cutSegments } from '../src/segments.ts';
import { errorCode } from './error-code.ts';
import { anyDocuments, documentOf, textOf } from './texts.ts';

const { begin, end, isText } = byteTokenizer;

/** The stretches of text between `begin` and `end`, as bytes in latin1 text, after checking the frame. */
function stretches({ tokens }: TokenStream): string[] {
  const texts: string[] = [];
  let text: number[] | undefined;
  for (const token of tokens) {
    if (token === begin) {
      assert.equal(text, undefined);
      text = [];
    } else if (token === end) {
      texts.push(Buffer.from(text as number[]).toString('latin1'));
      text = undefined;
    } else {
      assert.ok(isText(token) && text !== undefined);
      text.push(token);
    }
  }
  assert.equal(text, undefined);
  return texts;
}

const linesOf = (texts: string[]): string[] =>
  texts.flatMap((text) => text.split('\n')).filter((line) => line !== '');

const latin1Document = (text: string): Document => ({
  name: '',
  bytes: new Uint8Array(Buffer.from(text, 'latin1')),
});

/** The share of a segment that stands in `known`, line for line. */
const knownShare = (segment: string, known: ReadonlySet<string>): number =>
  linesOf([segment])
    .filter((line) => known.has(line))
    .reduce((sum, line) => sum + line.length + 1, 0) / segment.length;

const shardOf = (documents: Document[], options: ShardOptions): Shard | undefined => {
  try {
    return createShard(documents, options);
  } catch (error) {
    assert.ok(error instanceof DataError && error.code === 'too-little-text');
    return undefined;
  }
};

const segmentsOf = (documents: Document[]): string[] =>
  documents.flatMap(({ bytes }) => {
    const ends = cutSegments(bytes);
    return ends.map((to, i) => Buffer.from(bytes.subarray(ends[i - 1] ?? 0, to)).toString('latin1'));
  });

test('createShard: no held-out segment occurs in a training stretch, though passages and documents repeat', () => {
  let heldOutSeen = 0;
  fc.assert(
    fc.property(anyDocuments, fc.string(), fc.constantFrom(0.1, 0.3, 0.5), (documents, seed, heldOut) => {
      const shard = shardOf(documents, { heldOut, seed });
      if (!shard) return;
      const training = stretches(shard.training);
      const known = new Set(linesOf(training));
      const heldOutSegments = segmentsOf(stretches(shard.heldOut).map(latin1Document));
      for (const segment of heldOutSegments) {
        assert.ok(training.every((text) => !text.includes(segment)));
        assert.ok(knownShare(segment, known) <= 0.5);
      }
      assert.equal(heldOutSegments.length, shard.heldOut.segments);
      heldOutSeen += heldOutSegments.length;
    }),
    { numRuns: 200 },
  );
  assert.ok(heldOutSeen > 200);
});

test('createShard puts every segment on one side, by its content and the seed alone', () => {
  fc.assert(
    fc.property(anyDocuments, fc.string(), (documents, seed) => {
      const shard = shardOf(documents, { heldOut: 0.3, seed });
      if (!shard) return;
      const segments = segmentsOf(documents);
      assert.equal(shard.training.segments + shard.heldOut.segments + shard.droppedSegments, segments.length);
      const again = createShard(documents.toReversed(), { heldOut: 0.3, seed });
      assert.deepEqual(stretches(again.training).sort(), stretches(shard.training).sort());
      assert.deepEqual(stretches(again.heldOut).sort(), stretches(shard.heldOut).sort());
    }),
    { numRuns: 100 },
  );
});

test('createShard with a repeated document adds nothing to the held-out side that training has', () => {
  const text = textOf('repeat', 400);
  const once = createShard([documentOf('a', text)], { seed: 'x' });
  const twice = createShard([documentOf('a', text), documentOf('b', text)], { seed: 'x' });
  assert.deepEqual(new Set(stretches(twice.training)), new Set(stretches(once.training)));
  assert.deepEqual(new Set(stretches(twice.heldOut)), new Set(stretches(once.heldOut)));
  const shifted = createShard([documentOf('a', text), documentOf('b', `another start\n${text}`)], {
    seed: 'x',
  });
  const known = new Set(linesOf(stretches(shifted.training)));
  for (const segment of segmentsOf(stretches(shifted.heldOut).map(latin1Document)))
    assert.ok(knownShare(segment, known) <= 0.5);
});

test('createShard holds out about the share asked for, and another part with another seed', () => {
  const documents = [documentOf('large', textOf('share', 20_000))];
  const shard = createShard(documents, { seed: 'a' });
  const share = shard.heldOut.bytes / (shard.heldOut.bytes + shard.training.bytes);
  assert.ok(share > 0.07 && share < 0.13, `${share}`);
  assert.notDeepEqual(createShard(documents, { seed: 'b' }).heldOut.tokens, shard.heldOut.tokens);
  assert.deepEqual(createShard(documents, { seed: 'a' }), shard);
});

test('createShard holds one segment out of the least text that has two', () => {
  const documents = [documentOf('small', textOf('small', 60))];
  for (let seed = 0; seed < 50; seed++) {
    const shard = createShard(documents, { heldOut: 0.01, seed: `${seed}` });
    assert.ok(shard.heldOut.bytes > 0 && shard.training.bytes > 0);
  }
  assert.equal(createShard(documents, { heldOut: 0, seed: '' }).heldOut.bytes, 0);
});

test('createShard takes bytes that are not UTF-8, and lines of any length', () => {
  const random = createRandom('noise');
  const bytes = Uint8Array.from({ length: 50_000 }, () => random.below(256));
  const shard = createShard([{ name: 'noise', bytes: bytes.map((byte) => (byte === 10 ? 11 : byte)) }], {
    seed: '',
  });
  assert.equal(shard.training.bytes + shard.heldOut.bytes, 50_000);
  assert.ok(shard.heldOut.bytes > 0);
});

test('createShard and createTokenStream say what is missing', () => {
  const empty = { name: 'empty', bytes: new Uint8Array() };
  const seed = 'x';
  assert.equal(
    errorCode(() => createShard([], { seed })),
    'no-text',
  );
  assert.equal(
    errorCode(() => createShard([empty], { seed })),
    'no-text',
  );
  assert.equal(
    errorCode(() => createTokenStream([empty])),
    'no-text',
  );
  assert.equal(
    errorCode(() => createShard([documentOf('a', 'one line\n')], { seed })),
    'too-little-text',
  );
  const same = documentOf('a', textOf('same', 8));
  assert.equal(
    errorCode(() => createShard([same, same, same], { seed })),
    'too-little-text',
  );
  for (const heldOut of [-0.1, 1, Number.NaN])
    assert.equal(
      errorCode(() => createShard([same], { seed, heldOut })),
      'bad-input',
    );
});

test('createTokenStream keeps every byte in order, one frame per document', () => {
  const documents = [documentOf('a', 'ab\n'), documentOf('empty', ''), documentOf('b', 'c')];
  const stream = createTokenStream(documents);
  assert.deepEqual([...stream.tokens], [begin, 97, 98, 10, end, begin, 99, end]);
  assert.equal(stream.bytes, 4);
});

test('cutSegments covers a document in pieces of 1 KiB or more that end with a line', () => {
  fc.assert(
    fc.property(anyDocuments, (documents) => {
      for (const { bytes } of documents) {
        const ends = cutSegments(bytes);
        assert.equal(ends.at(-1), bytes.length);
        ends.forEach((to, i) => {
          const size = to - (ends[i - 1] ?? 0);
          assert.ok(size >= Math.min(1_024, bytes.length) && size <= 9_216, `${size}`);
          assert.equal(bytes[to - 1], 10);
        });
      }
    }),
  );
});
