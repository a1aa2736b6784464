/**
 * By how many percent the held-out loss is higher after the same tokens when peers train on top of what is being
 * certified than when they wait.
 */
export function lossCostOfOverlap(): Promise<number> {
  return Promise.resolve(Number.NaN);
}
