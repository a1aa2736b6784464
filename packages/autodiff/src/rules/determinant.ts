import { int, ints } from '@murmuration/onnx';
import { determinantSizeMax } from '../defaults.ts';
import { type GradientRule, unsupported } from './rule.ts';
import { unitMatrix } from './unit-matrix.ts';

/**
 * ∂det(A)/∂A is the matrix of cofactors, the transposed adjugate. The adjugate comes from the Faddeev–LeVerrier
 * recursion M₁ = I, Mₖ₊₁ = A·Mₖ − tr(A·Mₖ)/k·I as (−1)ⁿ⁻¹·Mₙ: products only, right for singular matrices too.
 */
export const determinant: GradientRule = (context) => {
  const { op, backward, node, gradient } = context;
  const a = context.input(0);
  const shape = context.shape(0);
  const size = shape.at(-1);
  if (typeof size !== 'number' || size > determinantSizeMax)
    throw unsupported(node, `expected matrices of at most ${determinantSizeMax} rows, got shape [${shape}]`);
  const axes = backward.graph.int64s([-2, -1]);
  const unit = unitMatrix(context, a, shape.length - 1);
  let minor = unit;
  for (let step = 1; step < size; step++) {
    const product = op('MatMul', [a, minor]);
    const trace = op('ReduceSum', [op('Mul', [product, unit]), axes], { keepdims: int(1) });
    const share = op('Mul', [trace, context.number(1 / step)]);
    minor = op('Sub', [product, op('Mul', [share, unit])]);
  }
  const rank = shape.length;
  const order = shape.map((_, axis) => (axis < rank - 2 ? axis : 2 * rank - 3 - axis));
  const cofactors = size > 1 ? op('Transpose', [minor], { perm: ints(order) }) : unit;
  const sign = context.number(size % 2 === 0 ? -1 : 1);
  return [op('Mul', [op('Unsqueeze', [gradient, axes]), op('Mul', [cofactors, sign])])];
};
