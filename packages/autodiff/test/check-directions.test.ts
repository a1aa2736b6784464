import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '@murmuration/base';
import { createGraphBuilder, float, int, ints, type Model, type Tensor } from '@murmuration/onnx';
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
  assert.equal(found?.verdict, 'agrees');
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
    assert.equal(found?.verdict, 'wrong');
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

const drawn = (name: string, shape: readonly number[]): Tensor => {
  const random = createRandom(name);
  const length = shape.reduce((product, size) => product * size, 1);
  return tensor(
    shape,
    Array.from({ length }, () => 2 * random.unit() - 1),
  );
};

/** Convolutions between everything that has kinks, on images of 12 × 12, and its feeds. */
function kinks(): { model: Model; feeds: Record<string, Tensor> } {
  const shapes = {
    image: [2, 3, 12, 12],
    first: [8, 3, 3, 3],
    'first.bias': [8],
    second: [8, 8, 3, 3],
    'second.bias': [8],
    slope: [8, 1, 1],
    last: [32, 5],
  };
  const builder = createGraphBuilder('kinks');
  for (const [name, shape] of Object.entries(shapes)) builder.input(name, 'float32', shape);
  const first = builder.node('HardSwish', [builder.node('Conv', ['image', 'first', 'first.bias'])]);
  const second = builder.node('Conv', [first, 'second', 'second.bias'], { strides: ints([2, 2]) });
  const sloped = builder.node('PRelu', [
    builder.node('Clip', [second, builder.float32(-1), builder.float32(1)]),
    'slope',
  ]);
  const pooled = builder.node('MaxPool', [sloped], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) });
  const scores = builder.node('MatMul', [builder.node('Flatten', [pooled]), 'last']);
  const rough = builder.node('Abs', [builder.node('HardSigmoid', [scores], { alpha: float(0.2) })]);
  builder.node(
    'ReduceMean',
    [builder.node('Add', [rough, builder.node('Relu', [scores])])],
    { keepdims: int(0) },
    'loss',
  );
  builder.output('loss', 'float32', []);
  const feeds = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, drawn(name, shape)]));
  return { model: builder.model(), feeds };
}

const parameters = ['first', 'first.bias', 'second', 'second.bias', 'slope', 'last'];

/** As `runModel`, with gradients that are so many times too large. */
const runScaled =
  (factor: number): RunModel =>
  async (each, feeds) =>
    Object.fromEntries(
      Object.entries(await runModel(each, feeds)).map(([name, values]) => [
        name,
        name.startsWith('gradient:') ? values.map((value) => factor * value) : values,
      ]),
    );

test('checkDirections takes no kink for a wrong gradient', async () => {
  const { model: rough, feeds } = kinks();
  const found = await checkDirections(rough, feeds, { loss: 'loss', parameters, run: runModel });
  assert.deepEqual(
    found.filter(({ verdict }) => verdict !== 'agrees'),
    [],
  );
});

for (const factor of [1.05, 0.95])
  test(`checkDirections finds every gradient that is ${factor} times too large wrong, also at kinks`, async () => {
    const { model: rough, feeds } = kinks();
    const found = await checkDirections(rough, feeds, { loss: 'loss', parameters, run: runScaled(factor) });
    assert.deepEqual(
      found.filter(({ verdict }) => verdict !== 'wrong'),
      [],
    );
  });

test('checkDirections is uncertain where the gradient jumps all along the line', async () => {
  const builder = createGraphBuilder('saw');
  const fine = builder.node('Mul', [builder.input('w', 'float32', [1]), builder.float32(1e5)]);
  const saw = builder.node('Mul', [builder.node('Sin', [fine]), builder.float32(2e-5)]);
  builder.node('ReduceSum', [builder.node('Add', [saw, 'w'])], { keepdims: int(0) }, 'loss');
  builder.output('loss', 'float32', []);
  const feeds = { w: tensor([1], [0.3]) };
  const [found] = await checkDirections(builder.model(), feeds, {
    loss: 'loss',
    parameters: ['w'],
    run: runModel,
  });
  assert.equal(found?.verdict, 'uncertain');
});

test('checkDirections says where there was no gradient, unless the loss changes', async () => {
  const builder = createGraphBuilder('dead');
  const w = builder.input('w', 'float32', [3]);
  const dead = builder.node('Relu', [builder.node('Sub', [w, builder.float32(9)])]);
  builder.node(
    'ReduceSum',
    [builder.node('Add', [dead, builder.node('Tanh', ['v'])])],
    { keepdims: int(0) },
    'loss',
  );
  builder.input('v', 'float32', [3]);
  builder.output('loss', 'float32', []);
  const feeds = { w: tensor([3], [1, 2, 3]), v: tensor([3], [0.1, 0.2, 0.3]) };
  const options = { loss: 'loss', parameters: ['w', 'v'] };
  const found = await checkDirections(builder.model(), feeds, { ...options, run: runModel });
  assert.deepEqual(
    found.map(({ verdict }) => verdict),
    ['no-gradient', 'agrees'],
  );
  const lost = await checkDirections(builder.model(), feeds, { ...options, run: runScaled(0) });
  assert.deepEqual(
    lost.map(({ verdict }) => verdict),
    ['no-gradient', 'wrong'],
  );
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
