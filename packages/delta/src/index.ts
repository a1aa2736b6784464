/** A parameter change to bytes and back, and many deltas to one. */
export {};
