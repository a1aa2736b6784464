import type { Uint8ArrayList } from 'uint8arraylist';

/** The same memory as a plain `Uint8Array`: a Node `Buffer`'s `slice` would share memory where a copy is expected. */
export function plainBytes(bytes: Uint8Array | Uint8ArrayList): Uint8Array {
  const view = bytes instanceof Uint8Array ? bytes : bytes.subarray();
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
