import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Attributes,
  createGraphBuilder,
  graphAttribute,
  int,
  ints,
  type Model,
  simplifyModel,
  upgradeModel,
  withRunnableOpset,
  writeModel,
} from '../src/index.ts';
import { changes } from '../src/upgrade/table.ts';
import { runModel, tensor } from './run-model.ts';

type Sizes = readonly (readonly number[])[];

const operators: Readonly<Record<string, readonly [Sizes, Attributes?]>> = {
  Bernoulli: [[[3]]],
  GlobalLpPool: [[[1, 2, 4, 4]]],
  MaxRoiPool: [
    [
      [1, 2, 8, 8],
      [1, 5],
    ],
    { pooled_shape: ints([2, 2]) },
  ],
  Multinomial: [[[2, 3]], { sample_size: int(4) }],
  RandomNormal: [[], { shape: ints([2]) }],
  RandomNormalLike: [[[3]]],
  RandomUniform: [[], { shape: ints([2]) }],
  RandomUniformLike: [[[3]]],
};

function modelOf(operator: string, extra?: string): Model {
  const builder = createGraphBuilder('one');
  const [inputs, attributes = {}] = operators[operator] ?? [[]];
  const names = inputs.map((shape, index) => builder.input(`input${index}`, 'float32', shape));
  const output = builder.node(operator, names, attributes);
  builder.output(output, operator === 'Multinomial' ? 'int32' : 'float32');
  if (extra) builder.output(builder.node(extra, ['input0', 'input0']), 'float32');
  return { ...builder.model(), irVersion: 11, opsets: { '': 23 } };
}

for (const [operator, [inputs]] of Object.entries(operators))
  test(`upgradeModel gives ${operator} the label with which onnxruntime runs it`, async () => {
    const model = modelOf(operator);
    const feeds = Object.fromEntries(
      inputs.map((shape, index) => {
        const count = shape.reduce((product, size) => product * size, 1);
        return [
          `input${index}`,
          tensor(
            shape,
            Array.from({ length: count }, () => 0.5),
          ),
        ];
      }),
    );
    await assert.rejects(runModel(model, feeds), /implementation/);
    const upgraded = upgradeModel(model);
    assert.equal(upgraded.opsets[''], 21);
    assert.equal(upgradeModel(upgraded), upgraded);
    assert.deepEqual(simplifyModel(upgraded).opsets, { '': 21 });
    await runModel(upgraded, feeds);
  });

test('withRunnableOpset takes back the label when the operator is gone', () => {
  const model = modelOf('RandomNormalLike');
  const bare = { ...upgradeModel(model), graph: { ...model.graph, nodes: [] } };
  assert.equal(withRunnableOpset(bare).opsets[''], 23);
});

test('withRunnableOpset stays with the opset that a newer operator needs', () => {
  assert.equal(withRunnableOpset(modelOf('RandomNormalLike', 'RMSNormalization')).opsets[''], 23);
});

test('withRunnableOpset looks into nested graphs', () => {
  const builder = createGraphBuilder('nested');
  const x = builder.input('x', 'float32', [3]);
  const branch = (name: string) => {
    const body = builder.subgraph(name);
    body.output(body.node('RandomUniformLike', [x], {}, name), 'float32');
    return graphAttribute(body.graph());
  };
  const condition = builder.input('condition', 'bool', []);
  const branches = { then_branch: branch('yes'), else_branch: branch('no') };
  builder.output(builder.node('If', [condition], branches), 'float32');
  const upgraded = upgradeModel(builder.model());
  assert.equal(upgraded.opsets[''], 21);
  assert.ok(writeModel(upgraded).length > 0);
});

test('upgradeModel has no changes of the opsets between which labels move', () => {
  const newest = Math.max(...Object.values(changes).flatMap((list) => list.map(({ since }) => since)));
  assert.ok(newest <= 21, `${newest}`);
});
