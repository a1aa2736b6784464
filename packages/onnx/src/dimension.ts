/**
 * Arithmetic of symbolic dimensions. A dimension is a number, the canonical text of a polynomial of symbols
 * (`12*batch*context`, `context - 1`, `floor((height + 1)/2)`), or `?`. Equal texts other than `?` are equal sizes.
 * Symbols are taken to be at least 1.
 */
import { OnnxError } from './errors.ts';
import type { Dimension } from './model.ts';
import {
  addScaled,
  constant,
  divideExactly,
  floorDivide,
  format,
  minimumOf,
  multiply,
  numberOf,
  type Polynomial,
  parse,
} from './polynomial.ts';

/** The dimension of which nothing is known. */
export const unknown = '?';

const polynomialOf = (dimension: Dimension): Polynomial | undefined =>
  typeof dimension === 'string'
    ? parse(dimension)
    : Number.isSafeInteger(dimension)
      ? constant(dimension)
      : undefined;

const dimensionOf = (polynomial: Polynomial | undefined): Dimension =>
  polynomial ? (numberOf(polynomial) ?? format(polynomial) ?? unknown) : unknown;

/** A dimension as this package writes it: `a + b` however the sum was ordered; `?` for what is no expression. */
export const canonicalDimension = (dimension: Dimension): Dimension =>
  typeof dimension === 'number' ? dimension : dimensionOf(polynomialOf(dimension));

/** The product of dimensions; `?` if one of them is. */
export function multiplyDimensions(dimensions: readonly Dimension[]): Dimension {
  if (dimensions.includes(0)) return 0;
  let product = constant(1);
  for (const dimension of dimensions) {
    const factor = product && polynomialOf(dimension);
    product = product && factor && multiply(product, factor);
  }
  return dimensionOf(product);
}

/** a / b if that leaves no remainder whatever the symbols are, else `?`. */
export function divideDimensions(a: Dimension, b: Dimension): Dimension {
  const [top, bottom] = [polynomialOf(a), polynomialOf(b)];
  return dimensionOf(top && bottom && divideExactly(top, bottom));
}

/** a / b where whatever uses it makes sure that nothing remains: a rounded quotient of a symbol is exact then. */
export function quotientDimension(a: Dimension, b: Dimension): Dimension {
  const exact = divideDimensions(a, b);
  return exact === unknown && typeof b === 'number' ? floorDivideDimension(a, b) : exact;
}

/** a + b. */
export function addDimensions(a: Dimension, b: Dimension): Dimension {
  const [left, right] = [polynomialOf(a), polynomialOf(b)];
  return dimensionOf(left && right && addScaled(left, right, 1));
}

/** a − b. */
export function subtractDimensions(a: Dimension, b: Dimension): Dimension {
  const [left, right] = [polynomialOf(a), polynomialOf(b)];
  return dimensionOf(left && right && addScaled(left, right, -1));
}

/** ⌊a / by⌋ for a whole number above 0. */
export function floorDivideDimension(a: Dimension, by: number): Dimension {
  const top = polynomialOf(a);
  return top && Number.isSafeInteger(by) && by > 0 ? dimensionOf(floorDivide(top, by)) : unknown;
}

/** ⌈a / by⌉ for a whole number above 0. */
export const ceilDivideDimension = (a: Dimension, by: number): Dimension =>
  floorDivideDimension(addDimensions(a, by - 1), by);

/** Whether a is above (1), equal to (0) or below (−1) b for all sizes of the symbols; undefined when that depends. */
export function compareDimensions(a: Dimension, b: Dimension): -1 | 0 | 1 | undefined {
  const [left, right] = [polynomialOf(a), polynomialOf(b)];
  const above = left && right && addScaled(left, right, -1);
  const below = left && right && addScaled(right, left, -1);
  if (!above || !below) return undefined;
  if (above.size === 0) return 0;
  if ((minimumOf(above) ?? 0) > 0) return 1;
  return (minimumOf(below) ?? 0) > 0 ? -1 : undefined;
}

/** Whether a is at least b for all sizes of the symbols. */
export function isAtLeast(a: Dimension, b: Dimension): boolean {
  const [left, right] = [polynomialOf(a), polynomialOf(b)];
  const difference = left && right && addScaled(left, right, -1);
  return difference !== undefined && (minimumOf(difference) ?? -1) >= 0;
}

/** What two dimensions that must be equal are: the number of the two, else the symbol, else `?`. */
export function unifyDimensions(a: Dimension, b: Dimension, where: string): Dimension {
  if (a === b || b === unknown) return a;
  if (a === unknown) return b;
  if (typeof a === 'number' && typeof b === 'number')
    throw new OnnxError(`${where}: expected equal dimensions, got ${a} and ${b}`, {
      code: 'invalid-model',
      dimensions: [a, b],
    });
  return typeof b === 'number' ? b : a;
}

/** The shape of an elementwise result (NumPy's rule). A symbol against a number other than 1 gives the number. */
export function broadcastShapes(
  shapes: readonly (readonly Dimension[])[],
  where: string,
): readonly Dimension[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let result: Dimension = 1;
    for (const shape of shapes) {
      const dimension = shape[axis - rank + shape.length] ?? 1;
      if (dimension === 1 || dimension === result) continue;
      if (result === 1) result = dimension;
      else if (typeof dimension === 'number' && typeof result === 'number')
        throw new OnnxError(
          `${where}: shapes ${shapes.map((each) => `[${each}]`).join(' and ')} do not broadcast`,
          { code: 'invalid-model', shapes },
        );
      else if (typeof dimension === 'number') result = dimension;
      else if (typeof result !== 'number') result = unknown;
    }
    return result;
  });
}
