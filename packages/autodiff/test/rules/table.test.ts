import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gradientRules, withoutGradient } from '../../src/index.ts';
import { cases } from './cases.ts';
import { caseName, checkCase } from './rule-case.ts';

/** Operators of which onnxruntime has kernels in double precision, where central differences are much more exact. */
const inDouble: ReadonlySet<string> = new Set([
  ...['Abs', 'Add', 'CastLike', 'CenterCropPad', 'Clip', 'Compress', 'Concat', 'Cos', 'CumSum', 'Div'],
  ...['Dropout', 'Einsum', 'Exp', 'Expand', 'Flatten', 'FusedMatMul', 'Gather', 'GatherElements', 'GatherND'],
  ...[
    'Gemm',
    'Identity',
    'LayerNormalization',
    'Log',
    'LogSoftmax',
    'LpNormalization',
    'MatMul',
    'Max',
    'Min',
  ],
  ...['Mod', 'Mul', 'Neg', 'NegativeLogLikelihoodLoss', 'Pad', 'Pow', 'Reciprocal', 'ReduceL1', 'ReduceL2'],
  ...['ReduceLogSum', 'ReduceLogSumExp', 'ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceProd', 'ReduceSum'],
  ...['ReduceSumSquare', 'Relu', 'Reshape', 'ReverseSequence', 'ScatterElements', 'ScatterND', 'Sigmoid'],
  ...['Sin', 'Slice', 'Softmax', 'SoftmaxCrossEntropyLoss', 'Split', 'Sqrt', 'Squeeze', 'Sub', 'Sum', 'Tanh'],
  ...['Tile', 'TopK', 'Transpose', 'Trilu', 'Unsqueeze', 'Where'],
]);

for (const rule of cases) {
  test(`gradient of ${caseName(rule)} equals central differences`, async () => {
    const checked = await checkCase(rule, { shapes: 'static' });
    assert.equal(
      checked.length,
      rule.inputs.filter((input) => input !== 'absent' && 'shape' in input).length,
    );
  });
  if (inDouble.has(rule.operator))
    test(`gradient of ${caseName(rule)} in double precision equals central differences`, async () => {
      await checkCase(rule, { shapes: 'static', type: 'float64' });
    });
  if (rule.onlyStatic) continue;
  test(`gradient of ${caseName(rule)} with symbolic dimensions equals central differences`, async () => {
    await checkCase(rule, { shapes: 'symbolic' });
  });
}

test('gradientRules has a case for every operator', () => {
  const tested = new Set(cases.map(({ operator }) => operator));
  assert.deepEqual(
    Object.keys(gradientRules).filter((operator) => !tested.has(operator)),
    [],
  );
});

test('gradientRules has every reduction of ONNX', () => {
  const kinds = ['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'SumSquare', 'LogSum', 'LogSumExp'];
  assert.deepEqual(
    Object.keys(gradientRules)
      .filter((operator) => operator.startsWith('Reduce'))
      .sort(),
    kinds.map((kind) => `Reduce${kind}`).sort(),
  );
});

test('withoutGradient and gradientRules share no operator', () => {
  assert.deepEqual(
    Object.keys(gradientRules).filter((operator) => withoutGradient.has(operator)),
    [],
  );
});
