/**
 * Which rows of an array come next. An order of rows is a keyed permutation that is computed row by row, so that
 * neither a shuffled list nor the array itself has to lie in memory.
 */
import { createRandom } from '@murmuration/base';
import { heldOutShare } from './defaults.ts';
import { DataError } from './errors.ts';
import type { RowSampler, RowSamplerOptions, RowSplit } from './index.ts';
import { checkShape } from './sampler.ts';

const feistelRounds = 4;

/**
 * A permutation of 0 … size − 1 that the seed decides: a Feistel network over the next even number of bits, walked
 * until it falls below `size` again (at most four steps on average).
 */
export function createPermutation(size: number, seed: string): (index: number) => number {
  const halfBits = Math.max(1, Math.ceil(Math.ceil(Math.log2(Math.max(2, size))) / 2));
  const half = 2 ** halfBits;
  const random = createRandom(seed);
  const keys = Array.from({ length: feistelRounds }, () => random.uint32());
  const mix = (value: number, key: number): number => {
    let z = Math.imul(value ^ key, 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return ((z ^ (z >>> 16)) >>> 0) % half;
  };
  const encrypt = (index: number): number => {
    let left = Math.floor(index / half);
    let right = index % half;
    for (const key of keys) [left, right] = [right, (left ^ mix(right, key)) >>> 0];
    return left * half + right;
  };
  return (index) => {
    let place = encrypt(index);
    while (place >= size) place = encrypt(place);
    return place;
  };
}

/**
 * Splits rows by chance: a tenth, and at least one, is held out. Equal seeds split arrays of as many rows alike.
 * Throws `DataError` `too-little-data` for fewer than two rows.
 */
export function splitRows(rows: number, seed: string): RowSplit {
  checkShape({ rows });
  if (rows < 2)
    throw new DataError(`expected at least 2 rows, one to train on and one to hold out, got ${rows}`, {
      code: 'too-little-data',
      rows,
    });
  const heldOut = Math.max(1, Math.floor(rows * heldOutShare));
  const permute = createPermutation(rows, `${seed}/held-out`);
  return { training: rows - heldOut, heldOut, rowOf: permute };
}

/**
 * Gives the training rows in an order that the seed decides; each pass shows every row once, in another order. Where
 * it stands is one number. Throws `DataError` `bad-input`.
 */
export function createRowSampler(split: RowSplit, options: RowSamplerOptions): RowSampler {
  const { seed } = options;
  let position = options.position ?? 0;
  if (!Number.isSafeInteger(position) || position < 0)
    throw new DataError(`position: expected an integer ≥ 0, got ${position}`, {
      code: 'bad-input',
      position,
    });
  let pass = -1;
  let permute = (index: number): number => index;
  return {
    get position() {
      return position;
    },
    next() {
      const wanted = Math.floor(position / split.training);
      if (wanted !== pass) permute = createPermutation(split.training, `${seed}/pass ${wanted}`);
      pass = wanted;
      const row = split.rowOf(split.heldOut + permute(position % split.training));
      position++;
      return row;
    },
  };
}
