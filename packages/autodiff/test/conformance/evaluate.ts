import { createContext, runInContext } from 'node:vm';
import type { Dimension } from '@murmuration/onnx';

/** Sizes of the symbols that dimensions are made of. */
export type Sizes = Readonly<Record<string, number>>;

/** Gives what a dimension is when its symbols have these sizes; undefined for `?`. */
export function evaluator(sizes: Sizes): (dimension: Dimension) => number | undefined {
  const context = createContext({ ...sizes, floor: Math.floor });
  const found = new Map<string, number>();
  return (dimension) => {
    if (typeof dimension === 'number') return dimension;
    if (dimension === '?') return undefined;
    const value = found.get(dimension) ?? Number(runInContext(dimension, context));
    found.set(dimension, value);
    return value;
  };
}
