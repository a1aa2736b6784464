import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FactError } from '@murmuration/base';
import {
  checkModel,
  createGraphBuilder,
  float32Tensor,
  type GraphBuilder,
  gpt,
  int,
  type Model,
  parametersOf,
  readModel,
  writeModel,
} from '@murmuration/onnx';
import { AutodiffError, differentiate } from '../src/index.ts';
import { runModel, tensor } from './run-model.ts';

/** A model with inputs a and b of shape [2, 3] and a scalar loss. */
function modelOf(loss: (builder: GraphBuilder, a: string, b: string) => string): Model {
  const builder = createGraphBuilder('small');
  const a = builder.input('a', 'float32', [2, 3]);
  const b = builder.input('b', 'float32', [2, 3]);
  const value = loss(builder, a, b);
  builder.node('ReduceSum', [value], { keepdims: int(0) }, 'loss');
  builder.output('loss', 'float32', []);
  return builder.model();
}

const feeds = { a: tensor([2, 3], [1, 2, 3, 4, 5, 6]), b: tensor([2, 3], [6, 5, 4, 3, 2, 1]) };
const request = { loss: 'loss', parameters: ['a', 'b'] };

const gradientsOf = async (model: Model) => {
  const outputs = await runModel(differentiate(model, request), feeds);
  return [[...(outputs['gradient:a'] ?? [])], [...(outputs['gradient:b'] ?? [])]];
};

test('differentiate sums what several readers of a value contribute', async () => {
  const model = modelOf((builder, a, b) => {
    const product = builder.node('Mul', [a, b]);
    return builder.node('Add', [builder.node('Mul', [product, a]), a]);
  });
  const [byA, byB] = await gradientsOf(model);
  assert.deepEqual(byA, [13, 21, 25, 25, 21, 13]);
  assert.deepEqual(byB, [1, 4, 9, 16, 25, 36]);
});

test('differentiate gives one value as two outputs when two parameters have the same gradient', async () => {
  const model = modelOf((builder, a, b) => builder.node('Tanh', [builder.node('Add', [a, b])]));
  const [byA, byB] = await gradientsOf(model);
  assert.deepEqual(byA, byB);
});

test('differentiate adds matrix products to a sum in the product itself', () => {
  const builder = createGraphBuilder('shared');
  const x = builder.input('x', 'float32', [2, 3]);
  const [u, v] = ['u', 'v'].map((name) => builder.input(name, 'float32', [3, 3])) as [string, string];
  const sum = builder.node('Mul', [builder.node('Gemm', [x, u]), builder.node('Gemm', [x, v])]);
  builder.output(builder.node('ReduceSum', [sum], { keepdims: int(0) }, 'loss'), 'float32', []);
  const { graph } = differentiate(builder.model(), { loss: 'loss', parameters: ['x'] });
  assert.equal(graph.nodes.filter(({ operator }) => operator === 'Add').length, 0);
  const last = graph.nodes.find(({ outputs }) => outputs.includes('gradient:x'));
  assert.equal(last?.inputs.length, 3);
});

test('differentiate of a parameter that is an initializer gives its gradient', async () => {
  const builder = createGraphBuilder('constant');
  const x = builder.input('a', 'float32', [2, 3]);
  const w = builder.initializer({ ...tensor([3], [1, 2, 3]), name: 'w' });
  builder.output(
    builder.node('ReduceSum', [builder.node('Mul', [x, w])], { keepdims: int(0) }, 'loss'),
    'float32',
    [],
  );
  const outputs = await runModel(differentiate(builder.model(), { loss: 'loss', parameters: ['w'] }), feeds);
  assert.deepEqual([...(outputs['gradient:w'] ?? [])], [5, 7, 9]);
});

test('differentiate works in double precision', async () => {
  const builder = createGraphBuilder('double');
  const x = builder.input('x', 'float64', [3]);
  builder.output(
    builder.node('ReduceMean', [builder.node('Sqrt', [x])], { keepdims: int(0) }, 'loss'),
    'float64',
    [],
  );
  const training = differentiate(builder.model(), { loss: 'loss', parameters: ['x'] });
  const outputs = await runModel(training, { x: tensor([3], [1, 4, 9], 'float64') });
  const expected = [1 / 6, 1 / 12, 1 / 18];
  outputs['gradient:x']?.forEach((value, index) => {
    assert.ok(Math.abs(value - (expected[index] as number)) < 1e-15);
  });
});

test('differentiate carries a gradient through a cast to another precision, and not through integers', async () => {
  const castTo = (builder: GraphBuilder, value: string, type: number) =>
    builder.node('Cast', [value], { to: int(type) });
  const [float32, int64, float64] = [1, 7, 11];
  const model = modelOf((builder, a, b) => {
    const square = builder.node('Mul', [castTo(builder, a, float64), castTo(builder, a, float64)]);
    return builder.node('Mul', [castTo(builder, square, float32), b]);
  });
  const [byA, byB] = await gradientsOf(model);
  assert.deepEqual(byA, [12, 20, 24, 24, 20, 12]);
  assert.deepEqual(byB, [1, 4, 9, 16, 25, 36]);
  const rounded = modelOf((builder, a, b) =>
    builder.node('Mul', [castTo(builder, castTo(builder, a, int64), float32), b]),
  );
  assert.throws(() => differentiate(rounded, request), refused('no-path', /parameter a/));
});

test('differentiate of a product is right where one factor or two are zero', async () => {
  const model = modelOf((builder, a, b) => {
    const product = builder.node('ReduceProd', [a, builder.int64s([1])], { keepdims: int(0) });
    return builder.node('Add', [builder.node('Unsqueeze', [product, builder.int64s([1])]), b]);
  });
  const rows = { ...feeds, a: tensor([2, 3], [2, 0, 3, 0, 5, 0]) };
  const outputs = await runModel(differentiate(model, request), rows);
  assert.deepEqual([...(outputs['gradient:a'] ?? [])], [0, 18, 0, 0, 0, 0]);
});

const refused = (code: AutodiffError['code'], text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof AutodiffError);
  assert.equal(error.code, code);
  assert.match(error.message, text);
  return true;
};

test('differentiate names operator, node and path when a rule is missing', () => {
  const model = modelOf((builder, a) =>
    builder.node('Mul', [builder.node('Riddle', [a], {}, 'odd'), a], {}, 'product'),
  );
  assert.throws(
    () => differentiate(model, { loss: 'loss', parameters: ['a'] }),
    (error) => {
      refused(
        'no-rule',
        /node "odd" \(Riddle\) has no gradient rule.* Riddle odd → Mul product → ReduceSum loss → loss/,
      )(error);
      const { facts } = error as AutodiffError;
      assert.deepEqual(
        [facts.operator, facts.node, facts.path],
        ['Riddle', 'odd', ['Riddle odd', 'Mul product', 'ReduceSum loss', 'loss']],
      );
      return true;
    },
  );
});

test('differentiate says of an unnamed node what it makes', () => {
  const model = modelOf((builder, a) => builder.node('Riddle', [a], {}, 'odd'));
  const nodes = model.graph.nodes.map((node) => ({ ...node, name: '' }));
  const unnamed = { ...model, graph: { ...model.graph, nodes } };
  assert.throws(
    () => differentiate(unnamed, request),
    refused('no-rule', /^an unnamed Riddle that makes "odd" has no gradient rule.* Riddle odd → /),
  );
});

test('differentiate does not take a foreign operator for one of its own name', () => {
  const model = modelOf((builder, a, b) => builder.node('Add', [a, b], {}, 'foreign'));
  const nodes = model.graph.nodes.map((node) =>
    node.name === 'foreign' ? { ...node, domain: 'org.example' } : node,
  );
  const foreign = { ...model, graph: { ...model.graph, nodes } };
  assert.throws(() => differentiate(foreign, request), refused('no-rule', /foreign/));
});

test('differentiate refuses a parameter that the loss does not depend on', () => {
  const unused = modelOf((builder, a) => builder.node('Exp', [a]));
  assert.throws(() => differentiate(unused, request), refused('no-path', /parameter b/));
  const jump = modelOf((builder, a, b) => builder.node('Add', [builder.node('Floor', [a]), b]));
  assert.throws(() => differentiate(jump, request), refused('no-path', /parameter a/));
});

test('differentiate refuses what is no request', () => {
  const model = modelOf((builder, a, b) => builder.node('Add', [a, b], {}, 'sum'));
  assert.throws(() => differentiate(model, { ...request, loss: 'lost' }), refused('bad-request', /lost/));
  assert.throws(() => differentiate(model, { ...request, loss: 'sum' }), refused('bad-request', /scalar/));
  assert.throws(
    () => differentiate(model, { loss: 'loss', parameters: ['c'] }),
    refused('bad-request', /parameter c/),
  );
  assert.throws(
    () => differentiate(model, { loss: 'loss', parameters: ['a', 'a'] }),
    refused('bad-request', /once/),
  );
});

test('differentiate finds out at run time how symbolic sizes broadcast', async () => {
  const builder = createGraphBuilder('vague');
  const a = builder.input('a', 'float32', ['n', 'k']);
  const b = builder.input('b', 'float32', ['m']);
  builder.output(
    builder.node('ReduceSum', [builder.node('Mul', [a, b])], { keepdims: int(0) }, 'loss'),
    'float32',
    [],
  );
  const training = differentiate(builder.model(), request);
  const gradients = async (aShape: readonly number[], a: readonly number[], b: readonly number[]) => {
    const outputs = await runModel(training, { a: tensor(aShape, a), b: tensor([b.length], b) });
    return [[...(outputs['gradient:a'] ?? [])], [...(outputs['gradient:b'] ?? [])]];
  };
  assert.deepEqual(await gradients([2, 3], [1, 2, 3, 4, 5, 6], [7, 8, 9]), [
    [7, 8, 9, 7, 8, 9],
    [5, 7, 9],
  ]);
  assert.deepEqual(await gradients([2, 1], [1, 2], [7, 8, 9]), [
    [24, 24],
    [3, 3, 3],
  ]);
  assert.deepEqual(await gradients([2, 3], [1, 2, 3, 4, 5, 6], [7]), [[7, 7, 7, 7, 7, 7], [21]]);
});

test('differentiate ends in a model or a typed error on a graph with one flipped bit', () => {
  const whole = writeModel(gpt({ vocabulary: 5, context: 4, width: 4, layers: 1, heads: 2 }));
  const codes = new Map<string, number>();
  for (let index = 0; index < whole.length; index += 3) {
    const flipped = whole.slice();
    flipped[index] = (flipped[index] as number) ^ (1 << (index % 7));
    let outcome = 'model';
    try {
      const model = readModel(flipped);
      checkModel(model);
      differentiate(model, { loss: 'loss', parameters: parametersOf(model).map(({ name }) => name) });
    } catch (error) {
      if (!(error instanceof FactError)) throw error;
      outcome = `${error.name} ${error.code}`;
    }
    codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
  }
  assert.ok((codes.get('model') ?? 0) > 0);
  assert.ok(codes.size > 4, [...codes.keys()].join());
});

test('differentiate refuses a graph that has the name of a gradient already', () => {
  const taken = modelOf((builder, a, b) => builder.node('Mul', [a, b], {}, 'gradient:b'));
  assert.throws(() => differentiate(taken, request), { code: 'bad-request' });
});

test('differentiate knows no rule for an operator that is named like what every object has', () => {
  const named = modelOf((builder, a, b) => builder.node('Add', [builder.node('constructor', [a]), b]));
  assert.throws(() => differentiate(named, request), { code: 'no-rule' });
});

test('differentiate keeps parameters apart that begin with the same number', async () => {
  const builder = createGraphBuilder('numbers');
  for (const name of ['a', 'b']) builder.initializer(float32Tensor(name, [1]));
  const product = builder.node('Mul', [builder.input('x', 'float32', [3]), 'a']);
  builder.node(
    'ReduceSum',
    [builder.node('Mul', [product, builder.node('Exp', ['b'])])],
    { keepdims: int(0) },
    'loss',
  );
  builder.output('loss', 'float32', []);
  const { graph } = differentiate(builder.model(), request);
  const names = graph.initializers.map(({ name }) => name);
  assert.ok(names.includes('a') && names.includes('b'), names.join());
});
