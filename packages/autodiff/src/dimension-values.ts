/**
 * Symbolic dimensions as values of the running graph. A rule that needs the shape of an activation must not read the
 * activation for it: that would keep it in memory, or make it be computed again. Every symbol is some dimension of a
 * graph input, which is there anyway, and everything else (`batch*context`, `floor((height + 1)/2)`) is arithmetic on
 * one-element lists. Each value is made once.
 */
import {
  type Attributes,
  type Dimension,
  type GraphBuilder,
  int,
  type Polynomial,
  parsePolynomial,
  type ValueInfo,
} from '@murmuration/onnx';

/** Gives int64 lists of one element or of many; absent where a symbol is no dimension of an input. */
export interface DimensionValues {
  size(dimension: Dimension): string | undefined;
  list(dimensions: readonly Dimension[]): string | undefined;
}

/** The rounded quotient that a symbol's text stands for. */
const quotient = /^floor\((.+)\/(\d+)\)$/;

/** Starts without any values; `inputs` are those of the graph that `graph` builds. */
export function createDimensionValues(graph: GraphBuilder, inputs: readonly ValueInfo[]): DimensionValues {
  const op = (operator: string, of: readonly string[], attributes: Attributes = {}): string =>
    graph.node(operator, of, attributes, `size.${operator}`);
  const places = new Map<string, readonly [string, number]>();
  for (const { name, shape = [] } of inputs)
    shape.forEach((dimension, axis) => {
      if (typeof dimension === 'string' && !places.has(dimension)) places.set(dimension, [name, axis]);
    });
  const made = new Map<string, string | undefined>();
  const once = (key: string, make: () => string | undefined): string | undefined => {
    if (!made.has(key)) made.set(key, make());
    return made.get(key);
  };

  const symbolSize = (symbol: string): string | undefined => {
    const place = places.get(symbol);
    if (place) return op('Shape', [place[0]], { start: int(place[1]), end: int(place[1] + 1) });
    const [, top, by] = quotient.exec(symbol) ?? [];
    if (top === undefined || by === undefined) return undefined;
    const whole = values.size(top.replace(/^\((.*)\)$/, '$1'));
    return whole && op('Div', [whole, graph.int64s([Number(by)])]);
  };
  const polynomialSize = (polynomial: Polynomial): string | undefined => {
    const terms = [...polynomial.values()].map(({ factor, symbols }) => {
      const sizes = symbols.map((symbol) => once(symbol, () => symbolSize(symbol)));
      if (!sizes.every((size) => size !== undefined)) return undefined;
      const factors = factor === 1 && sizes.length > 0 ? sizes : [...sizes, graph.int64s([factor])];
      return factors.reduce((product, size) => op('Mul', [product, size]));
    });
    return terms.every((term) => term !== undefined)
      ? terms.reduce((sum, term) => op('Add', [sum, term]))
      : undefined;
  };

  const values: DimensionValues = {
    size(dimension) {
      if (typeof dimension === 'number') return graph.int64s([dimension]);
      const polynomial = dimension === '?' ? undefined : parsePolynomial(dimension);
      return polynomial && polynomial.size > 0
        ? once(dimension, () => polynomialSize(polynomial))
        : undefined;
    },
    list(dimensions) {
      if (dimensions.every((dimension) => typeof dimension === 'number')) return graph.int64s(dimensions);
      if (dimensions.length === 1) return values.size(dimensions[0] as Dimension);
      return once(`[${dimensions}]`, () => {
        const parts = dimensions.map((dimension) => values.size(dimension));
        return parts.every((part) => part !== undefined) ? op('Concat', parts, { axis: int(0) }) : undefined;
      });
    },
  };
  return values;
}
