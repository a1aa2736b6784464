import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, type Model } from '@murmuration/onnx';
import { checkDirections, type DifferentiateRequest, gradientRules, type RunModel } from '../src/index.ts';
import { runModel, tensor } from './run-model.ts';

/** Σ tanh(x·w)² with w [3, 4]. */
function model(): Model {
  const builder = createGraphBuilder('directions');
  builder.input('x', 'float32', [2, 3]);
  builder.input('w', 'float32', [3, 4]);
  const y = builder.node('Tanh', [builder.node('MatMul', ['x', 'w'])]);
  builder.node('ReduceMean', [builder.node('Mul', [y, y])], { keepdims: { kind: 'int', value: 0 } }, 'loss');
  builder.output('loss', 'float32', []);
  return builder.model();
}

const inputs = {
  x: tensor([2, 3], [0.5, -1, 0.25, 1, 0.75, -0.5]),
  w: tensor([3, 4], [0.1, -0.2, 0.3, 0.4, -0.5, 0.6, 0.7, -0.8, 0.9, -0.1, 0.2, 0.3]),
};
const request: DifferentiateRequest = { loss: 'loss', parameters: ['w'] };

test('checkDirections finds right gradients right', async () => {
  const [found] = await checkDirections(model(), inputs, { ...request, run: runModel });
  assert.ok((found?.norm ?? 0) > 0.1);
  assert.ok((found?.relativeError ?? 1) < 2e-3, String(found?.relativeError));
});

for (const factor of [1.05, -1, 0.5])
  test(`checkDirections finds a gradient that is ${factor} times too large wrong`, async () => {
    const scaled: DifferentiateRequest['rules'] = {
      Tanh: (context) =>
        (gradientRules.Tanh?.(context) ?? []).map(
          (gradient) => gradient && context.op('Mul', [gradient, context.number(factor)]),
        ),
    };
    const [found] = await checkDirections(model(), inputs, { ...request, run: runModel, rules: scaled });
    const expected = Math.abs(1 - factor) / Math.abs(factor);
    assert.ok((found?.relativeError ?? 0) > 0.5 * expected, String(found?.relativeError));
  });

const scaledSum = (name: string): Model => {
  const builder = createGraphBuilder('single');
  const product = builder.node('Mul', [
    builder.input('x', 'float32', [3]),
    builder.input(name, 'float32', [1]),
  ]);
  builder.node('ReduceSum', [product], { keepdims: { kind: 'int', value: 0 } }, 'loss');
  builder.output('loss', 'float32', []);
  return builder.model();
};

test('checkDirections finds the gradient of a single number right, whatever direction is drawn', async () => {
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
    const feeds = { x: tensor([3], [1, 2, 3]), [name]: tensor([1], [0.5]) };
    const [found] = await checkDirections(scaledSum(name), feeds, {
      loss: 'loss',
      parameters: [name],
      run: runModel,
    });
    assert.ok((found?.relativeError ?? 1) < 2e-3, `${name}: ${found?.relativeError}`);
  }
});

test('checkDirections refuses a parameter without values, and a run without its gradient', async () => {
  const { w, ...others } = inputs;
  await assert.rejects(checkDirections(model(), others, { ...request, run: runModel }), {
    code: 'bad-request',
  });
  const lossOnly: RunModel = async (each, feeds) => {
    const { loss = new Float32Array() } = await runModel(each, feeds);
    return { loss };
  };
  await assert.rejects(checkDirections(model(), { ...others, w }, { ...request, run: lossOnly }), {
    code: 'wrong-gradient',
  });
});
