/**
 * A small forward file for the tests of preparing: embedding, Gemm, MatMul, a weight behind a Transpose,
 * LayerNormalization.
 */
import { createRandom } from '@murmuration/base';
import { createGraphBuilder, float32Tensor, int, ints, type Model, type Tensor } from '@murmuration/onnx';

const drawn = (name: string, shape: readonly number[], scale = 0.5): Tensor => {
  const random = createRandom(name);
  const length = shape.reduce((product, size) => product * size, 1);
  return float32Tensor(
    name,
    Array.from({ length }, () => scale * (2 * random.unit() - 1)),
    shape,
  );
};

/** Inputs `input_ids` [rows, columns] and `attention_mask`; output `scores` [rows, columns, 7]. */
export function textNetwork(tokenType: 'int64' | 'int32' = 'int64'): Model {
  const builder = createGraphBuilder('text');
  builder.input('input_ids', tokenType, ['rows', 'columns']);
  builder.input('attention_mask', 'int64', ['rows', 'columns']);
  for (const tensor of [
    drawn('embedding', [7, 4]),
    drawn('first.weight', [4, 6]),
    drawn('second.weight', [5, 6]),
    drawn('second.bias', [5]),
    drawn('third.weight', [7, 5]),
    drawn('norm.weight', [6]),
    drawn('scalar', [1]),
  ])
    builder.initializer(tensor);
  const looked = builder.node('Gather', ['embedding', 'input_ids']);
  const mask = builder.node('Cast', ['attention_mask'], { to: int(1) });
  const masked = builder.node('Mul', [looked, builder.node('Unsqueeze', [mask, builder.int64s([2])])]);
  const first = builder.node('MatMul', [masked, 'first.weight'], {}, 'first');
  const normed = builder.node('LayerNormalization', [first, 'norm.weight'], { axis: int(-1) });
  const scaled = builder.node('Mul', [normed, 'scalar']);
  const rows = builder.node('Reshape', [builder.node('Tanh', [scaled]), builder.int64s([-1, 6])]);
  const second = builder.node('Gemm', [rows, 'second.weight', 'second.bias'], { transB: int(1) }, 'second');
  const active = builder.node('Softplus', [second]);
  const turned = builder.node('Transpose', ['third.weight'], { perm: ints([1, 0]) });
  const third = builder.node('MatMul', [active, turned], {}, 'third');
  const shape = builder.node('Concat', [builder.node('Shape', ['input_ids']), builder.int64s([7])], {
    axis: int(0),
  });
  builder.node('Reshape', [third, shape], {}, 'scores');
  builder.output('scores', 'float32', ['rows', 'columns', 7]);
  return builder.model();
}
