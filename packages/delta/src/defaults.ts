import { KiB } from '@murmuration/base';
import type { ValueBits } from './index.ts';

/** Values per chunk; part of the wire format (version 1). SparseLoCo's and templar's chunk is 64 × 64 as well. */
export const chunkLength = 4_096;

/** Most values that a chunk may send; above a quarter of the chunk a bitmap would be the better code. */
export const chunkCountMax = 1_024;

/** Bits that a value may have on the wire. */
export const valueBits: readonly ValueBits[] = [1, 2, 4, 8];

/** Coordinates that one aggregation pass holds in accumulators: 2 × 8 bytes each stay inside a second-level cache. */
export const aggregationWindow: number = 16 * KiB;
