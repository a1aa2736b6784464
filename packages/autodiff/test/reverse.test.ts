import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createGraphBuilder,
  type Graph,
  type GraphBuilder,
  graphAttribute,
  int,
  type Model,
} from '@murmuration/onnx';
import { AutodiffError, differentiate } from '../src/index.ts';
import { runModel, tensor } from './run-model.ts';

/** Σ f(a, b) over inputs of shape [2, 3]. */
function modelOf(value: (builder: GraphBuilder, a: string, b: string) => string): Model {
  const builder = createGraphBuilder('small');
  const a = builder.input('a', 'float32', [2, 3]);
  const b = builder.input('b', 'float32', [2, 3]);
  builder.node('ReduceSum', [value(builder, a, b)], { keepdims: int(0) }, 'loss');
  builder.output('loss', 'float32', []);
  return builder.model();
}

const request = { loss: 'loss', parameters: ['a', 'b'] };

const refused = (code: AutodiffError['code'], text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof AutodiffError);
  assert.equal(error.code, code);
  assert.match(error.message, text);
  return true;
};

/** A graph without inputs that gives `operator` of a value outside. */
const branch = (operator: string, outside: string): Graph => ({
  name: operator,
  nodes: [{ name: operator, operator, domain: '', inputs: [outside], outputs: [operator], attributes: {} }],
  inputs: [],
  outputs: [{ name: operator, type: 'float32' }],
  initializers: [],
});

function chosenBy(condition: (builder: GraphBuilder) => string): Model {
  return modelOf((builder, a, b) => {
    const chosen = builder.node('If', [condition(builder)], {
      then_branch: graphAttribute(branch('Exp', a)),
      else_branch: graphAttribute(branch('Neg', a)),
    });
    return builder.node('Mul', [chosen, b]);
  });
}

test('differentiate refuses a branch that is known only at run time', () => {
  const model = chosenBy((builder) => builder.input('condition', 'bool', []));
  assert.throws(() => differentiate(model, request), refused('unsupported', /If.*constant branches/));
});

test('differentiate takes the branch of a constant condition', async () => {
  const model = chosenBy((builder) => builder.initializer({ ...tensor([], [0], 'bool'), name: 'no' }));
  const [a, b] = [tensor([2, 3], [1, 2, 3, 4, 5, 6]), tensor([2, 3], [6, 5, 4, 3, 2, 1])];
  const outputs = await runModel(differentiate(model, request), { a, b });
  assert.deepEqual([...(outputs['gradient:a'] ?? [])], [-6, -5, -4, -3, -2, -1]);
});

test('differentiate does not look into a branch that no gradient passes', () => {
  const model = modelOf((builder, a, b) => {
    const chosen = builder.node('If', [builder.input('condition', 'bool', [])], {
      then_branch: graphAttribute(branch('Floor', 'other')),
      else_branch: graphAttribute(branch('Neg', 'other')),
    });
    return builder.node('Mul', [builder.node('Mul', [a, b]), chosen]);
  });
  const other = { name: 'other', type: 'float32' as const, shape: [2, 3] };
  const open = { ...model, graph: { ...model.graph, inputs: [other, ...model.graph.inputs] } };
  assert.equal(differentiate(open, request).graph.outputs.length, 3);
});

test('differentiate refuses half precision on the path of a gradient', () => {
  const float16 = 10;
  const model = modelOf((builder, a, b) => {
    const half = builder.node('Cast', [a], { to: int(float16) }, 'half');
    return builder.node('Mul', [builder.node('Cast', [half], { to: int(1) }), b]);
  });
  assert.throws(() => differentiate(model, request), refused('unsupported', /half.*float16/));
  const builder = createGraphBuilder('half');
  const x = builder.input('a', 'float16', [3]);
  builder.node('ReduceSum', [x], { keepdims: int(0) }, 'loss');
  builder.output('loss', 'float16', []);
  assert.throws(
    () => differentiate(builder.model(), { loss: 'loss', parameters: ['a'] }),
    refused('bad-request', /float16/),
  );
});

test('differentiate computes a product once where its gradient goes to two values', async () => {
  const builder = createGraphBuilder('skip');
  const a = builder.input('a', 'float32', [2, 2]);
  const b = builder.input('b', 'float32', [2, 2]);
  const w = builder.initializer({ ...tensor([2, 2], [1, 2, 3, 4]), name: 'w' });
  const sum = builder.node('Add', [builder.node('Exp', [a]), builder.node('Add', [a, b])]);
  builder.node('ReduceSum', [builder.node('Gemm', [sum, w])], { keepdims: int(0) }, 'loss');
  builder.output('loss', 'float32', []);
  const training = differentiate(builder.model(), request);
  const products = training.graph.nodes.filter(({ operator }) => operator === 'Gemm');
  assert.equal(products.length, 2);
  const [ones, zeros] = [tensor([2, 2], [1, 1, 1, 1]), tensor([2, 2], [0, 0, 0, 0])];
  const outputs = await runModel(training, { a: zeros, b: ones });
  assert.deepEqual([...(outputs['gradient:a'] ?? [])], [6, 14, 6, 14]);
  assert.deepEqual([...(outputs['gradient:b'] ?? [])], [3, 7, 3, 7]);
});

test('differentiate adds rows of an embedding to the gradient of the head that shares its table', async () => {
  const builder = createGraphBuilder('tied');
  const table = builder.input('a', 'float32', [3, 2]);
  const rows = builder.node('Gather', [table, builder.int64s([2, 0, 2])]);
  const scores = builder.node('Gemm', [rows, table], { transB: int(1) });
  builder.node('ReduceSum', [scores], { keepdims: int(0) }, 'loss');
  builder.output('loss', 'float32', []);
  const training = differentiate(builder.model(), { loss: 'loss', parameters: ['a'] });
  const operators = training.graph.nodes.map(({ operator }) => operator);
  assert.ok(operators.includes('ScatterND'));
  assert.ok(!operators.includes('Add') && !operators.includes('ConstantOfShape'), operators.join());
  const outputs = await runModel(training, { a: tensor([3, 2], [1, 2, 3, 4, 5, 6]) });
  assert.deepEqual([...(outputs['gradient:a'] ?? [])], [20, 26, 11, 14, 29, 38]);
});

test('differentiate of a chain of many nodes takes time in proportion', { timeout: 20_000 }, () => {
  const chain = (length: number): Model =>
    modelOf((builder, a, b) => {
      let value = builder.node('Add', [a, b]);
      for (let index = 0; index < length; index++) value = builder.node('Tanh', [value]);
      return value;
    });
  const { graph } = differentiate(chain(5000), request);
  assert.ok(graph.nodes.length > 20_000);
});
