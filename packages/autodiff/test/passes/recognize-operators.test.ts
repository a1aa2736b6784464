import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, type GraphBuilder, int, type Model } from '@murmuration/onnx';
import { recognizeOperators } from '../../src/passes/recognize-operators.ts';
import { assertEqualResults, operatorCounts } from './equal-results.ts';

const modelOf = (
  write: (builder: GraphBuilder, x: string) => string,
  type: 'float32' | 'float64' = 'float32',
): Model => {
  const builder = createGraphBuilder('written');
  const x = builder.input('x', type, [2, 3, 8]);
  builder.output(write(builder, x), type, [2, 3, 8]);
  return builder.model();
};

type Write = (builder: GraphBuilder, x: string) => string;

const cubes: Readonly<Record<string, Write>> = {
  'Pow(x, 3)': (builder, x) => builder.node('Pow', [x, builder.float32(3)]),
  'x·(x·x)': (builder, x) => builder.node('Mul', [x, builder.node('Mul', [x, x])]),
  '(x·x)·x': (builder, x) => builder.node('Mul', [builder.node('Mul', [x, x]), x]),
};

const tanhGate =
  (cube: Write): Write =>
  (builder, x) => {
    const scaled = builder.node('Mul', [builder.float32(0.044715), cube(builder, x)]);
    const inner = builder.node('Mul', [
      builder.float32(Math.sqrt(2 / Math.PI)),
      builder.node('Add', [x, scaled]),
    ]);
    return builder.node('Add', [builder.float32(1), builder.node('Tanh', [inner])]);
  };

const erfGate =
  (operator: 'Mul' | 'Div'): Write =>
  (builder, x) => {
    const factor = builder.float32(operator === 'Mul' ? Math.SQRT1_2 : Math.SQRT2);
    return builder.node('Add', [
      builder.node('Erf', [builder.node(operator, [x, factor])]),
      builder.float32(1),
    ]);
  };

const gates: Readonly<Record<string, Write>> = {
  ...Object.fromEntries(Object.entries(cubes).map(([name, cube]) => [`tanh of ${name}`, tanhGate(cube)])),
  'erf of x/√2': erfGate('Div'),
  'erf of x·√½': erfGate('Mul'),
};

const halves: Readonly<Record<string, (builder: GraphBuilder, x: string, gate: string) => string>> = {
  '½·(x·gate)': (builder, x, gate) =>
    builder.node('Mul', [builder.float32(0.5), builder.node('Mul', [x, gate])]),
  'x·(½·gate)': (builder, x, gate) =>
    builder.node('Mul', [x, builder.node('Mul', [builder.float32(0.5), gate])]),
  '(x·½)·gate': (builder, x, gate) =>
    builder.node('Mul', [builder.node('Mul', [x, builder.float32(0.5)]), gate]),
};

for (const [gateName, gate] of Object.entries(gates))
  for (const [halfName, half] of Object.entries(halves))
    test(`recognizeOperators finds Gelu in ${halfName} with ${gateName}`, async () => {
      const written = modelOf((builder, x) => half(builder, x, gate(builder, x)));
      const found = recognizeOperators(written);
      assert.deepEqual(operatorCounts(found), { Gelu: 1 });
      await assertEqualResults(written, found);
    });

interface Written {
  readonly axis: number;
  readonly keeps: number;
  readonly gain: readonly number[];
  readonly square: (builder: GraphBuilder, centred: string) => string;
}

const byPower = (builder: GraphBuilder, x: string): string => builder.node('Pow', [x, builder.float32(2)]);
const plain: Written = { axis: -1, keeps: 1, gain: [8], square: byPower };

const normalized = (changes: Partial<Written> = {}): Model => {
  const { axis, keeps, gain: shape, square } = { ...plain, ...changes };
  return modelOf((builder, x) => {
    const [gain, bias] = [builder.input('gain', 'float32', shape), builder.input('bias', 'float32', shape)];
    const mean = (value: string): string =>
      builder.node('ReduceMean', [value, builder.int64s([axis])], { keepdims: int(keeps) });
    const centred = builder.node('Sub', [x, mean(x)]);
    const variance = builder.node('Add', [mean(square(builder, centred)), builder.float32(1e-5)]);
    const normal = builder.node('Div', [centred, builder.node('Sqrt', [variance])]);
    return builder.node('Add', [bias, builder.node('Mul', [normal, gain])]);
  });
};

for (const [name, changes] of Object.entries({
  'a power': {},
  'a product': { square: (builder: GraphBuilder, x: string) => builder.node('Mul', [x, x]) },
  'the last axis counted from the front': { axis: 2 },
}))
  test(`recognizeOperators finds LayerNormalization written with ${name}`, async () => {
    const written = normalized(changes);
    const found = recognizeOperators(written);
    assert.deepEqual(operatorCounts(found), { LayerNormalization: 1 });
    await assertEqualResults(written, found);
  });

for (const [name, changes] of Object.entries({
  'another axis': { axis: 1 },
  'a gain of another shape': { gain: [3, 8] },
}))
  test(`recognizeOperators leaves a normalization with ${name} as it is`, () => {
    const written = normalized(changes);
    assert.equal(recognizeOperators(written), written);
  });

test('recognizeOperators leaves an activation with another constant as it is', () => {
  const written = modelOf((builder, x) => {
    const gate = builder.node('Add', [builder.float32(1), builder.node('Erf', [x])]);
    return builder.node('Mul', [builder.float32(0.5), builder.node('Mul', [x, gate])]);
  });
  assert.equal(recognizeOperators(written), written);
});

test('recognizeOperators leaves double precision as it is, for which the operators have no kernel', () => {
  const written = modelOf((builder, x) => {
    const half = builder.node('Mul', [x, builder.float64(0.5)]);
    const erf = builder.node('Erf', [builder.node('Mul', [x, builder.float64(Math.SQRT1_2)])]);
    return builder.node('Mul', [half, builder.node('Add', [erf, builder.float64(1)])]);
  }, 'float64');
  assert.equal(recognizeOperators(written), written);
});

test('recognizeOperators keeps what something else reads of an expression', async () => {
  const written = modelOf((builder, x) => {
    const erf = builder.node('Erf', [builder.node('Mul', [x, builder.float32(Math.SQRT1_2)])]);
    const gate = builder.node('Add', [erf, builder.float32(1)]);
    const gelu = builder.node('Mul', [builder.node('Mul', [x, gate]), builder.float32(0.5)]);
    return builder.node('Sub', [gelu, erf]);
  });
  const found = recognizeOperators(written);
  assert.deepEqual(operatorCounts(found), { Mul: 1, Erf: 1, Gelu: 1, Sub: 1 });
  await assertEqualResults(written, found);
});

test('recognizeOperators leaves an expression to which a constant gives more dimensions', () => {
  const builder = createGraphBuilder('wider');
  const x = builder.input('x', 'float32', [4]);
  const constant = (name: string, value: number): string =>
    builder.initializer({ name, type: 'float32', shape: [1, 1], data: Float32Array.of(value) });
  const erf = builder.node('Erf', [builder.node('Mul', [x, constant('root', Math.SQRT1_2)])]);
  const gate = builder.node('Add', [erf, constant('one', 1)]);
  const gelu = builder.node('Mul', [builder.node('Mul', [x, gate]), constant('half', 0.5)]);
  builder.output(gelu, 'float32', [1, 4]);
  const written = builder.model();
  assert.equal(recognizeOperators(written), written);
});
