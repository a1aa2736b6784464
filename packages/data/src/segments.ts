/**
 * Where text is cut. A cut depends on the lines around it only, not on where in a document they stand, so that a passage
 * that occurs twice is cut alike both times, and its pieces meet the same fate.
 */
import { segmentBytesMax, segmentBytesMin, segmentLinesMean } from './defaults.ts';

/** The byte that ends a line. */
export const newline = 10;
const offsetBasis = 0x811c9dc5;
const prime = 0x01000193;

/** FNV-1a of `bytes[start, end)`, well mixed (the finalizer of MurmurHash3): a uniform integer in [0, 2³²). Not for identity. */
export function hashBytes(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let hash = offsetBasis ^ seed;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), prime);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The end of the line that begins at `start`, its line break included; at most `segmentBytesMax` away. */
function lineEnd(bytes: Uint8Array, start: number): number {
  const limit = Math.min(bytes.length, start + segmentBytesMax);
  const at = bytes.indexOf(newline, start);
  return at < 0 || at >= limit ? limit : at + 1;
}

/** Calls `visit` for each line of `bytes[start, end)`. */
export function forEachLine(
  bytes: Uint8Array,
  start: number,
  end: number,
  visit: (lineStart: number, lineEnd: number) => void,
): void {
  for (let at = start; at < end; ) {
    const next = Math.min(lineEnd(bytes, at), end);
    visit(at, next);
    at = next;
  }
}

/** The ends of a document's segments, rising; the last is its length. A short rest joins the segment before it. */
export function cutSegments(bytes: Uint8Array): number[] {
  const ends: number[] = [];
  let start = 0;
  forEachLine(bytes, 0, bytes.length, (lineStart, end) => {
    const size = end - start;
    const chosen = size >= segmentBytesMin && hashBytes(bytes, lineStart, end, 0) % segmentLinesMean === 0;
    if (chosen || size >= segmentBytesMax) {
      ends.push(end);
      start = end;
    }
  });
  if (start < bytes.length) {
    if (bytes.length - start < segmentBytesMin) ends.pop();
    ends.push(bytes.length);
  }
  return ends;
}
