/**
 * Loops over flat float32 vectors, assembled here into a WebAssembly module of about a kilobyte with 128-bit SIMD. An
 * elementwise loop is a table entry: vectors, scalars, and what happens to four values. Every element is read and
 * written once per step, by one pass.
 */
import {
  add,
  addDoubles,
  type Code,
  divide,
  forEvery,
  get,
  load,
  lowerDoubles,
  multiply,
  multiplyDoubles,
  set,
  splat,
  squareRoot,
  store,
  subtract,
  sumOfDoubles,
  upperDoubles,
  type WasmFunction,
} from './wasm-code.ts';

/** What a loop's body is written with: four lanes each. */
interface Lanes<Vector extends string, Scalar extends string> {
  /** The vector's values. */
  at(vector: Vector): Code;
  scalar(name: Scalar): Code;
  /** Keeps a value under a name, and reads it again. */
  keep(name: string, value: Code): Code;
  kept(name: string): Code;
  write(vector: Vector, value: Code): Code;
}

interface ElementwiseLoop<Vector extends string = string, Scalar extends string = string> {
  readonly vectors: readonly Vector[];
  readonly scalars: readonly Scalar[];
  readonly body: (lanes: Lanes<Vector, Scalar>) => readonly Code[];
}

const loop = <Vector extends string, Scalar extends string>(
  vectors: readonly Vector[],
  scalars: readonly Scalar[],
  body: (lanes: Lanes<Vector, Scalar>) => readonly Code[],
): ElementwiseLoop<Vector, Scalar> => ({ vectors, scalars, body });

const loops = {
  /** sum ← sum + g. */
  accumulate: loop(['sum', 'gradient'], [], ({ at, write }) => [
    write('sum', add(at('sum'), at('gradient'))),
  ]),
  /** θ ← keep·θ − rate·d. */
  descend: loop(['parameters', 'direction'], ['keep', 'rate'], ({ at, scalar, write }) => [
    write(
      'parameters',
      subtract(multiply(at('parameters'), scalar('keep')), multiply(at('direction'), scalar('rate'))),
    ),
  ]),
  /** With g scaled: m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; θ ← keep·θ − rate · m / (√v · correction + ε). */
  adamw: loop(
    ['parameters', 'gradient', 'first', 'second'],
    ['scale', 'beta1', 'rest1', 'beta2', 'rest2', 'keep', 'rate', 'correction', 'epsilon'],
    ({ at, scalar, keep, kept, write }) => [
      keep('g', multiply(at('gradient'), scalar('scale'))),
      keep('m', add(multiply(at('first'), scalar('beta1')), multiply(kept('g'), scalar('rest1')))),
      write('first', kept('m')),
      keep(
        'v',
        add(
          multiply(at('second'), scalar('beta2')),
          multiply(multiply(kept('g'), kept('g')), scalar('rest2')),
        ),
      ),
      write('second', kept('v')),
      write(
        'parameters',
        subtract(
          multiply(at('parameters'), scalar('keep')),
          divide(
            multiply(kept('m'), scalar('rate')),
            add(multiply(squareRoot(kept('v')), scalar('correction')), scalar('epsilon')),
          ),
        ),
      ),
    ],
  ),
  /** With g scaled: m ← μm + g; θ ← keep·θ − rate·(gradientShare·g + momentumShare·m). */
  sgd: loop(
    ['parameters', 'gradient', 'momentum'],
    ['scale', 'mu', 'gradientShare', 'momentumShare', 'keep', 'rate'],
    ({ at, scalar, keep, kept, write }) => [
      keep('g', multiply(at('gradient'), scalar('scale'))),
      keep('m', add(multiply(at('momentum'), scalar('mu')), kept('g'))),
      write('momentum', kept('m')),
      keep(
        'direction',
        add(multiply(kept('g'), scalar('gradientShare')), multiply(kept('m'), scalar('momentumShare'))),
      ),
      write(
        'parameters',
        subtract(multiply(at('parameters'), scalar('keep')), multiply(kept('direction'), scalar('rate'))),
      ),
    ],
  ),
  /** With g scaled: m ← μm + (1 − μ)g; g ← gradientShare·g + momentumShare·m. */
  average: loop(
    ['gradient', 'momentum'],
    ['scale', 'mu', 'rest', 'gradientShare', 'momentumShare'],
    ({ at, scalar, keep, kept, write }) => [
      keep('g', multiply(at('gradient'), scalar('scale'))),
      keep('m', add(multiply(at('momentum'), scalar('mu')), multiply(kept('g'), scalar('rest')))),
      write('momentum', kept('m')),
      write(
        'gradient',
        add(multiply(kept('g'), scalar('gradientShare')), multiply(kept('m'), scalar('momentumShare'))),
      ),
    ],
  ),
};

type Loops = typeof loops;
/** What a loop is called. */
export type LoopName = keyof Loops;
/** Names of a loop's vectors. */
export type VectorOf<Name extends LoopName> = Loops[Name]['vectors'][number];
/** Names of a loop's scalars. */
export type ScalarOf<Name extends LoopName> = Loops[Name]['scalars'][number];

/** In the order of the function's parameters: pointers to the vectors, count, scalars. */
export const loopSignatures: {
  readonly [Name in LoopName]: {
    readonly vectors: readonly VectorOf<Name>[];
    readonly scalars: readonly ScalarOf<Name>[];
  };
} = loops;

function compile(name: string, { vectors, scalars, body }: ElementwiseLoop): WasmFunction {
  const count = vectors.length;
  const parameters = vectors.length + 1 + scalars.length;
  const spread = (scalar: string): number => parameters + scalars.indexOf(scalar);
  const locals: string[] = [];
  const local = (value: string): number => parameters + scalars.length + locals.indexOf(value);
  const pointer = (vector: string): Code => get(vectors.indexOf(vector));
  const code = body({
    at: (vector) => load(pointer(vector)),
    scalar: (scalar) => get(spread(scalar)),
    keep(value, kept) {
      if (!locals.includes(value)) locals.push(value);
      return set(local(value), kept);
    },
    kept: (value) => get(local(value)),
    write: (vector, value) => store(pointer(vector), value),
  });
  return {
    name,
    parameters: [...vectors.map(() => 'i32' as const), 'i32', ...scalars.map(() => 'f32' as const)],
    results: [],
    locals: [...scalars, ...locals].map(() => 'v128' as const),
    body: [
      ...scalars.flatMap((scalar, index) => set(spread(scalar), splat(get(count + 1 + index)))),
      ...forEvery(4, count, [...vectors.keys()], code.flat()),
    ],
  };
}

/** Σ x², summed in float64. */
function sumOfSquares(): WasmFunction {
  const [values, count, loaded, half, low, high] = [0, 1, 2, 3, 4, 5] as const;
  const accumulate = (sum: number, doubles: Code): Code => [
    ...set(half, doubles),
    ...set(sum, addDoubles(get(sum), multiplyDoubles(get(half), get(half)))),
  ];
  return {
    name: 'sumOfSquares',
    parameters: ['i32', 'i32'],
    results: ['f64'],
    locals: ['v128', 'v128', 'v128', 'v128'],
    body: [
      ...forEvery(
        4,
        count,
        [values],
        [
          ...set(loaded, load(get(values))),
          ...accumulate(low, lowerDoubles(get(loaded))),
          ...accumulate(high, upperDoubles(get(loaded))),
        ],
      ),
      ...set(low, addDoubles(get(low), get(high))),
      ...sumOfDoubles(get(low)),
    ],
  };
}

/** The module's functions. Pointers are byte offsets; counts are values and multiples of four. */
export type SimdFunctions = { readonly sumOfSquares: (values: number, count: number) => number } & {
  readonly [Name in LoopName]: (...parameters: readonly number[]) => void;
};

/** The module's functions in the binary format. */
export const simdFunctions: readonly WasmFunction[] = [
  sumOfSquares(),
  ...Object.entries(loops).map(([name, each]) => compile(name, each as unknown as ElementwiseLoop)),
];
