import { createContext, runInContext } from 'node:vm';
import type { Dimension } from '@murmuration/onnx';

/** Sizes of the symbols that dimensions are made of. */
export type Sizes = Readonly<Record<string, number>>;

/** Gives what a dimension is when its symbols have these sizes; undefined for `?`. */
export function evaluator(sizes: Sizes): (dimension: Dimension) => number | undefined {
  const names = Object.keys(sizes).sort((a, b) => b.length - a.length);
  const context = createContext({ floor: Math.floor });
  const found = new Map<string, number>();
  return (dimension) => {
    if (typeof dimension === 'number') return dimension;
    if (dimension === '?') return undefined;
    const expression = names.reduce((text, name) => text.replaceAll(name, String(sizes[name])), dimension);
    const value = found.get(dimension) ?? Number(runInContext(expression, context));
    found.set(dimension, value);
    return value;
  };
}
