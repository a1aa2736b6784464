import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, float, int, ints, type Model } from '@murmuration/onnx';
import { mergeEqualNodes } from '../../src/passes/merge-equal-nodes.ts';

const operatorsOf = (model: Model): readonly string[] => model.graph.nodes.map(({ operator }) => operator);

test('mergeEqualNodes computes once what two chains compute alike', () => {
  const builder = createGraphBuilder('twice');
  const x = builder.input('x', 'float32', [2, 3]);
  const chain = (): string => builder.node('Exp', [builder.node('Transpose', [x], { perm: ints([1, 0]) })]);
  builder.node('Add', [chain(), chain()], {}, 'y');
  builder.output('y', 'float32', [3, 2]);
  const { graph } = mergeEqualNodes(builder.model(), []);
  assert.deepEqual(
    graph.nodes.map(({ operator }) => operator),
    ['Transpose', 'Exp', 'Add'],
  );
  const sum = graph.nodes.at(-1);
  assert.equal(sum?.inputs[0], sum?.inputs[1]);
});

test('mergeEqualNodes keeps nodes apart that differ in an attribute, an input or what they leave out', () => {
  const builder = createGraphBuilder('different');
  const x = builder.input('x', 'float32', [2, 2]);
  const y = builder.input('y', 'float32', [2, 2]);
  const parts = [
    builder.node('Softmax', [x], { axis: int(0) }),
    builder.node('Softmax', [x], { axis: int(1) }),
    builder.node('Softmax', [y], { axis: int(1) }),
    builder.nodes('Split', [x], ['half', ''], { num_outputs: int(2) })[0] as string,
    builder.nodes('Split', [x], ['half', 'other'], { num_outputs: int(2) })[1] as string,
  ];
  builder.node('Concat', parts, { axis: int(0) }, 'z');
  builder.output('z', 'float32');
  assert.equal(mergeEqualNodes(builder.model(), []).graph.nodes.length, 6);
});

test('mergeEqualNodes keeps the nodes of graph outputs and of random values', () => {
  const builder = createGraphBuilder('kept');
  const x = builder.input('x', 'float32', [2]);
  builder.node('Exp', [x], {}, 'first');
  builder.node('Exp', [x], {}, 'second');
  const noise = [builder.node('RandomNormalLike', [x]), builder.node('RandomNormalLike', [x])];
  builder.node('Sub', noise, {}, 'third');
  for (const name of ['first', 'second', 'third']) builder.output(name, 'float32', [2]);
  assert.deepEqual(operatorsOf(mergeEqualNodes(builder.model(), [])), [
    'Exp',
    'Exp',
    'RandomNormalLike',
    'RandomNormalLike',
    'Sub',
  ]);
});

test('mergeEqualNodes takes integer constants of equal elements and shape for one, floats only if single', () => {
  const builder = createGraphBuilder('constants');
  const x = builder.input('x', 'float32', [2, 2]);
  const shape = (name: string, dimensions: readonly number[]): string =>
    builder.initializer({ name, type: 'int64', shape: dimensions, data: BigInt64Array.of(4n) });
  const parts = [shape('a', [1]), shape('b', [1])].map((name) => builder.node('Reshape', [x, name]));
  const weights = ['v', 'w'].map((name) =>
    builder.initializer({ name, type: 'float32', shape: [4], data: Float32Array.of(1, 2, 3, 4) }),
  );
  const products = parts.map((part, index) => builder.node('Mul', [part, weights[index] as string]));
  builder.node('Add', products, {}, 'y');
  builder.output('y', 'float32', [4]);
  const { graph } = mergeEqualNodes(builder.model(), []);
  assert.deepEqual(
    graph.nodes.map(({ operator }) => operator),
    ['Reshape', 'Mul', 'Mul', 'Add'],
  );
  assert.deepEqual(
    graph.initializers.map(({ name }) => name),
    ['a', 'v', 'w'],
  );
});

test('mergeEqualNodes keeps single numbers apart that are parameters or inputs', () => {
  const builder = createGraphBuilder('single');
  for (const name of ['v', 'w', 'overridable', 'constant', 'same'])
    builder.initializer({ name, type: 'float32', shape: [1], data: Float32Array.of(1) });
  const names = ['v', 'w', 'overridable', 'constant', 'same'];
  builder.output(builder.node('Sum', names), 'float32', [1]);
  const { graph, ...rest } = builder.model();
  const inputs = [{ name: 'overridable', type: 'float32', shape: [1] }] as const;
  const merged = mergeEqualNodes({ ...rest, graph: { ...graph, inputs } }, ['v', 'w']);
  assert.deepEqual(
    merged.graph.initializers.map(({ name }) => name),
    ['v', 'w', 'overridable', 'constant'],
  );
});

test('mergeEqualNodes tells apart zeros of either sign, infinities, and names with commas', () => {
  const builder = createGraphBuilder('alike');
  for (const name of ['a,b', 'c', 'a', 'b,c']) builder.input(name, 'float32', [1]);
  for (const [name, value] of [
    ['zero', 0],
    ['minusZero', -0],
  ] as const)
    builder.initializer({ name, type: 'float32', shape: [1], data: Float32Array.of(value) });
  const parts = [
    builder.node('Div', ['c', 'zero']),
    builder.node('Div', ['c', 'minusZero']),
    builder.node('LeakyRelu', ['c'], { alpha: float(Number.POSITIVE_INFINITY) }),
    builder.node('LeakyRelu', ['c'], { alpha: float(Number.NEGATIVE_INFINITY) }),
    builder.node('Add', ['a,b', 'c']),
    builder.node('Add', ['a', 'b,c']),
  ];
  builder.output(builder.node('Concat', parts, { axis: int(0) }), 'float32', [6]);
  assert.equal(mergeEqualNodes(builder.model(), []).graph.nodes.length, 7);
});
