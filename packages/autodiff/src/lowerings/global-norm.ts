import { int, intOf } from '@murmuration/onnx';
import type { Lowering } from '../passes/lower-operators.ts';
import { spatialFrom } from '../rules/window.ts';

/** GlobalLpPool, (Σ |x|^p)^(1/p) over all positions, whose kernel has no gradient. */
export const globalNorm: Lowering = ({ node, backward, op, input, number }) => {
  const x = input(0);
  const p = intOf(node, 'p', 2);
  const positions = [...backward.shapeOf(x).keys()].slice(spatialFrom);
  const reduce = (operator: string, value: string): string =>
    op(operator, [value, backward.graph.int64s(positions)], { keepdims: int(1) });
  if (p === 1) return [reduce('ReduceL1', x)];
  if (p === 2) return [reduce('ReduceL2', x)];
  const sum = reduce('ReduceSum', op('Pow', [op('Abs', [x]), number(p)]));
  return [op('Pow', [sum, number(1 / p)])];
};
