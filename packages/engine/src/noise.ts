/**
 * The masks of dropout: bytes that are 1 with a probability, made anew for each micro-batch by four xorshift128
 * generators side by side (Marsaglia 2003) in WebAssembly SIMD, 16 bytes at a time. The generators start from the seed
 * and a counter, so that a mask depends on nothing else.
 */
import { createRandom } from '@murmuration/base';
import { EngineError } from './errors.ts';
import {
  addIntegers,
  bitsOfBoth,
  type Code,
  exclusiveOr,
  forEvery,
  get,
  instantiate,
  isBelow,
  load,
  narrow,
  set,
  shiftLeft,
  shiftRight,
  small,
  splatByte,
  splatShort,
  store,
  type WasmFunction,
} from './wasm-code.ts';

/** Which masks a training graph wants. */
export interface NoiseInput {
  readonly name: string;
  readonly shape: readonly number[];
  /** Probability of a 1, in (0, 1); it is rounded to a multiple of 2⁻¹⁶. */
  readonly keep: number;
}

/** The masks of one training graph. */
export interface Noise {
  /** Bytes by input name; views that never move. */
  readonly masks: Readonly<Record<string, Uint8Array>>;
  /** Draws all masks. Equal counters give equal masks. */
  fill(counter: number): void;
}

interface NoiseFunctions {
  /** `count` bytes, a multiple of 16; `state` points to 4 words of 4 lanes, which it leaves ready to go on. */
  readonly fill: (target: number, count: number, threshold: number, state: number) => void;
}

const group = 16;
const stateBytes = 64;
const wordsOfState = stateBytes / 4;
/** Masks of one micro-batch; more is a graph that no memory holds. */
const noiseBytesMax = 2 ** 32 - 65_536;

const fillFunction = (): WasmFunction => {
  const [target, count, threshold, state] = [0, 1, 2, 3] as const;
  const [x, y, z, w, t, limit, one, first] = [4, 5, 6, 7, 8, 9, 10, 11] as const;
  const word = (index: number): Code => addIntegers(get(state), small(index * 16));
  const draw: Code = [
    ...set(t, exclusiveOr(get(x), shiftLeft(get(x), 11))),
    ...[...set(x, get(y)), ...set(y, get(z)), ...set(z, get(w))],
    ...set(
      w,
      exclusiveOr(exclusiveOr(get(w), shiftRight(get(w), 19)), exclusiveOr(get(t), shiftRight(get(t), 8))),
    ),
  ];
  return {
    name: 'fill',
    parameters: ['i32', 'i32', 'i32', 'i32'],
    results: [],
    locals: Array.from({ length: 8 }, () => 'v128' as const),
    body: [
      ...[x, y, z, w].flatMap((local, index) => set(local, load(word(index)))),
      ...set(limit, splatShort(get(threshold))),
      ...set(one, splatByte(small(1))),
      ...forEvery(
        group,
        count,
        [target],
        [
          ...[...draw, ...set(first, get(w)), ...draw],
          ...store(
            get(target),
            bitsOfBoth(narrow(isBelow(get(first), get(limit)), isBelow(get(w), get(limit))), get(one)),
          ),
        ],
      ),
      ...[x, y, z, w].flatMap((local, index) => store(word(index), get(local))),
    ],
  };
};

/** Makes the masks of a graph. Throws `EngineError` `bad-graph` for a probability outside (0, 1) or absurd sizes. */
export function createNoise(inputs: readonly NoiseInput[], seed: string): Noise {
  const lengths = inputs.map(({ shape }) => shape.reduce((product, size) => product * size, 1));
  const places = lengths.map((length) => Math.ceil(length / group) * group);
  const bytes = places.reduce((sum, place) => sum + place, stateBytes);
  if (!(bytes <= noiseBytesMax))
    throw new EngineError(`dropout masks: expected at most ${noiseBytesMax} bytes, got ${bytes}`, {
      code: 'bad-graph',
      bytes,
    });
  const thresholds = inputs.map(({ name, keep }) => {
    const threshold = Math.round(keep * 2 ** 16);
    if (!(threshold > 0 && threshold < 2 ** 16))
      throw new EngineError(`dropout mask ${name}: expected a probability between 0 and 1, got ${keep}`, {
        code: 'bad-graph',
        keep,
      });
    return threshold;
  });
  const { memory, functions } = instantiate<NoiseFunctions>([fillFunction()], bytes);
  const state = new Uint32Array(memory.buffer, 0, wordsOfState);
  const starts = places.map((_, index) =>
    places.slice(0, index).reduce((sum, place) => sum + place, stateBytes),
  );
  const random = createRandom(seed);
  return {
    masks: Object.fromEntries(
      inputs.map(({ name }, index) => [
        name,
        new Uint8Array(memory.buffer, starts[index] as number, lengths[index] as number),
      ]),
    ),
    fill(counter) {
      const draw = random.fork(`${counter}`);
      for (let word = 0; word < wordsOfState; word++) state[word] = draw.uint32() || 1;
      starts.forEach((start, index) => {
        functions.fill(start, places[index] as number, thresholds[index] as number, 0);
      });
    },
  };
}
