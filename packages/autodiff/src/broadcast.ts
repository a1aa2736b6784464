import { type Dimension, int } from '@murmuration/onnx';
import type { Backward } from './backward.ts';

/** Sums over the axes along which `value` turns out to have been repeated when the graph runs. */
function undoAtRunTime(backward: Backward, gradient: string, lead: number, value: string): string {
  const { op, graph } = backward;
  const own = op('Shape', [value]);
  const ones = graph.int64s(Array.from({ length: lead }, () => 1));
  const wide = lead === 0 ? own : op('Concat', [ones, own], { axis: int(0) });
  const differs = op('Not', [op('Equal', [op('Shape', [gradient]), wide])]);
  const axes = op('Reshape', [op('NonZero', [differs]), graph.int64s([-1])]);
  const sum = op('ReduceSum', [gradient, axes], { keepdims: int(1), noop_with_empty_axes: int(1) });
  return op('Reshape', [sum, own]);
}

/**
 * Undoes broadcasting: sums a gradient of shape `from` over the axes along which `value` was repeated, so that the
 * result has the shape of `value`. The only place where that happens. Where two symbolic sizes may or may not be
 * equal, the axes are found when the graph runs. Throws `AutodiffError` `unknown-shape` when a rank is not known.
 */
export function undoBroadcast(
  backward: Backward,
  gradient: string,
  from: readonly Dimension[],
  value: string,
): string {
  const to = backward.shapeOf(value);
  const lead = from.length - to.length;
  const certain = to.every((dimension, axis) => {
    const wide = from[axis + lead];
    return dimension === 1 || (dimension === wide && dimension !== '?');
  });
  if (!certain) return undoAtRunTime(backward, gradient, lead, value);
  const repeated = to.flatMap((dimension, axis) =>
    dimension === 1 && from[axis + lead] !== 1 ? [axis + lead] : [],
  );
  const leading = Array.from({ length: lead }, (_, axis) => axis);
  const axes = [...leading, ...repeated];
  if (axes.length === 0) return gradient;
  const sum = backward.op('ReduceSum', [gradient, backward.graph.int64s(axes)], {
    keepdims: int(lead === 0 ? 1 : 0),
  });
  return lead === 0 || repeated.length === 0 ? sum : backward.reshapeLike(sum, value);
}
