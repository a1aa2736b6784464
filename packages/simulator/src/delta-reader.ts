/** Reads deltas as every peer must: the bytes are those of this run, base and author. Equal bytes are decoded once. */
import { type Cid, digestOfCid, type PeerId, publicKeyOf } from '@murmuration/base';
import { DeltaError, type DeltaLimits, decodeDelta, deltaNorm, type SparseDelta } from '@murmuration/delta';
import type { BlockId } from '@murmuration/protocol';

export interface DeltaReader {
  /** The delta, unless the bytes are not one of this author and base. */
  read(
    blob: Cid,
    bytes: Uint8Array,
    expected: { readonly author: PeerId; readonly base: BlockId },
  ): SparseDelta | undefined;
  /** Whether the bytes are what an announcement says of them. */
  isValid(
    blob: Cid,
    bytes: Uint8Array,
    announced: { readonly author: PeerId; readonly base: BlockId; readonly norm: number },
  ): boolean;
}

/** Decoded deltas remembered: what the peers of a few rounds share. */
const rememberedMax = 4_096;

export function createDeltaReader(runDigest: Uint8Array, limits: DeltaLimits): DeltaReader {
  const known = new Map<string, SparseDelta | undefined>();
  const decode = (bytes: Uint8Array, author: PeerId, base: BlockId): SparseDelta | undefined => {
    try {
      const expected = { runDigest, base: digestOfCid(base), author: publicKeyOf(author) };
      return decodeDelta(bytes, { ...limits, expected }).delta;
    } catch (error) {
      if (error instanceof DeltaError) return undefined;
      throw error;
    }
  };
  const read: DeltaReader['read'] = (blob, bytes, { author, base }) => {
    const key = `${blob} ${author} ${base}`;
    if (!known.has(key)) {
      known.set(key, decode(bytes, author, base));
      for (const oldest of known.keys()) if (known.size > rememberedMax) known.delete(oldest);
    }
    return known.get(key);
  };
  return {
    read,
    isValid(blob, bytes, announced) {
      const delta = read(blob, bytes, announced);
      return delta !== undefined && deltaNorm(delta) === announced.norm;
    },
  };
}
