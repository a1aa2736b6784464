/**
 * Seeded random numbers by integer arithmetic only, so that every platform draws the same sequence:
 * xoshiro128** (Blackman & Vigna 2018), its state filled by SplitMix32 from the seed.
 */
export interface Random {
  /** A uniform integer in [0, 2³²). */
  uint32(): number;
  /** A uniform integer in [0, bound), by rejection; `bound` in [1, 2³²]. */
  below(bound: number): number;
  /** A uniform multiple of 2⁻²⁴ in [0, 1): exact in float32. */
  unit(): number;
  /** An independent stream, named so that two uses never share draws. */
  fork(name: string): Random;
}

const rotateLeft = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

/** FNV-1a over UTF-16 code units; only to derive seeds, never for identity. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Draws for one purpose. `seed` is any text; equal seeds give equal sequences on every platform. */
export function createRandom(seed: string): Random {
  let mix = hashText(seed);
  const nextWord = (): number => {
    mix = (mix + 0x9e3779b9) | 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
  let a = nextWord();
  let b = nextWord();
  let c = nextWord();
  let d = nextWord() | 1;

  const uint32 = (): number => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return result;
  };
  return {
    uint32,
    below(bound: number): number {
      const limit = 2 ** 32 - (2 ** 32 % bound);
      for (;;) {
        const draw = uint32();
        if (draw < limit) return draw % bound;
      }
    },
    unit: () => (uint32() >>> 8) / 2 ** 24,
    fork: (name: string) => createRandom(`${seed}/${name}`),
  };
}
