/**
 * Arithmetic of symbolic dimensions. A dimension is a monomial: a number times symbols, written `12*batch*context`
 * with the symbols sorted, so that equal sizes are equal texts. Whatever is no monomial is `?`.
 */
import { symbolsMax } from './defaults.ts';
import { OnnxError } from './errors.ts';
import type { Dimension } from './model.ts';

/** The dimension of which nothing is known. */
export const unknown = '?';

interface Monomial {
  readonly factor: number;
  readonly symbols: readonly string[];
}

function parse(dimension: Dimension): Monomial | undefined {
  if (typeof dimension === 'number') return { factor: dimension, symbols: [] };
  if (dimension.includes(unknown)) return undefined;
  const parts = dimension.split('*');
  const numeric = /^\d+$/.test(parts[0] ?? '');
  return { factor: numeric ? Number(parts[0]) : 1, symbols: (numeric ? parts.slice(1) : parts).sort() };
}

function format({ factor, symbols }: Monomial): Dimension {
  if (symbols.length === 0 || factor === 0) return factor;
  return [...(factor === 1 ? [] : [String(factor)]), ...symbols.toSorted()].join('*');
}

/** The product of dimensions; `?` if one of them is. */
export function multiplyDimensions(dimensions: readonly Dimension[]): Dimension {
  let product: Monomial = { factor: 1, symbols: [] };
  for (const dimension of dimensions) {
    const parsed = parse(dimension);
    if (!parsed) return unknown;
    if (product.symbols.length > symbolsMax) return unknown;
    product = { factor: product.factor * parsed.factor, symbols: [...product.symbols, ...parsed.symbols] };
  }
  return product.symbols.length > symbolsMax || !Number.isSafeInteger(product.factor)
    ? unknown
    : format(product);
}

/** a / b if that is a monomial again, else `?`. */
export function divideDimensions(a: Dimension, b: Dimension): Dimension {
  const top = parse(a);
  const bottom = parse(b);
  if (!top || !bottom || bottom.factor === 0 || top.factor % bottom.factor !== 0) return unknown;
  const symbols = [...top.symbols];
  for (const symbol of bottom.symbols) {
    const index = symbols.indexOf(symbol);
    if (index < 0) return unknown;
    symbols.splice(index, 1);
  }
  return format({ factor: top.factor / bottom.factor, symbols });
}

/** a + b, when both are numbers or one is 0. */
export function addDimensions(a: Dimension, b: Dimension): Dimension {
  if (a === 0) return b;
  if (b === 0) return a;
  return typeof a === 'number' && typeof b === 'number' ? a + b : unknown;
}

/** The shape of an elementwise result (NumPy's rule). A symbol against a number other than 1 gives the number. */
export function broadcastShapes(
  shapes: readonly (readonly Dimension[])[],
  where: string,
): readonly Dimension[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let result: Dimension = 1;
    for (const shape of shapes) {
      const dimension = shape[axis - rank + shape.length] ?? 1;
      if (dimension === 1 || dimension === result) continue;
      if (result === 1) result = dimension;
      else if (typeof dimension === 'number' && typeof result === 'number')
        throw new OnnxError(
          `${where}: shapes ${shapes.map((each) => `[${each}]`).join(' and ')} do not broadcast`,
          {
            code: 'invalid-model',
            shapes,
          },
        );
      else if (typeof dimension === 'number') result = dimension;
      else if (typeof result !== 'number') result = unknown;
    }
    return result;
  });
}
