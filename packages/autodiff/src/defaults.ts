import { MiB } from '@murmuration/base';

/** Step of the central differences: float32 forwards lose half of their digits below it. */
export const checkStep = 1e-2;

/** Largest difference between a gradient and its central difference, relative to the gradient's own size. */
export const checkTolerance = 2e-2;

/** Coordinates checked per parameter. */
export const checkCoordinatesMax = 32;

/** Largest rank of an adapter; beyond a few hundred it no longer is a small one. */
export const loraRankMax = 1_024;

/** Float weights that never train stay inside the graph up to this many values; larger ones travel as a blob. */
export const inlineWeightsMax = 1_024;

/** What a symbolic dimension counts as where sizes are compared before they are known: a usual batch or context. */
export const nominalSize = 128;

/** Values below this size are held rather than computed again: a kernel's fixed cost would outweigh the memory. */
export const recomputeBytesMin: number = MiB;

/**
 * A value is computed again in the backward part if that takes at most so many operations per byte it occupies. At
 * 70 operations per nanosecond and core an operation costs as much as a tenth of a byte's traffic; attention's scores
 * take about 34 per byte at 64 channels per head, a transformer's matrix products several hundred.
 */
export const recomputeOperationsMax = 48;

/** Rows of a matrix whose determinant is differentiated: beyond this, float32 loses too much in the recursion. */
export const determinantSizeMax = 8;

/** Elements of the kernel that cuts an image into the blocks of Col2Im. */
export const blockElementsMax = 1_024;

/** To compute a value again, one that is not held yet may be held for it when it is so many times smaller. */
export const recomputeSourceRatio = 16;
