import { type Dimension, inferShapes, type Model } from '@murmuration/onnx';
import { nominalSize } from '../defaults.ts';
import { elementBytes } from '../element-types.ts';

/** The number that a dimension stands for; each symbol counts as `nominalSize`. */
function sizeOf(dimension: Dimension): number {
  if (typeof dimension === 'number') return dimension;
  return dimension
    .split('*')
    .reduce((product, part) => product * (/^\d+$/.test(part) ? Number(part) : nominalSize), 1);
}

/** Says how large values are. */
export interface ValueBytes {
  /** Elements, or undefined for a value of unknown shape. */
  elements(value: string): number | undefined;
  bytes(value: string): number | undefined;
  shape(value: string): readonly Dimension[] | undefined;
}

/** Sizes of a model's values as far as shape inference gets; for rough comparisons only. */
export function valueBytes(model: Model): ValueBytes {
  const known = inferShapes(model);
  const elements = (value: string): number | undefined =>
    known.get(value)?.shape?.reduce<number>((product, dimension) => product * sizeOf(dimension), 1);
  return {
    elements,
    bytes(value) {
      const count = elements(value);
      const type = known.get(value)?.type;
      return count === undefined || type === undefined ? undefined : count * elementBytes[type];
    },
    shape: (value) => known.get(value)?.shape,
  };
}
