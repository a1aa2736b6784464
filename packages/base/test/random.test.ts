import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createRandom, type Random } from '@murmuration/base';
import fc from 'fast-check';

/** Draws of the first release. Whoever changes them changes θ₀ of every run: this file is for ever. */
const fixture = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures', 'random.json'), 'utf8')) as {
  seed: string;
  uint32: number[];
  below1000: number[];
  unit: number[];
  fork: number[];
}[];

const times = <T>(count: number, draw: () => T): T[] => Array.from({ length: count }, draw);

test('createRandom draws the fixed sequences for ever', () => {
  for (const { seed, uint32, below1000, unit, fork } of fixture) {
    const random = createRandom(seed);
    assert.deepEqual(times(uint32.length, random.uint32), uint32, seed);
    assert.deepEqual(
      times(below1000.length, () => random.below(1_000)),
      below1000,
      seed,
    );
    assert.deepEqual(times(unit.length, random.unit), unit, seed);
    assert.deepEqual(times(fork.length, random.fork('data').uint32), fork, seed);
  }
});

const mask = 0xffffffffn;

/** xoshiro128** as published (https://prng.di.unimi.it/xoshiro128starstar.c), in plain big integers. */
function* xoshiro(state: bigint[]): Generator<number> {
  const rotate = (value: bigint, bits: bigint): bigint => ((value << bits) | (value >> (32n - bits))) & mask;
  let [a, b, c, d] = state as [bigint, bigint, bigint, bigint];
  for (;;) {
    yield Number((rotate((b * 5n) & mask, 7n) * 9n) & mask);
    const shifted = (b << 9n) & mask;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11n);
  }
}

/** FNV-1a of the seed's UTF-16 code units, then four words of SplitMix32; the last is made odd, so never all zero. */
function stateOf(seed: string): bigint[] {
  let mix = 0x811c9dc5n;
  for (let i = 0; i < seed.length; i++) mix = ((mix ^ BigInt(seed.charCodeAt(i))) * 0x01000193n) & mask;
  const words = times(4, () => {
    mix = (mix + 0x9e3779b9n) & mask;
    let z = ((mix ^ (mix >> 16n)) * 0x85ebca6bn) & mask;
    z = ((z ^ (z >> 13n)) * 0xc2b2ae35n) & mask;
    return (z ^ (z >> 16n)) & mask;
  });
  words[3] = (words[3] as bigint) | 1n;
  return words;
}

const take = (count: number, draws: Generator<number>): number[] =>
  times(count, () => draws.next().value as number);

test('createRandom is xoshiro128** on the seed’s state, for any seed', () => {
  const published = [
    11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
  ];
  assert.deepEqual(take(10, xoshiro([1n, 2n, 3n, 4n])), published);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (seed) => {
      assert.deepEqual(times(20, createRandom(seed).uint32), take(20, xoshiro(stateOf(seed))));
    }),
  );
});

test('below draws every value, and none outside, for any bound', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 32 }), fc.string(), (bound, seed) => {
      const random = createRandom(seed);
      for (const draw of times(20, () => random.below(bound)))
        assert.ok(Number.isInteger(draw) && draw >= 0 && draw < bound, `${draw} below ${bound}`);
    }),
  );
  const random = createRandom('every');
  assert.equal(new Set(times(200, () => random.below(7))).size, 7);
  assert.deepEqual(new Set(times(20, () => random.below(1))), new Set([0]));
});

/** Pearson's χ² of the counts against equal shares. */
function chiSquared(random: Random, bins: number, draws: number): number {
  const counts = new Float64Array(bins);
  for (let i = 0; i < draws; i++) {
    const bin = random.below(bins);
    counts[bin] = (counts[bin] as number) + 1;
  }
  const share = draws / bins;
  return counts.reduce((sum, count) => sum + (count - share) ** 2 / share, 0);
}

test('below is uniform: χ² within 6 deviations, also where 2³² is no multiple of the bound', () => {
  for (const bins of [2, 10, 97, 256]) {
    const excess = chiSquared(createRandom(`uniform ${bins}`), bins, 100_000) - (bins - 1);
    assert.ok(Math.abs(excess) < 6 * Math.sqrt(2 * (bins - 1)), `${bins} bins: ${excess}`);
  }
  const random = createRandom('large bound');
  const bound = 3 * 2 ** 30;
  const lower = times(50_000, () => random.below(bound)).filter((draw) => draw < bound / 2).length;
  assert.ok(Math.abs(lower / 50_000 - 0.5) < 0.015, `${lower} of 50,000 in the lower half`);
});

test('unit is a multiple of 2⁻²⁴ in [0, 1), exact in float32, with the right mean and variance', () => {
  const random = createRandom('unit');
  const draws = times(100_000, random.unit);
  for (const draw of draws)
    assert.ok(draw >= 0 && draw < 1 && Number.isInteger(draw * 2 ** 24) && Math.fround(draw) === draw);
  const mean = draws.reduce((sum, draw) => sum + draw) / draws.length;
  const variance = draws.reduce((sum, draw) => sum + (draw - mean) ** 2, 0) / draws.length;
  assert.ok(Math.abs(mean - 0.5) < 0.005, `mean ${mean}`);
  assert.ok(Math.abs(variance - 1 / 12) < 0.002, `variance ${variance}`);
});

test('uint32 sets each bit half of the time, and neighbours do not depend on each other', () => {
  const random = createRandom('bits');
  const draws = times(50_000, random.uint32);
  for (let bit = 0; bit < 32; bit++) {
    const set = draws.filter((draw) => (draw >>> bit) & 1).length;
    assert.ok(Math.abs(set / draws.length - 0.5) < 0.015, `bit ${bit}: ${set}`);
  }
  const centred = draws.map((draw) => draw / 2 ** 32 - 0.5);
  const product = centred.slice(1).reduce((sum, value, index) => sum + value * (centred[index] as number), 0);
  assert.ok(Math.abs(product / (draws.length / 12)) < 0.025, `correlation ${product / (draws.length / 12)}`);
});

test('fork gives streams that depend on seed and name only, and differ', () => {
  const used = createRandom('a');
  times(10, used.uint32);
  assert.equal(used.fork('x').uint32(), createRandom('a').fork('x').uint32());
  const first = ['x', 'y', 'xy'].map((name) => createRandom('a').fork(name).uint32());
  first.push(createRandom('b').fork('x').uint32(), createRandom('a').uint32());
  assert.equal(new Set(first).size, first.length);
});

test('createRandom gives thousands of seeds different first draws', () => {
  const firsts = new Set(times(5_000, () => 0).map((_, index) => createRandom(`seed ${index}`).uint32()));
  assert.ok(firsts.size > 4_990, `${firsts.size} of 5,000`);
});
