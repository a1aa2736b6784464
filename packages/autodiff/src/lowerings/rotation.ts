import { int, intOf, microsoft } from '@murmuration/onnx';
import type { Lowering, LoweringContext, Lowerings } from '../passes/lower-operators.ts';
import { joinHeads, splitHeads } from './attention.ts';

/** Where the two domains have their inputs. */
interface Places {
  readonly cosines: number;
  readonly sines: number;
  readonly positions: number;
}

/** Angles of all positions [batch, 1, length, half], from a table and positions or given one by one. */
function angles(context: LoweringContext, index: number, { positions }: Places): string {
  const { op, input, backward, shapeOf } = context;
  const { graph } = backward;
  const table = input(index);
  const places = input(positions);
  if (places === '') return op('Unsqueeze', [table, graph.int64s([1])]);
  if (shapeOf(places).length === 2)
    return op('Unsqueeze', [op('Gather', [table, places]), graph.int64s([1])]);
  const axis = shapeOf(input(0)).length === 4 ? 2 : 1;
  const length = op('Squeeze', [backward.sizeValue(input(0), axis), graph.int64s([0])]);
  const range = op('Add', [op('Range', [graph.int64(0), length, graph.int64(1)]), places]);
  return op('Unsqueeze', [op('Gather', [table, range]), graph.int64s([0, 1])]);
}

/** Pairs as the two halves of the width, or as neighbours; and how to put them together again. */
function pairs(context: LoweringContext, x: string, half: number, interleaved: boolean) {
  const { op, ops, backward } = context;
  const { graph } = backward;
  if (!interleaved) {
    const halves = ops('Split', [x, graph.int64s([half, half])], 2, { axis: int(-1) });
    const join = (a: string, b: string): string => op('Concat', [a, b], { axis: int(-1) });
    return { halves, join };
  }
  const neighbours = op('Reshape', [x, graph.int64s([0, 0, 0, half, 2])]);
  const axis = graph.int64s([-1]);
  const halves = ops('Split', [neighbours, graph.int64s([1, 1])], 2, { axis: int(-1) }).map((part) =>
    op('Squeeze', [part, axis]),
  );
  const join = (a: string, b: string): string => {
    const parts = [op('Unsqueeze', [a, axis]), op('Unsqueeze', [b, axis])];
    const both = op('Concat', parts, { axis: int(-1) });
    return op('Reshape', [both, graph.int64s([0, 0, 0, 2 * half])]);
  };
  return { halves, join };
}

/**
 * A rotation whose cosines or sines depend on a parameter, by the products that it consists of. One with constant
 * angles stays: its gradient is a rotation too.
 */
const rotation =
  (places: Places): Lowering =>
  (context) => {
    const { op, ops, node, input, backward, shapeOf } = context;
    if (!context.isReached(places.cosines) && !context.isReached(places.sines)) return undefined;
    const joined = shapeOf(input(0)).length === 3;
    const half = context.sizeOf(input(places.cosines), -1);
    const headsOf = (): number => intOf(node, 'num_heads', 0) || context.sizeOf(input(0), 2) / (2 * half);
    const x = joined ? splitHeads(context, input(0), headsOf()) : input(0);
    const rest = context.sizeOf(x, 3) - 2 * half;
    const sizes = backward.graph.int64s([2 * half, rest]);
    const [turning = '', fixed = ''] = rest > 0 ? ops('Split', [x, sizes], 2, { axis: int(-1) }) : [x];
    const interleaved = intOf(node, 'interleaved', 0) === 1;
    const { halves, join } = pairs(context, turning, half, interleaved);
    const [a = '', b = ''] = halves;
    const [cosines, sines] = [angles(context, places.cosines, places), angles(context, places.sines, places)];
    const turned = join(
      op('Sub', [op('Mul', [a, cosines]), op('Mul', [b, sines])]),
      op('Add', [op('Mul', [a, sines]), op('Mul', [b, cosines])]),
    );
    const whole = rest > 0 ? op('Concat', [turned, fixed], { axis: int(-1) }) : turned;
    return [joined ? joinHeads(context, whole) : whole];
  };

/** Rotary embeddings of trained angles. */
export const rotationLowerings: Lowerings = {
  RotaryEmbedding: rotation({ cosines: 1, sines: 2, positions: 3 }),
  [`${microsoft}:RotaryEmbedding`]: rotation({ cosines: 2, sines: 3, positions: 1 }),
};
