import { KiB } from '@murmuration/base';

/** A segment ends at a line whose hash says so once it has this many bytes, */
export const segmentBytesMin: number = 1 * KiB;
/** and at the next line end, or inside a longer line, at this many: between the two, 2 to 3 KiB on average for lines of 60 to 130 bytes. */
export const segmentBytesMax: number = 4 * KiB;
/** One line in so many ends a segment. */
export const segmentLinesMean = 16;

/** Share of the segments that is held out of training. */
export const heldOutShare = 0.1;

/** A held-out segment of which more than this share, in bytes, stands in training line for line measures memory. */
export const knownShareMax = 0.5;

/** Most bytes of one token stream: token counts and positions stay far below 2³². */
export const textBytesMax: number = 1_024 * KiB * KiB;
