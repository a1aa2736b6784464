import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, int64Tensor } from '@murmuration/onnx';
import { Tensor } from 'onnxruntime-node';
import { skipFinalReshapes } from '../src/final-reshapes.ts';
import { createInPlaceSession } from '../src/session.ts';

/** loss and two reshaped values of x [2, 6]: one that nobody else reads, one that another node reads too. */
function model() {
  const builder = createGraphBuilder('reshapes');
  builder.input('x', 'float32', [2, 6]);
  builder.initializer(int64Tensor('shape', [3, 4]));
  const doubled = builder.node('Mul', ['x', builder.float32(2)]);
  builder.node('Reshape', [doubled, 'shape'], {}, 'alone');
  const halved = builder.node('Mul', ['x', builder.float32(0.5)]);
  builder.node('Reshape', [halved, 'shape'], {}, 'shared');
  builder.node('ReduceSum', [halved], { keepdims: { kind: 'int', value: 0 } }, 'loss');
  builder.output('loss', 'float32', []);
  builder.output('alone', 'float32', [3, 4]);
  builder.output('shared', 'float32', [3, 4]);
  return builder.model();
}

test('skipFinalReshapes lets the node before give the output, in its own shape', async () => {
  const shortened = skipFinalReshapes(model());
  const reshapes = shortened.graph.nodes.filter(({ operator }) => operator === 'Reshape');
  assert.deepEqual(
    reshapes.flatMap(({ outputs }) => outputs),
    ['shared'],
  );
  assert.deepEqual(
    shortened.graph.outputs.map(({ name, shape }) => [name, shape]),
    [
      ['loss', []],
      ['alone', [2, 6]],
      ['shared', [3, 4]],
    ],
  );
  const session = await createInPlaceSession(shortened, 1);
  const [loss, alone, shared] = [new Float32Array(1), new Float32Array(12), new Float32Array(12)];
  const x = Float32Array.from({ length: 12 }, (_, index) => index);
  await session.run(
    { x: new Tensor('float32', x, [2, 6]) },
    {
      loss: new Tensor('float32', loss, []),
      alone: new Tensor('float32', alone, [2, 6]),
      shared: new Tensor('float32', shared, [3, 4]),
    },
  );
  assert.equal(loss[0], 33);
  assert.deepEqual([...alone], [...x.map((value) => 2 * value)]);
  assert.deepEqual([...shared], [...x.map((value) => 0.5 * value)]);
});
