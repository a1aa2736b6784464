/** Step of the central differences: float32 forwards lose half of their digits below it. */
export const checkStep = 1e-2;

/** Largest difference between a gradient and its central difference, relative to the gradient's own size. */
export const checkTolerance = 2e-2;

/** Coordinates checked per parameter. */
export const checkCoordinatesMax = 32;
