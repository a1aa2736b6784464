/**
 * Merkle trees of RFC 6962: leaves and nodes are hashed under different prefixes, split at the largest power of two.
 */
import { concat } from 'uint8arrays/concat';
import { sha256 } from './digest.ts';
import { assert } from './errors.ts';

type Hash = (bytes: Uint8Array) => Uint8Array;

/** What shows that a leaf is one of `count`, at place `index`: the roots beside its way, the lowest first. */
export interface MerkleProof {
  readonly index: number;
  readonly count: number;
  readonly path: readonly Uint8Array[];
}

const leafHash = (leaf: Uint8Array, hash: Hash): Uint8Array => hash(concat([Uint8Array.of(0), leaf]));
const nodeHash = (left: Uint8Array, right: Uint8Array, hash: Hash): Uint8Array =>
  hash(concat([Uint8Array.of(1), left, right]));

/** How many of these leaves are in the left tree: the largest power of two below their count. */
function splitOf(count: number): number {
  let split = 1;
  while (split * 2 < count) split *= 2;
  return split;
}

/**
 * The root of a tree. `hash` defaults to the portable SHA-256. The root of no leaves is the hash of the empty string.
 */
export function merkleRoot(leaves: readonly Uint8Array[], hash: Hash = sha256): Uint8Array {
  if (leaves.length === 0) return hash(new Uint8Array());
  if (leaves.length === 1) return leafHash(leaves[0] as Uint8Array, hash);
  const split = splitOf(leaves.length);
  return nodeHash(merkleRoot(leaves.slice(0, split), hash), merkleRoot(leaves.slice(split), hash), hash);
}

/**
 * What shows that a tree with these leaves has the one at `index`, to somebody who knows its root and not the others.
 */
export function merkleProof(leaves: readonly Uint8Array[], index: number, hash: Hash = sha256): MerkleProof {
  assert(Number.isInteger(index) && index >= 0 && index < leaves.length, 'the place of a leaf');
  return { index, count: leaves.length, path: pathOf(leaves, index, hash) };
}

function pathOf(leaves: readonly Uint8Array[], index: number, hash: Hash): Uint8Array[] {
  if (leaves.length === 1) return [];
  const split = splitOf(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return index < split
    ? [...pathOf(left, index, hash), merkleRoot(right, hash)]
    : [...pathOf(right, index - split, hash), merkleRoot(left, hash)];
}

/**
 * The root that a proof gives its leaf (RFC 9162, 2.1.3.2): equal to the tree's if and only if the leaf is there.
 * `undefined` when the path is not as long as it must be for this place among so many.
 */
export function provenRoot(
  leaf: Uint8Array,
  { index, count, path }: MerkleProof,
  hash: Hash = sha256,
): Uint8Array | undefined {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(count) || index < 0 || index >= count)
    return undefined;
  let at = index;
  let last = count - 1;
  let root = leafHash(leaf, hash);
  for (const beside of path) {
    if (last === 0) return undefined;
    const isRight = at % 2 === 1 || at === last;
    root = isRight ? nodeHash(beside, root, hash) : nodeHash(root, beside, hash);
    while (isRight && at % 2 === 0 && at !== 0) {
      at /= 2;
      last = Math.floor(last / 2);
    }
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? root : undefined;
}
