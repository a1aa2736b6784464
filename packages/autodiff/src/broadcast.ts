import { type Dimension, int } from '@murmuration/onnx';
import type { Backward } from './backward.ts';
import { AutodiffError } from './errors.ts';

/**
 * Undoes broadcasting: sums a gradient of shape `from` over the axes along which `value` was repeated, so that the
 * result has the shape of `value`. The only place where that happens. Throws `AutodiffError` `unknown-shape` when
 * two symbolic sizes may or may not be equal.
 */
export function undoBroadcast(
  backward: Backward,
  gradient: string,
  from: readonly Dimension[],
  value: string,
): string {
  const to = backward.shapeOf(value);
  const lead = from.length - to.length;
  const repeated = to.flatMap((dimension, axis) => {
    const wide = from[axis + lead];
    if (dimension === 1 && wide !== 1) return [axis + lead];
    if (dimension !== wide || dimension === '?')
      throw new AutodiffError(`value ${value} of shape [${to}]: cannot tell how it broadcasts to [${from}]`, {
        code: 'unknown-shape',
        value,
        shape: to,
        broadcast: from,
      });
    return [];
  });
  const leading = Array.from({ length: lead }, (_, axis) => axis);
  const axes = [...leading, ...repeated];
  if (axes.length === 0) return gradient;
  const onlyLeading = repeated.length === 0;
  const sum = backward.op('ReduceSum', [gradient, backward.graph.int64s(axes)], {
    keepdims: int(lead === 0 ? 1 : 0),
  });
  return lead === 0 || onlyLeading ? sum : backward.op('Reshape', [sum, backward.shapeValue(value)]);
}
