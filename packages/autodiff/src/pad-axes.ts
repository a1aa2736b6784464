import { int } from '@murmuration/onnx';
import type { Backward } from './backward.ts';

/**
 * Zeros around a value along some axes, or negative amounts cut off. `pads` is an int64 list of two amounts per axis:
 * those before it for all axes, then those behind. The node pads all axes: onnxruntime's transpose optimizer moves
 * Transpose past Pad and reorders `pads` as if there were no `axes` (found with 1.30).
 */
export function padAxes(
  { op, graph, shapeOf, numbersOf }: Backward,
  value: string,
  axes: readonly number[],
  pads: string,
): string {
  const rank = shapeOf(value).length;
  const zero = 2 * axes.length;
  const places = [0, axes.length].flatMap((side) =>
    Array.from({ length: rank }, (_, axis) => (axes.includes(axis) ? side + axes.indexOf(axis) : zero)),
  );
  const known = numbersOf(pads);
  if (known) return op('Pad', [value, graph.int64s(places.map((place) => known[place] ?? 0))]);
  if (places.every((place, index) => place === index)) return op('Pad', [value, pads]);
  const longer = op('Concat', [pads, graph.int64s([0])], { axis: int(0) });
  return op('Pad', [value, op('Gather', [longer, graph.int64s(places)])]);
}
