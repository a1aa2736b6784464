import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, int, type Model } from '@murmuration/onnx';
import { Tensor } from 'onnxruntime-node';
import { EngineError } from '../src/errors.ts';
import { createInPlaceSession } from '../src/session.ts';

const length = 1_000_000;

/** loss = Σ x·y, double = 2x. */
function sumOfProducts(): Model {
  const builder = createGraphBuilder('sum');
  const x = builder.input('x', 'float32', [length]);
  const y = builder.input('y', 'float32', ['length']);
  builder.node('ReduceSum', [builder.node('Mul', [x, y])], { keepdims: int(0) }, 'loss');
  builder.node('Mul', [x, builder.float32(2)], {}, 'double');
  builder.output('loss', 'float32', []);
  builder.output('double', 'float32', [length]);
  return builder.model();
}

const vector = (values: Float32Array): Tensor => new Tensor('float32', values, [values.length]);

test('createInPlaceSession writes outputs where they are wanted, and copies none', async () => {
  const session = await createInPlaceSession(sumOfProducts(), 1);
  const [x, double, loss] = [new Float32Array(length).fill(3), new Float32Array(length), new Float32Array(1)];
  const feeds = { x: vector(x), y: vector(new Float32Array(length).fill(1)) };
  const fetches = { double: vector(double), loss: new Tensor('float32', loss, []) };
  await session.run(feeds, fetches);
  const before = process.memoryUsage().arrayBuffers;
  for (let run = 0; run < 5; run++) {
    x[length - 1] = run;
    await session.run(feeds, fetches);
    assert.equal(double[0], 6);
    assert.equal(double[length - 1], 2 * run);
    assert.equal(loss[0], 3 * (length - 1) + run);
  }
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < double.byteLength, `${grown} bytes of buffers were added`);
});

test('createInPlaceSession reports an operator that fails as a bad graph', async () => {
  const session = await createInPlaceSession(sumOfProducts(), 1);
  const fetches = {
    double: vector(new Float32Array(length)),
    loss: new Tensor('float32', new Float32Array(1), []),
  };
  const feeds = { x: vector(new Float32Array(length)), y: vector(new Float32Array(3)) };
  await assert.rejects(
    session.run(feeds, fetches),
    (error: unknown) => error instanceof EngineError && error.facts.code === 'bad-graph',
  );
});

test('createInPlaceSession refuses a graph with an operator that onnxruntime does not know', async () => {
  const builder = createGraphBuilder('unknown');
  builder.node('Frobnicate', [builder.input('x', 'float32', [2])], {}, 'loss');
  builder.output('loss', 'float32', [2]);
  await assert.rejects(
    createInPlaceSession(builder.model(), 1),
    (error: unknown) => error instanceof EngineError && error.facts.code === 'bad-graph',
  );
});
