/**
 * Constant forms of elementwise operators and reductions. Sums of integers wrap as in memory; real numbers are
 * rounded once after each operation, which for + − × ÷ √ is what a processor does in the same precision. Whatever
 * depends on a library or on an order of summation (exponentials, sums of reals) stays in the graph.
 */
import { type ElementType, intOf, type Tensor } from '../model.ts';
import { elementFormats } from '../tensor-data.ts';
import {
  axesOf,
  broadcast,
  broadcastIndex,
  build,
  coordinatesOf,
  type Element,
  indexOf,
  isInteger,
  isReal,
  isWide,
  numbersOf,
  stridesOf,
} from './constant-tensor.ts';
import type { Fold } from './fold.ts';

const rounded: ReadonlySet<ElementType> = new Set(['float32', 'float64']);

/** Real numbers in half precision are left alone: JavaScript has no arithmetic for them. */
const isExact = (type: ElementType): boolean => rounded.has(type) || !isReal(type);

interface Arithmetic {
  /** On 64-bit integers. */
  readonly wide?: (a: bigint, b: bigint) => bigint | undefined;
  readonly narrow?: (a: number, b: number, type: ElementType) => number | undefined;
}

const lesser = (a: bigint, b: bigint): bigint => {
  if (a < b) return a;
  return b;
};

const greater = (a: bigint, b: bigint): bigint => lesser(-a, -b) * -1n;

/** The last 64 bits: a product of many would grow without end. */
const wrap = (value: bigint): bigint => BigInt.asIntN(64, value);

/** The remainder with the sign of the divisor. */
const modulo = (a: number, b: number): number | undefined => (b === 0 ? undefined : ((a % b) + b) % b);

const arithmetic: Readonly<Record<string, Arithmetic>> = {
  Add: { wide: (a, b) => wrap(a + b), narrow: (a, b) => a + b },
  Sub: { wide: (a, b) => wrap(a - b), narrow: (a, b) => a - b },
  Mul: {
    wide: (a, b) => wrap(a * b),
    narrow: (a, b, type) => (isInteger(type) ? Math.imul(a, b) : a * b),
  },
  Div: {
    wide: (a, b) => (b === 0n ? undefined : a / b),
    narrow: (a, b, type) => (isReal(type) ? a / b : b === 0 ? undefined : Math.trunc(a / b)),
  },
  Min: { wide: lesser, narrow: (a, b) => Math.min(a, b) },
  Max: { wide: greater, narrow: (a, b) => Math.max(a, b) },
  Sum: { narrow: (a, b, type) => (isReal(type) ? a + b : undefined) },
};

/** Elementwise over any number of inputs of one type, from the left. */
function chain(rule: Arithmetic): Fold {
  return (_, inputs) => {
    const tensors = inputs.filter((input) => input !== undefined);
    const [first] = tensors;
    if (!first || tensors.length !== inputs.length) return undefined;
    const { type } = first;
    if (!isExact(type) || type === 'bool' || tensors.some((tensor) => tensor.type !== type)) return undefined;
    const shape = broadcast(tensors.map((tensor) => tensor.shape));
    if (!shape) return undefined;
    const sources = tensors.map((tensor) => broadcastIndex(tensor.shape, shape));
    const apply = (a: Element, b: Element): Element | undefined =>
      isWide(type) ? rule.wide?.(a as bigint, b as bigint) : rule.narrow?.(a as number, b as number, type);
    const round =
      type === 'float32' ? (value: Element) => Math.fround(value as number) : (value: Element) => value;
    return [
      build(type, shape, (index) => {
        let total: Element | undefined;
        for (const [which, tensor] of tensors.entries()) {
          const value = tensor.data[(sources[which] as (index: number) => number)(index)] as Element;
          const next: Element | undefined = which === 0 ? value : apply(total as Element, value);
          if (next === undefined) return undefined;
          total = round(next);
        }
        return total;
      }),
    ];
  };
}

const remainder: Fold = (node, inputs) => {
  const signOfDividend = intOf(node, 'fmod', 0) === 1;
  if (!signOfDividend && inputs[0] && isReal(inputs[0].type)) return undefined;
  return chain(
    signOfDividend
      ? { wide: (a, b) => (b === 0n ? undefined : a % b), narrow: (a, b) => (b === 0 ? undefined : a % b) }
      : { wide: (a, b) => (b === 0n ? undefined : ((a % b) + b) % b), narrow: modulo },
  )(node, inputs);
};

const comparisons: Readonly<Record<string, (a: Element, b: Element) => boolean>> = {
  Equal: (a, b) => a === b,
  Less: (a, b) => a < b,
  LessOrEqual: (a, b) => a <= b,
  Greater: (a, b) => a > b,
  GreaterOrEqual: (a, b) => a >= b,
  And: (a, b) => a !== 0 && b !== 0,
  Or: (a, b) => a !== 0 || b !== 0,
  Xor: (a, b) => (a !== 0) !== (b !== 0),
};

const compare =
  (holds: (a: Element, b: Element) => boolean): Fold =>
  (_, [a, b]) => {
    const shape = a && b && a.type === b.type && isExact(a.type) && broadcast([a.shape, b.shape]);
    if (!shape) return undefined;
    const left = broadcastIndex(a.shape, shape);
    const right = broadcastIndex(b.shape, shape);
    return [
      build('bool', shape, (index) =>
        Number(holds(a.data[left(index)] as Element, b.data[right(index)] as Element)),
      ),
    ];
  };

const where: Fold = (_, [condition, a, b]) => {
  const shape = condition && a && b && a.type === b.type && broadcast([condition.shape, a.shape, b.shape]);
  if (!shape) return undefined;
  const choose = broadcastIndex(condition.shape, shape);
  const left = broadcastIndex(a.shape, shape);
  const right = broadcastIndex(b.shape, shape);
  return [
    build(a.type, shape, (index) =>
      condition.data[choose(index)] ? a.data[left(index)] : b.data[right(index)],
    ),
  ];
};

const halfToEven = (value: number): number => {
  const nearest = Math.round(value);
  return Math.abs(value % 1) === 0.5 ? 2 * Math.round(value / 2) : nearest;
};

/** On one number at a time; `wide` where 64-bit integers make sense. */
interface Unary {
  readonly wide?: (value: bigint) => bigint;
  readonly narrow: (value: number) => number;
  readonly types: (type: ElementType) => boolean;
}

const anyNumber = (type: ElementType): boolean => type !== 'bool';

const unaries: Readonly<Record<string, Unary>> = {
  Neg: { wide: (value) => -value, narrow: (value) => -value, types: anyNumber },
  Abs: { wide: (value) => (value < 0n ? -value : value), narrow: Math.abs, types: anyNumber },
  Sign: { wide: (value) => (value > 0n ? 1n : value < 0n ? -1n : 0n), narrow: Math.sign, types: anyNumber },
  Floor: { narrow: Math.floor, types: isReal },
  Ceil: { narrow: Math.ceil, types: isReal },
  Round: { narrow: halfToEven, types: isReal },
  Sqrt: { narrow: Math.sqrt, types: isReal },
  Reciprocal: { narrow: (value) => 1 / value, types: isReal },
  Not: { narrow: (value) => Number(value === 0), types: (type) => type === 'bool' },
};

const unary =
  ({ wide, narrow, types }: Unary): Fold =>
  (_, [x]) => {
    if (!x || !isExact(x.type) || !types(x.type)) return undefined;
    return [
      build(x.type, x.shape, (index) => {
        const value = x.data[index] as Element;
        return typeof value === 'bigint' ? wide?.(value) : narrow(value);
      }),
    ];
  };

/** A value in another type; nothing where the result is left open: reals outside an integer's range. */
function convert(value: Element, from: ElementType, to: ElementType): Element | undefined {
  if (to === 'bool') return Number(Number(value) !== 0);
  if (isReal(to)) return Number.isSafeInteger(Number(value)) || isReal(from) ? Number(value) : undefined;
  const bits = 8 * elementFormats[to].bytes;
  if (!isReal(from)) {
    const integer = BigInt(value);
    const wrapped = to.startsWith('u') ? BigInt.asUintN(bits, integer) : BigInt.asIntN(bits, integer);
    return isWide(to) ? wrapped : Number(wrapped);
  }
  const whole = Math.trunc(value as number);
  const limit = 2 ** (to.startsWith('u') ? bits : bits - 1);
  const inside = whole < limit && whole >= (to.startsWith('u') ? 0 : -limit);
  if (!inside) return undefined;
  return isWide(to) ? BigInt(whole) : whole;
}

/** The elements in another type. */
export function castTensor(x: Tensor, to: ElementType): Tensor | undefined {
  if (!isExact(x.type) || !isExact(to)) return undefined;
  return build(to, x.shape, (index) => convert(x.data[index] as Element, x.type, to));
}

/** Reduces integers along axes. */
const reduce =
  (start: bigint | undefined, combine: (a: bigint, b: bigint) => bigint): Fold =>
  (node, [x, axesInput]) => {
    if (!x || !isInteger(x.type)) return undefined;
    const rank = x.shape.length;
    const given = axesInput ? numbersOf(axesInput) : [];
    if (given.length === 0 && intOf(node, 'noop_with_empty_axes', 0) === 1) return undefined;
    const axes = axesOf(given.length > 0 ? given : x.shape.map((_, axis) => axis), rank);
    if (!axes || (start === undefined && x.data.length === 0)) return undefined;
    const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
    const strides = stridesOf(kept).map((stride, axis) => (axes.includes(axis) ? 0 : stride));
    const totals: (bigint | undefined)[] = [];
    for (let index = 0; index < x.data.length; index++) {
      const at = indexOf(coordinatesOf(index, x.shape), strides);
      const value = BigInt(x.data[index] as Element);
      const total = totals[at] ?? start;
      totals[at] = total === undefined ? value : combine(total, value);
    }
    const shape = intOf(node, 'keepdims', 1) === 1 ? kept : kept.filter((_, axis) => !axes.includes(axis));
    const result = (index: number): Element | undefined =>
      convert(totals[index] ?? start ?? 0n, 'int64', x.type);
    return [build(x.type, shape, result)];
  };

const each = <T>(
  table: Readonly<Record<string, T>>,
  make: (entry: T) => Fold,
): Readonly<Record<string, Fold>> =>
  Object.fromEntries(Object.entries(table).map(([operator, entry]) => [operator, make(entry)]));

/** Elementwise operators and reductions. */
export const arithmeticFolds: Readonly<Record<string, Fold>> = {
  ...each(arithmetic, chain),
  ...each(comparisons, compare),
  ...each(unaries, unary),
  Mod: remainder,
  Where: where,
  ReduceSum: reduce(0n, (a, b) => wrap(a + b)),
  ReduceProd: reduce(1n, (a, b) => wrap(a * b)),
  ReduceMin: reduce(undefined, lesser),
  ReduceMax: reduce(undefined, greater),
};
