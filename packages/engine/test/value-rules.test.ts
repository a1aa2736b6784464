import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLayout, type ParameterLayout } from '@murmuration/base';
import { createGraphBuilder, int } from '@murmuration/onnx';
import { type ValueRules, valueRulesOf } from '../src/value-rules.ts';

/** Tokens as rows of two tables, after a change of shape; positions along another axis; a float, and targets. */
function rules(classes?: object): ValueRules {
  const graph = createGraphBuilder('rows');
  const tokens = graph.input('tokens', 'int32', ['n', 4]);
  const ids = graph.node('Cast', [graph.node('Reshape', [tokens, graph.int64s([-1])])], { to: int(7) });
  const slots = [
    { name: 'large', shape: [50, 8] },
    { name: 'small', shape: [40, 8] },
  ];
  for (const { name, shape } of slots) graph.node('Gather', [graph.input(name, 'float32', shape), ids]);
  graph.node('Gather', ['large', graph.input('columns', 'int64', ['n'])], { axis: int(1) });
  graph.node('Gather', ['large', graph.node('Abs', [graph.input('shifted', 'int64', ['n'])])]);
  graph.input('image', 'float32', ['n', 3]);
  graph.input('targets', 'int64', ['n']);
  const model = graph.model(classes && { 'murmuration.classes': JSON.stringify(classes) });
  const inputs = model.graph.inputs.filter(({ name }) => !slots.some((slot) => slot.name === name));
  const [layout, frozen] = slots.map((slot) => createLayout([slot])) as [ParameterLayout, ParameterLayout];
  return valueRulesOf({ model, inputs, layout, frozen });
}

const firstWrong = (of: ValueRules, input: string, values: readonly number[]): number | undefined =>
  of.get(input)?.firstWrong(BigInt64Array.from(values, BigInt), 0, values.length);

test('valueRulesOf wants what picks rows of a weight to be rows of the smallest table, from 0 on', () => {
  const found = rules();
  assert.equal(found.get('tokens')?.expected, '0 to 39 for the 40 rows of small');
  assert.equal(firstWrong(found, 'tokens', [0, 39]), -1);
  assert.equal(firstWrong(found, 'tokens', [0, 40, -1]), 1);
  assert.equal(firstWrong(found, 'tokens', [0, 1, -1]), 2);
});

test('valueRulesOf says nothing of integers that pick no row, or not as they are', () => {
  const found = rules();
  assert.deepEqual(
    ['columns', 'shifted', 'targets'].map((input) => found.get(input)),
    [undefined, undefined, undefined],
  );
});

test('valueRulesOf wants floats to be finite', () => {
  const image = rules().get('image');
  const values = Float32Array.of(1, Number.NaN, Number.POSITIVE_INFINITY);
  assert.deepEqual(
    [0, 1, 2].map((start) => image?.firstWrong(values, start, start + 1)),
    [-1, 1, 2],
  );
});

test('valueRulesOf wants targets to be classes, or the one that does not count', () => {
  const found = rules({ count: 4, ignore: -100 });
  assert.match(found.get('targets')?.expected ?? '', /^classes from 0 to 3, or -100/);
  assert.equal(firstWrong(found, 'targets', [0, 3, -100]), -1);
  for (const wrong of [4, -1]) assert.equal(firstWrong(found, 'targets', [3, wrong]), 1);
  assert.equal(firstWrong(rules({ count: 4 }), 'targets', [-100]), 0);
});
