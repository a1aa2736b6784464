import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, int, type Model } from '@murmuration/onnx';
import { AutodiffError, checkGradients, type GradientRule, gradientRules } from '../src/index.ts';
import { runModel, tensor } from './run-model.ts';

/** loss = Σ tanh(x·w). */
function model(): Model {
  const builder = createGraphBuilder('small');
  const x = builder.input('x', 'float32', [2, 3]);
  const w = builder.input('w', 'float32', [3, 4]);
  const y = builder.node('Tanh', [builder.node('MatMul', [x, w])]);
  builder.output(builder.node('ReduceSum', [y], { keepdims: int(0) }, 'loss'), 'float32', []);
  return builder.model();
}

const inputs = {
  x: tensor([2, 3], [0.5, -0.3, 0.8, -0.9, 0.2, 0.4]),
  w: tensor(
    [3, 4],
    Array.from({ length: 12 }, (_, index) => ((index * 5) % 12) / 10 - 0.5),
  ),
};
const request = { loss: 'loss', parameters: ['x', 'w'], run: runModel };

test('checkGradients accepts right gradients and says how close they are', async () => {
  const checked = await checkGradients(model(), inputs, request);
  assert.deepEqual(
    checked.map(({ parameter, coordinates }) => [parameter, coordinates]),
    [
      ['x', 6],
      ['w', 12],
    ],
  );
  for (const { relativeError } of checked) assert.ok(relativeError > 0 && relativeError < 1e-2);
});

test('checkGradients checks no more coordinates than asked for', async () => {
  const [x, w] = await checkGradients(model(), inputs, { ...request, coordinatesMax: 5 });
  assert.deepEqual([x?.coordinates, w?.coordinates], [5, 5]);
});

/** Rules that are wrong in ways that real mistakes are. */
const wrong: Readonly<Record<string, Readonly<Record<string, GradientRule>>>> = {
  'a slope left out': { Tanh: ({ gradient }) => [gradient] },
  'a factor of 1.05': {
    Tanh: (context) => {
      const [right] = gradientRules.Tanh?.(context) ?? [];
      return [context.op('Mul', [right as string, context.backward.number(1.05, context.gradient)])];
    },
  },
  'a sign': {
    MatMul: (context) => {
      const right = gradientRules.MatMul?.(context) ?? [];
      return right.map((gradient) => gradient && context.op('Neg', [gradient]));
    },
  },
  'the same gradient for both factors': {
    MatMul: (context) => {
      const [byX] = gradientRules.MatMul?.(context) ?? [];
      const row = context.backward.graph.int64s([1, -1, 1]);
      const flat = context.op('Reshape', [byX as string, row]);
      return [
        byX,
        context.op('Reshape', [
          context.op('Concat', [flat, flat], { axis: int(0) }),
          context.backward.graph.int64s([3, 4]),
        ]),
      ];
    },
  },
};

for (const [mistake, rules] of Object.entries(wrong))
  test(`checkGradients refuses a rule with ${mistake}`, async () => {
    await assert.rejects(checkGradients(model(), inputs, { ...request, rules }), (error) => {
      assert.ok(error instanceof AutodiffError);
      assert.equal(error.code, 'wrong-gradient');
      return true;
    });
  });

test('checkGradients refuses a gradient that is not a number', async () => {
  const rules: Record<string, GradientRule> = {
    Tanh: (context) => [
      context.op('Log', [
        context.op('Sub', [context.gradient, context.backward.number(5, context.gradient)]),
      ]),
    ],
  };
  await assert.rejects(checkGradients(model(), inputs, { ...request, rules }), { code: 'wrong-gradient' });
});
