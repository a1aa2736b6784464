/**
 * Arithmetic on the elements of small tensors: exporters compute shapes in the graph, by chains of Shape, Gather, Mul,
 * Div, Where, Cast. An element is a number or the text of a dimension; `?` where nothing is known.
 */
import {
  addDimensions,
  compareDimensions,
  divideDimensions,
  floorDivideDimension,
  isAtLeast,
  multiplyDimensions,
  subtractDimensions,
  unknown,
} from '../dimension.ts';
import type { Dimension, ElementType } from '../model.ts';
import { type KnownValue, smallCount } from './rule.ts';

/** Mod with the attribute `fmod`. */
export const signedMod = 'Mod, signed';

type Binary = (a: Dimension, b: Dimension, type: ElementType) => Dimension;
type Unary = (a: Dimension) => Dimension;

const isFloat = (type: ElementType): boolean => type.startsWith('float');

/** The least and the largest number of the types in which results wrap. */
const bounds: Readonly<Partial<Record<ElementType, readonly [number, number]>>> = {
  int8: [-(2 ** 7), 2 ** 7 - 1],
  int16: [-(2 ** 15), 2 ** 15 - 1],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint8: [0, 2 ** 8 - 1],
  uint16: [0, 2 ** 16 - 1],
  uint32: [0, 2 ** 32 - 1],
  uint64: [0, 2 ** 64 - 1],
};

/** A result as the element type holds it; unknown where that is another number. */
function held(value: Dimension, type: ElementType): Dimension {
  if (typeof value !== 'number') return value;
  if (type === 'float32') return Number.isNaN(value) ? unknown : Math.fround(value);
  const [least, largest] = bounds[type] ?? [];
  return least === undefined || (value >= least && value <= (largest as number)) ? value : unknown;
}

/** The same; a whole number too large to be exact is unknown once it is computed with. */
const rounded = (value: Dimension, type: ElementType): Dimension =>
  typeof value !== 'number' || isFloat(type) || Number.isSafeInteger(value) ? held(value, type) : unknown;

const numeric =
  (ofNumbers: (a: number, b: number) => number, ofSymbols: Binary): Binary =>
  (a, b, type) =>
    typeof a === 'number' && typeof b === 'number' ? ofNumbers(a, b) : ofSymbols(a, b, type);

/** Whole numbers are divided with rounding towards zero, which for sizes is rounding down. */
const divide: Binary = (a, b, type) => {
  if (b === 0) return unknown;
  if (typeof a === 'number' && typeof b === 'number') return isFloat(type) ? a / b : Math.trunc(a / b);
  const exact = divideDimensions(a, b);
  if (exact !== unknown || isFloat(type) || typeof b !== 'number') return exact;
  return b > 0 && isAtLeast(a, 0) ? floorDivideDimension(a, b) : unknown;
};

const remainder: Binary = (a, b, type) => {
  if (typeof a === 'number' && typeof b === 'number') return b === 0 ? unknown : a - b * Math.floor(a / b);
  return typeof b === 'number' && b > 0 && !isFloat(type)
    ? subtractDimensions(a, multiplyDimensions([b, floorDivideDimension(a, b)]))
    : unknown;
};

/** With the sign of the dividend. */
const remainderOfSign: Binary = (a, b, type) => {
  if (typeof a === 'number' && typeof b === 'number') return b === 0 ? unknown : a % b;
  return isAtLeast(a, 0) ? remainder(a, b, type) : unknown;
};

const larger: Binary = (a, b) => (isAtLeast(a, b) ? a : isAtLeast(b, a) ? b : unknown);
const smaller: Binary = (a, b) => (isAtLeast(a, b) ? b : isAtLeast(b, a) ? a : unknown);

const compare =
  (holds: (order: -1 | 0 | 1) => boolean): Binary =>
  (a, b) => {
    const order =
      typeof a === 'number' && typeof b === 'number'
        ? (Math.sign(a - b) as -1 | 0 | 1)
        : compareDimensions(a, b);
    return order === undefined ? unknown : Number(holds(order));
  };

const binary: Readonly<Record<string, Binary>> = {
  Add: numeric((a, b) => a + b, addDimensions),
  Sub: numeric((a, b) => a - b, subtractDimensions),
  Mul: numeric(
    (a, b) => a * b,
    (a, b) => multiplyDimensions([a, b]),
  ),
  Div: divide,
  Mod: remainder,
  [signedMod]: remainderOfSign,
  Pow: numeric(
    (a, b) => a ** b,
    () => unknown,
  ),
  Max: numeric(Math.max, larger),
  Min: numeric(Math.min, smaller),
  Equal: compare((order) => order === 0),
  Greater: compare((order) => order > 0),
  GreaterOrEqual: compare((order) => order >= 0),
  Less: compare((order) => order < 0),
  LessOrEqual: compare((order) => order <= 0),
  And: (a, b) => (a === 0 || b === 0 ? 0 : a === 1 ? b : b === 1 ? a : unknown),
  Or: (a, b) => (a === 1 || b === 1 ? 1 : a === 0 ? b : b === 0 ? a : unknown),
  Xor: (a, b) => (typeof a === 'number' && typeof b === 'number' ? Number(a !== b) : unknown),
};

const ofNumber =
  (compute: (value: number) => number, ofSymbol: Unary = () => unknown): Unary =>
  (value) =>
    typeof value === 'number' ? compute(value) : ofSymbol(value);

const itself: Unary = (value) => value;

const unary: Readonly<Record<string, Unary>> = {
  Neg: ofNumber(
    (value) => 0 - value,
    (value) => multiplyDimensions([-1, value]),
  ),
  Abs: ofNumber(Math.abs, (value) => (isAtLeast(value, 0) ? value : unknown)),
  Floor: ofNumber(Math.floor, itself),
  Ceil: ofNumber(Math.ceil, itself),
  Sqrt: ofNumber(Math.sqrt),
  Not: ofNumber((value) => Number(value === 0)),
  Identity: itself,
};

/** For each element of `shape` its place in a value of `from`, which broadcasts to it. */
function broadcastPlaces(from: readonly number[], shape: readonly number[]): readonly number[] {
  let places = [0];
  shape.forEach((size, axis) => {
    const own = from[axis - shape.length + from.length] ?? 1;
    places = places.flatMap((place) =>
      Array.from({ length: size }, (_, index) => place * own + (own === 1 ? 0 : index)),
    );
  });
  return places;
}

/** The elements of a value spread over a shape, when both are small. */
export function spreadElements(
  value: KnownValue | undefined,
  shape: readonly Dimension[] | undefined,
): readonly Dimension[] | undefined {
  const elements = value?.elements;
  if (!elements || smallCount(shape) === undefined || smallCount(value.shape) === undefined) return undefined;
  return broadcastPlaces(value.shape as readonly number[], shape as readonly number[]).map(
    (place) => elements[place] ?? unknown,
  );
}

/** The elements of an elementwise operator's output, whose shape is given. */
export function elementwiseElements(
  operator: string,
  inputs: readonly (KnownValue | undefined)[],
  shape: readonly Dimension[] | undefined,
): readonly Dimension[] | undefined {
  const lists = inputs.map((input) => spreadElements(input, shape));
  const [first, ...others] = lists;
  const type = inputs[0]?.type ?? 'int64';
  const single = Object.hasOwn(unary, operator) ? unary[operator] : undefined;
  if (single) return first?.map((element) => held(single(element), type));
  const pair = Object.hasOwn(binary, operator) ? binary[operator] : undefined;
  if (!pair || !first || lists.length < 2) return undefined;
  return others.reduce<readonly Dimension[] | undefined>(
    (left, right) =>
      left &&
      right &&
      left.map((element, index) => rounded(pair(element, right[index] ?? unknown, type), type)),
    first,
  );
}

/** Elements chosen one by one: the second list where the condition is known to hold, the third where not. */
export function chooseElements(
  inputs: readonly (KnownValue | undefined)[],
  shape: readonly Dimension[] | undefined,
): readonly Dimension[] | undefined {
  const [conditions, yes, no] = inputs.map((input) => spreadElements(input, shape));
  if (!yes || !no) return undefined;
  return yes.map((element, index) => {
    const condition = conditions?.[index];
    const other = no[index] ?? unknown;
    return condition === 1 || element === other ? element : condition === 0 ? other : unknown;
  });
}

const reducers: Readonly<Record<string, string>> = {
  ReduceProd: 'Mul',
  ReduceSum: 'Add',
  ReduceMax: 'Max',
  ReduceMin: 'Min',
};

/** All elements reduced to one. */
export function reduceElements(operator: string, value: KnownValue): readonly Dimension[] | undefined {
  const pair = binary[reducers[operator] ?? ''];
  const [first, ...rest] = value.elements ?? [];
  if (!pair || first === undefined) return undefined;
  return [rest.reduce((total, element) => rounded(pair(total, element, value.type), value.type), first)];
}

/** Elements after a conversion: a fraction is cut off, a truth value is 0 or 1. */
export function castElements(
  elements: readonly Dimension[] | undefined,
  type: ElementType,
): readonly Dimension[] | undefined {
  if (type === 'float16' || type === 'bfloat16') return undefined;
  return elements?.map((element) => {
    if (type === 'bool')
      return typeof element === 'number' ? Number(element !== 0) : isAtLeast(element, 1) ? 1 : unknown;
    if (typeof element !== 'number' || isFloat(type)) return rounded(element, type);
    return type === 'int64' ? Math.trunc(element) : rounded(Math.trunc(element), type);
  });
}
