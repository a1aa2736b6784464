/**
 * Two loops over flat float32 vectors, assembled here into a WebAssembly module of a few hundred bytes with 128-bit
 * SIMD: the sum of squares, and AdamW's update. Every element is read and written once per step, by one pass.
 *
 * Measured against the same loops over typed arrays (one core, 5 M parameters): see bench/README.md.
 */

/** The part of WebAssembly that is used here; TypeScript declares it in its DOM library alone. */
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

/** Its buffer is an ordinary one, which onnxruntime reads and writes without copying. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

/** The module's functions. Pointers are byte offsets into `memory`; counts are values and multiples of four. */
export interface SimdKernels {
  readonly memory: WasmMemory;
  /** Σ x², summed in float64. */
  sumOfSquares(values: number, count: number): number;
  /**
   * AdamW (Loshchilov & Hutter 2019, algorithm 2) with g scaled by `clip`:
   * m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; θ ← keep·θ − rate · m / (√v · correction + ε).
   */
  adamw(
    parameters: number,
    gradient: number,
    first: number,
    second: number,
    count: number,
    clip: number,
    beta1: number,
    beta2: number,
    rate: number,
    keep: number,
    correction: number,
    epsilon: number,
  ): void;
}

type Code = readonly number[];

const valueTypes = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
type ValueType = keyof typeof valueTypes;

/** Unsigned LEB128, the integers of the binary format. */
function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return bytes;
}

const vector = (items: readonly Code[]): number[] => [...leb(items.length), ...items.flat()];
const section = (id: number, content: Code): number[] => [id, ...leb(content.length), ...content];
const named = (name: string): number[] => [...leb(name.length), ...new TextEncoder().encode(name)];

const get = (local: number): Code => [0x20, ...leb(local)];
const set = (local: number): Code => [0x21, ...leb(local)];
const i32 = (value: number): Code => [0x41, value];
const simd = (opcode: number): Code => [0xfd, ...leb(opcode)];
/** Unaligned: slots of the flat vector begin at any multiple of four bytes. */
const memoryArgument = [2, 0];
const load: Code = [...simd(0x00), ...memoryArgument];
const store: Code = [...simd(0x0b), ...memoryArgument];
const splat = simd(0x13);
const add = simd(0xe4);
const subtract = simd(0xe5);
const multiply = simd(0xe6);
const divide = simd(0xe7);
const squareRoot = simd(0xe3);
const add64 = simd(0xf0);
const multiply64 = simd(0xf2);
const promoteLow = simd(0x5f);
const upperHalf: Code = [...simd(0x0d), 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];
const lane64 = (lane: number): Code => [...simd(0x21), lane];
const addF64: Code = [0xa0];

/** `do { body; count -= 4 } while (count > 0)`, skipped when count is 0 at the start. */
const forEveryFour = (count: number, pointers: readonly number[], body: Code): Code => [
  ...[0x02, 0x40, ...get(count), 0x45, 0x0d, 0],
  ...[0x03, 0x40, ...body],
  ...pointers.flatMap((pointer) => [...get(pointer), ...i32(16), 0x6a, ...set(pointer)]),
  ...[...get(count), ...i32(4), 0x6b, 0x22, ...leb(count), 0x0d, 0],
  ...[0x0b, 0x0b],
];

interface WasmFunction {
  readonly name: string;
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
  readonly locals: readonly ValueType[];
  readonly body: Code;
}

function sumOfSquares(): WasmFunction {
  const [values, count, loaded, half, low, high] = [0, 1, 2, 3, 4, 5] as const;
  const accumulate = (sum: number, picked: Code): Code => [
    ...[...get(loaded), ...picked, ...promoteLow, ...set(half)],
    ...[...get(half), ...get(half), ...multiply64, ...get(sum), ...add64, ...set(sum)],
  ];
  return {
    name: 'sumOfSquares',
    parameters: ['i32', 'i32'],
    results: ['f64'],
    locals: ['v128', 'v128', 'v128', 'v128'],
    body: [
      ...forEveryFour(
        count,
        [values],
        [
          ...[...get(values), ...load, ...set(loaded)],
          ...accumulate(low, []),
          ...accumulate(high, [...get(loaded), ...upperHalf]),
        ],
      ),
      ...[...get(low), ...get(high), ...add64, ...set(low)],
      ...[...get(low), ...lane64(0), ...get(low), ...lane64(1), ...addF64],
    ],
  };
}

function adamw(): WasmFunction {
  const [parameters, gradient, first, second, count] = [0, 1, 2, 3, 4] as const;
  const scalars = ['clip', 'beta1', 'beta2', 'rate', 'keep', 'correction', 'epsilon'] as const;
  const scalar = (name: (typeof scalars)[number]): number => 5 + scalars.indexOf(name);
  const spread = (name: (typeof scalars)[number]): number => 12 + scalars.indexOf(name);
  const [rest1, rest2, g, m, v] = [19, 20, 21, 22, 23] as const;
  const one: Code = [0x43, 0x00, 0x00, 0x80, 0x3f];
  const complement = (name: 'beta1' | 'beta2', target: number): Code => [
    ...[...one, ...get(scalar(name)), 0x93, ...splat, ...set(target)],
  ];
  return {
    name: 'adamw',
    parameters: [...Array<ValueType>(5).fill('i32'), ...Array<ValueType>(7).fill('f32')],
    results: [],
    locals: Array<ValueType>(12).fill('v128'),
    body: [
      ...scalars.flatMap((name) => [...get(scalar(name)), ...splat, ...set(spread(name))]),
      ...complement('beta1', rest1),
      ...complement('beta2', rest2),
      ...forEveryFour(
        count,
        [parameters, gradient, first, second],
        [
          ...[...get(gradient), ...load, ...get(spread('clip')), ...multiply, ...set(g)],
          ...[...get(first), ...load, ...get(spread('beta1')), ...multiply],
          ...[...get(g), ...get(rest1), ...multiply, ...add, ...set(m)],
          ...[...get(first), ...get(m), ...store],
          ...[...get(second), ...load, ...get(spread('beta2')), ...multiply],
          ...[...get(g), ...get(g), ...multiply, ...get(rest2), ...multiply, ...add, ...set(v)],
          ...[...get(second), ...get(v), ...store],
          ...[...get(parameters), ...get(parameters), ...load, ...get(spread('keep')), ...multiply],
          ...[...get(m), ...get(spread('rate')), ...multiply],
          ...[...get(v), ...squareRoot, ...get(spread('correction')), ...multiply],
          ...[...get(spread('epsilon')), ...add, ...divide, ...subtract, ...store],
        ],
      ),
    ],
  };
}

function assemble(functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const types = (list: readonly ValueType[]): number[] => vector(list.map((type) => [valueTypes[type]]));
  const body = ({ locals, body }: WasmFunction): number[] => {
    const code = [...vector(locals.map((type) => [1, valueTypes[type]])), ...body, 0x0b];
    return [...leb(code.length), ...code];
  };
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(
      1,
      vector(functions.map(({ parameters, results }) => [0x60, ...types(parameters), ...types(results)])),
    ),
    ...section(2, vector([[...named('engine'), ...named('memory'), 0x02, 0x00, ...leb(1)]])),
    ...section(3, vector(functions.map((_, index) => leb(index)))),
    ...section(7, vector(functions.map(({ name }, index) => [...named(name), 0x00, ...leb(index)]))),
    ...section(10, vector(functions.map(body))),
  ]);
}

/** Makes the functions over their own memory of at least `bytes`; it never grows, so views into it stay valid. */
export function createSimdKernels(bytes: number): SimdKernels {
  const pageBytes = 65_536;
  const memory = new WebAssembly.Memory({ initial: Math.max(1, Math.ceil(bytes / pageBytes)) });
  const module = new WebAssembly.Module(assemble([sumOfSquares(), adamw()]));
  const { exports } = new WebAssembly.Instance(module, { engine: { memory } });
  return { memory, ...(exports as unknown as Omit<SimdKernels, 'memory'>) };
}
