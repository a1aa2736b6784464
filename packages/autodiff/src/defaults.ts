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

/**
 * Output positions per image up to which a convolution is one matrix product over the whole batch. Fastest of 40 runs
 * on two AVX-512 cores, batch 16, 3×3 kernels, gathering and product against onnxruntime's own convolution: 64
 * positions 1.1 : 1.2 ms, 16 positions 1.0 : 1.3 ms, 4 positions 1.0 : 3.8 ms. At 256 positions 2.1 : 1.1 ms alone, but
 * 1.0 : 1.1 ms inside a training graph, where memory is used again while it is in the cache.
 */
export const productOutputsMax = 256;

/** Elements per image that may be gathered at once for a product over the whole batch: 4 MiB of float32. */
export const gatheredElementsMax = 2 ** 20;

/** Bounds on a checkpointed segment that are tried, from a thirty-second of what is held to all of it. */
export const checkpointBoundsTried = 32;

/** Narrow places of a graph that are considered as cuts; the time grows with their square. */
export const checkpointPlacesMax = 512;

/** How much a step along a direction may change the loss, to first order: far above float32's noise. */
export const directionChange = 1e-2;

/** Such a step is at most this share of the parameter's own norm, plus `directionStepMin` where that is zero. */
export const directionStepShare = 2e-2;
export const directionStepMin = 1e-2;

/** So many times longer where the gradient is too small to be seen otherwise. */
export const directionStretch = 16;

/** How much shorter than the longest each step is. */
export const stepDivisors = [1, 8, 64];

/** Rounding of a float32 loss that went through many operators, relative to it. */
export const lossRounding: number = 2 ** -22;

/** A step whose rounding may hide more than this share of the gradient tells nothing. */
export const roundingShareMax = 5e-3;

/**
 * Two sums of a gradient along a line must differ by no more than this share of its norm for the finer one to count.
 */
export const quadratureShareMax = 5e-3;

/** Times that a line's two parts are cut in three where the gradient along it jumps: 54 parts. */
export const panelTriplings = 3;

/** What a symbolic batch of images counts as where the costs of two ways are compared. */
export const nominalBatch = 16;

/**
 * Nodes on the way to a value that is computed again; longer ways are made of things that cost nothing, or too much.
 */
export const recomputeNodesMax = 64;

/**
 * Weights of a resized axis that may be a constant of the graph: 16 MiB of float32, an axis of 2,048 from another such.
 * Beyond it, and where sizes are symbolic, they are computed as the graph runs.
 */
export const interpolationElementsMax: number = 4 * 2 ** 20;

/** Coordinates of an affine grid that may be a constant of the graph: 16 MiB of float32. */
export const gridNumbersMax: number = 4 * 2 ** 20;

/** Times that pixels are repeated up to which their gradient is a mean over blocks. */
export const repetitionsMax = 256;

/** Names that an error lists: what to choose from is many for a large model, and seen from the first. */
export const listedNamesMax = 20;
