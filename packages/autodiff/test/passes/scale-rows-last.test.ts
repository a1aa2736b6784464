import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Attributes, createGraphBuilder, type GraphBuilder, int, type Model } from '@murmuration/onnx';
import { checkGradients, differentiate } from '../../src/index.ts';
import { runModel, tensor } from '../run-model.ts';
import { operatorCounts, randomFeeds } from './equal-results.ts';

const [rows, width, classes] = [5, 4, 7];

/** Mean negative log-likelihood of fixed targets by scores made of x and w. */
function lossOf(weightShape: readonly number[], scores: (builder: GraphBuilder) => string): Model {
  const builder = createGraphBuilder('loss');
  builder.input('x', 'float32', [rows, width]);
  builder.input('w', 'float32', weightShape);
  const targets = builder.initializer({ ...tensor([rows, 1], [3, 0, 6, 2, 2], 'int64'), name: 'targets' });
  const logarithms = builder.node('LogSoftmax', [scores(builder)], { axis: int(-1) });
  const chosen = builder.node('GatherElements', [logarithms, targets], { axis: int(1) });
  builder.node('Neg', [builder.node('ReduceMean', [chosen], { keepdims: int(0) })], {}, 'loss');
  builder.output('loss', 'float32', []);
  return builder.model();
}

const request = { loss: 'loss', parameters: ['x', 'w'] };

interface Case {
  readonly weightShape: readonly number[];
  readonly operator: string;
  readonly attributes: Attributes;
}

const cases: Readonly<Record<string, Case>> = {
  Gemm: { weightShape: [width, classes], operator: 'Gemm', attributes: {} },
  'Gemm with a transposed weight': {
    ...{ weightShape: [classes, width], operator: 'Gemm' },
    attributes: { transB: int(1) },
  },
  MatMul: { weightShape: [width, classes], operator: 'MatMul', attributes: {} },
};

for (const [name, { weightShape, operator, attributes }] of Object.entries(cases))
  test(`scaleRowsLast makes a cross-entropy's gradient in one copy behind ${name}`, async () => {
    const model = lossOf(weightShape, (builder) => builder.node(operator, ['x', 'w'], attributes));
    const counts = operatorCounts(differentiate(model, request));
    assert.equal(counts.Softmax, 1);
    assert.equal(counts.Exp, undefined);
    await checkGradients(model, randomFeeds(model, name), { ...request, run: runModel });
  });

test('scaleRowsLast leaves a gradient that something else than a product reads', async () => {
  const model = lossOf([width, classes], (builder) => {
    const bias = builder.input('bias', 'float32', [classes]);
    return builder.node('Add', [builder.node('MatMul', ['x', 'w']), bias]);
  });
  const parameters = ['x', 'w', 'bias'];
  assert.equal(operatorCounts(differentiate(model, { loss: 'loss', parameters })).Exp, 1);
  await checkGradients(model, randomFeeds(model, 'bias'), { loss: 'loss', parameters, run: runModel });
});
