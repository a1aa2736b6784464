import { GiB, KiB } from '@murmuration/base';

/** From this many bytes on, a segment ends at the next line whose hash says so. */
export const segmentBytesMin: number = 1 * KiB;

/**
 * From this many bytes on, a segment ends at the next line end, whatever its hash; a longer line is cut. With lines of
 * 60 to 130 bytes the mean is 2 to 3 KiB.
 */
export const segmentBytesMax: number = 4 * KiB;

/** One line in so many ends a segment. */
export const segmentLinesMean = 16;

/** Share of the segments, or rows, that is held out of training. */
export const heldOutShare = 0.1;

/** A held-out segment of which more than this share, in bytes, stands in training line for line measures memory. */
export const knownShareMax = 0.5;

/** Most bytes of one token stream: token counts and positions stay far below 2³². */
export const textBytesMax: number = 1 * GiB;

/** Longest header of a `.npy` file: version 1.0 holds at most 65,535 bytes, and NumPy's own are below 128. */
export const npyHeaderBytesMax: number = 64 * KiB;

/** Most dimensions of an array: as many as a tensor of `onnx` may have. */
export const rankMax = 16;
