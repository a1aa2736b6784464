import { createRandom } from '@murmuration/base';
import { heldOutShare, knownShareMax, textBytesMax } from './defaults.ts';
import { DataError } from './errors.ts';
import type { Document, Shard, ShardOptions, TokenStream } from './index.ts';
import { cutSegments, forEachLine, hashBytes, newline } from './segments.ts';
import { byteTokenizer } from './tokenizer.ts';

/** A segment of one document, and where its content's hash falls in [0, 1). */
interface Segment {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly draw: number;
}

type Side = 'training' | 'held-out' | 'dropped';

function checkSize(documents: readonly Document[]): void {
  const size = documents.reduce((sum, { bytes }) => sum + bytes.length, 0);
  if (size === 0)
    throw new DataError(`expected text, got ${documents.length} documents without a byte`, {
      code: 'no-text',
      documents: documents.length,
    });
  if (size > textBytesMax)
    throw new DataError(`expected at most ${textBytesMax} bytes of text, got ${size}`, {
      code: 'bad-input',
      size,
    });
}

/** Runs of neighbouring segments of one side, each between `begin` and `end`. */
function joinSegments(segments: readonly Segment[]): TokenStream {
  const runs: { bytes: Uint8Array; start: number; end: number }[] = [];
  for (const { bytes, start, end } of segments) {
    const last = runs.at(-1);
    if (last && last.bytes === bytes && last.end === start) last.end = end;
    else runs.push({ bytes, start, end });
  }
  const textBytes = runs.reduce((sum, { start, end }) => sum + end - start, 0);
  const tokens = new Uint16Array(textBytes + 2 * runs.length);
  let at = 0;
  for (const { bytes, start, end } of runs) {
    tokens[at++] = byteTokenizer.begin;
    tokens.set(bytes.subarray(start, end), at);
    at += end - start;
    tokens[at++] = byteTokenizer.end;
  }
  return { tokens, bytes: textBytes, segments: segments.length };
}

/** All documents as one stream, nothing held out. Throws `DataError` `no-text`. */
export function createTokenStream(documents: readonly Document[]): TokenStream {
  checkSize(documents);
  return joinSegments(
    documents
      .filter(({ bytes }) => bytes.length > 0)
      .map(({ bytes }) => ({ bytes, start: 0, end: bytes.length, draw: 0 })),
  );
}

/** The side of each segment by its content, so that a repeated segment is always on one side. */
function chooseSides(segments: readonly Segment[], share: number): Side[] {
  const draws = segments.map(({ draw }) => draw);
  const lowest = draws.reduce((low, draw) => Math.min(low, draw));
  const highest = draws.reduce((high, draw) => Math.max(high, draw));
  if (share > 0 && lowest === highest)
    throw new DataError(
      `expected at least 2 different segments of text to hold one out, got ${segments.length} of one kind; give more text (4 KiB or more)`,
      { code: 'too-little-text', segments: segments.length },
    );
  const threshold = share === 0 ? 0 : Math.min(Math.max(share, lowest + Number.EPSILON), highest);
  return draws.map((draw) => (draw < threshold ? 'held-out' : 'training'));
}

/** A line without its break, as 53 bits of two hashes: different lines practically never have one key. */
function lineKey(bytes: Uint8Array, start: number, end: number): number {
  const textEnd = bytes[end - 1] === newline ? end - 1 : end;
  return hashBytes(bytes, start, textEnd, 1) * 2 ** 21 + (hashBytes(bytes, start, textEnd, 2) >>> 11);
}

/** Drops held-out segments of which too many lines also stand in training. */
function dropKnown(segments: readonly Segment[], sides: Side[]): void {
  const known = new Set<number>();
  segments.forEach(({ bytes, start, end }, index) => {
    if (sides[index] === 'training')
      forEachLine(bytes, start, end, (from, to) => known.add(lineKey(bytes, from, to)));
  });
  segments.forEach(({ bytes, start, end }, index) => {
    if (sides[index] !== 'held-out') return;
    let knownBytes = 0;
    forEachLine(bytes, start, end, (from, to) => {
      if (known.has(lineKey(bytes, from, to))) knownBytes += to - from;
    });
    if (knownBytes > knownShareMax * (end - start)) sides[index] = 'dropped';
  });
}

/**
 * Splits documents into training and held-out text. Segments that end with a line, 1 KiB to a line beyond 4 KiB long,
 * are drawn by the hash of their content and the seed; held-out ones of which more than half stands in training, line for line, are dropped.
 * Bytes need not be UTF-8. Throws `DataError` `no-text`, `too-little-text` when nothing could be held out, `bad-input`.
 */
export function createShard(documents: readonly Document[], options: ShardOptions): Shard {
  checkSize(documents);
  const share = options.heldOut ?? heldOutShare;
  if (!(share >= 0 && share < 1))
    throw new DataError(`heldOut: expected a share in [0, 1), got ${share}`, { code: 'bad-input', share });
  const seed = createRandom(options.seed).fork('held-out').uint32();
  const segments: Segment[] = [];
  for (const { bytes } of documents) {
    let start = 0;
    for (const end of cutSegments(bytes)) {
      segments.push({ bytes, start, end, draw: hashBytes(bytes, start, end, seed) / 2 ** 32 });
      start = end;
    }
  }
  const sides = chooseSides(segments, share);
  dropKnown(segments, sides);
  const heldOut = segments.filter((_, index) => sides[index] === 'held-out');
  if (share > 0 && heldOut.length === 0)
    throw new DataError(
      `expected held-out text that training lacks; all ${segments.length} segments repeat each other's lines`,
      { code: 'too-little-text', segments: segments.length },
    );
  return {
    training: joinSegments(segments.filter((_, index) => sides[index] === 'training')),
    heldOut: joinSegments(heldOut),
    droppedSegments: sides.filter((side) => side === 'dropped').length,
  };
}
