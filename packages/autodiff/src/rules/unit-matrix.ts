import { int } from '@murmuration/onnx';
import type { RuleContext } from './rule.ts';

/** A unit matrix with as many rows as a value has elements along an axis, of the value's type. */
export function unitMatrix({ op, backward }: RuleContext, value: string, axis: number): string {
  const size = backward.sizeValue(value, axis);
  const square = op('Concat', [size, size], { axis: int(0) });
  return op('EyeLike', [op('Expand', [backward.number(0, value), square])]);
}
