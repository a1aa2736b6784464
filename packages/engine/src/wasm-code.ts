/**
 * The part of WebAssembly's binary format that this package's loops need: 128-bit SIMD over float32 and bytes, loops
 * over memory, modules of a few functions. Code is a list of bytes; an expression's code leaves its value on the stack.
 */

/** TypeScript declares WebAssembly in its DOM library alone. */
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

/** Its buffer is an ordinary one, which onnxruntime reads and writes without copying. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

/** Instructions in the binary format. */
export type Code = readonly number[];

const valueTypes = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
/** What a parameter, a result or a local may be. */
export type ValueType = keyof typeof valueTypes;

/** A function of a module; locals are numbered after the parameters. */
export interface WasmFunction {
  readonly name: string;
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
  readonly locals: readonly ValueType[];
  readonly body: Code;
}

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

const simd = (opcode: number): Code => [0xfd, ...leb(opcode)];
const binary =
  (opcode: Code) =>
  (left: Code, right: Code): Code => [...left, ...right, ...opcode];
const unary =
  (opcode: Code) =>
  (value: Code): Code => [...value, ...opcode];

/** The value of a local. */
export const get = (local: number): Code => [0x20, ...leb(local)];
/** Gives a local a value. */
export const set = (local: number, value: Code): Code => [...value, 0x21, ...leb(local)];

/** An integer from −64 to 63. */
export const small = (value: number): Code => [0x41, value & 0x7f];
/** The sum of two integers. */
export const addIntegers = binary([0x6a]);

/** Unaligned: slots of a flat vector begin at any multiple of four bytes. */
const memoryArgument = [2, 0];
/** The 16 bytes at a pointer. */
export const load = unary([...simd(0x00), ...memoryArgument]);
/** Writes 16 bytes at a pointer. */
export const store = (pointer: Code, value: Code): Code => [
  ...pointer,
  ...value,
  ...simd(0x0b),
  ...memoryArgument,
];

/** A float32 number in all four lanes. */
export const splat = unary(simd(0x13));
/** a + b, lane by lane. */
export const add = binary(simd(0xe4));
/** a − b. */
export const subtract = binary(simd(0xe5));
/** a · b. */
export const multiply = binary(simd(0xe6));
/** a ÷ b. */
export const divide = binary(simd(0xe7));
/** √a. */
export const squareRoot = unary(simd(0xe3));

/** a + b in two float64 lanes. */
export const addDoubles = binary(simd(0xf0));
/** a · b in two float64 lanes. */
export const multiplyDoubles = binary(simd(0xf2));
/** The lower two of four float32 lanes as float64. */
export const lowerDoubles = unary(simd(0x5f));
const upperHalf: Code = [...simd(0x0d), 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];
/** The upper two of four float32 lanes as float64. */
export const upperDoubles = (value: Code): Code => lowerDoubles([...value, ...value, ...upperHalf]);
/** The sum of two float64 lanes, as a number. */
export const sumOfDoubles = (value: Code): Code => [
  ...[...value, ...simd(0x21), 0],
  ...[...value, ...simd(0x21), 1],
  0xa0,
];

/** The bits that differ. */
export const exclusiveOr = binary(simd(0x51));
/** The bits that both have. */
export const bitsOfBoth = binary(simd(0x4e));
/** Four 32-bit lanes, each shifted to the left. */
export const shiftLeft = (value: Code, bits: number): Code => [...value, ...small(bits), ...simd(0xab)];
/** Four 32-bit lanes, each shifted to the right, zeros coming in. */
export const shiftRight = (value: Code, bits: number): Code => [...value, ...small(bits), ...simd(0xad)];
/** An integer in all eight 16-bit lanes. */
export const splatShort = unary(simd(0x10));
/** An integer in all sixteen bytes. */
export const splatByte = unary(simd(0x0f));
/** All bits of the 16-bit lanes in which the first is below the second, unsigned. */
export const isBelow = binary(simd(0x30));
/** Sixteen bytes of two times eight 16-bit lanes, each −1 or 0. */
export const narrow = binary(simd(0x65));

/**
 * `do { body; count -= step } while (count > 0)`, skipped when count is 0 at the start; `count` is a multiple of
 * `step`, and every pointer moves on by 16 bytes.
 */
export const forEvery = (step: number, count: number, pointers: readonly number[], body: Code): Code => [
  ...[0x02, 0x40, ...get(count), 0x45, 0x0d, 0],
  ...[0x03, 0x40, ...body],
  ...pointers.flatMap((pointer) => set(pointer, addIntegers(get(pointer), small(16)))),
  ...[...get(count), ...small(step), 0x6b, 0x22, ...leb(count), 0x0d, 0],
  ...[0x0b, 0x0b],
];

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

const pageBytes = 65_536;

/** The functions over their own memory of at least `bytes`; it never grows, so views into it stay valid. */
export function instantiate<Functions extends object>(
  functions: readonly WasmFunction[],
  bytes: number,
): { readonly memory: WasmMemory; readonly functions: Functions } {
  const memory = new WebAssembly.Memory({ initial: Math.max(1, Math.ceil(bytes / pageBytes)) });
  const module = new WebAssembly.Module(assemble(functions));
  const { exports } = new WebAssembly.Instance(module, { engine: { memory } });
  return { memory, functions: exports as Functions };
}
