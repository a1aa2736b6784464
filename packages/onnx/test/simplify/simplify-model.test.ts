import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Attributes,
  allNodes,
  checkModel,
  createGraphBuilder,
  float,
  floats,
  type GraphBuilder,
  gpt,
  graphAttribute,
  int,
  ints,
  type Model,
  parametersOf,
  simplifyModel,
  subgraphsOf,
  type Tensor,
  tensorAttribute,
} from '../../src/index.ts';
import { assertClose, noise, runModel, tensor } from '../run-model.ts';
import { arbitraryGraph } from './arbitrary-graph.ts';

const operatorsOf = (model: Model): readonly string[] => model.graph.nodes.map(({ operator }) => operator);
const dataOf = (model: Model, name: string): unknown =>
  model.graph.initializers.find((each) => each.name === name)?.data;

/** Simplifies a graph of `x` (float32 [2, 3]) and checks that its outputs stay the same. */
async function simplified(write: (builder: GraphBuilder, x: string) => void): Promise<Model> {
  const builder = createGraphBuilder('test');
  const x = builder.input('x', 'float32', [2, 3]);
  write(builder, x);
  const model = { ...builder.model(), opsets: { '': 23 } };
  const simple = simplifyModel(model);
  checkModel(simple);
  assert.deepEqual(simplifyModel(simple), simple);
  assert.deepEqual(
    simple.graph.outputs.map(({ name }) => name),
    model.graph.outputs.map(({ name }) => name),
  );
  const feeds = { x: noise([2, 3], 'x') };
  assertClose(await runModel(simple, feeds), await runModel(model, feeds), 0);
  return simple;
}

/**
 * onnxruntime drops a Cast to the same type also where a body captures its output, and then misses that value when it
 * opens the model or runs it.
 */
const expectedOf = (model: Model, feeds: Readonly<Record<string, Tensor>>) =>
  runModel(model, feeds).catch((error: Error) => {
    fc.pre(!/Missing Input|ort_value\.h/.test(error.message));
    throw error;
  });

test('simplifyModel keeps what onnxruntime computes, bit for bit', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryGraph, fc.boolean(), fc.nat({ max: 3 }), async (model, flag, count) => {
      const feeds = {
        x: noise([2, 3], 'x'),
        flag: tensor([], [Number(flag)], 'bool'),
        count: tensor([], [count], 'int64'),
      };
      const simple = simplifyModel(model);
      checkModel(simple);
      assert.deepEqual(simplifyModel(simple), simple);
      assertClose(await runModel(simple, feeds), await expectedOf(model, feeds), 0);
    }),
    { numRuns: 300 },
  );
});

test('simplifyModel leaves no Constant, no If or Loop of constants, and no needless Identity', () => {
  fc.assert(
    fc.property(arbitraryGraph, (model) => {
      const simple = simplifyModel(model);
      const constants = new Set(simple.graph.initializers.map(({ name }) => name));
      const outputs = new Set(
        [simple.graph, ...allNodes(simple).flatMap(subgraphsOf)].flatMap((graph) =>
          graph.outputs.map(({ name }) => name),
        ),
      );
      for (const { operator, inputs, outputs: given } of allNodes(simple)) {
        assert.notEqual(operator, 'Constant');
        assert.ok(operator !== 'Identity' || outputs.has(given[0] ?? ''));
        assert.ok(!['If', 'Loop'].includes(operator) || !constants.has(inputs[0] ?? ''), operator);
      }
    }),
  );
});

test('simplifyModel keeps the parameters and the meaning of gpt', () => {
  const model = gpt({ vocabulary: 7, context: 6, width: 8, layers: 1, heads: 2 });
  const simple = simplifyModel(model);
  checkModel(simple);
  assert.deepEqual(parametersOf(simple), parametersOf(model));
  assert.deepEqual(simplifyModel(simple), simple);
});

test('simplifyModel turns every kind of Constant into an initializer', async () => {
  const kinds: readonly (readonly [Attributes, Tensor])[] = [
    [{ value: tensorAttribute(tensor([2], [1, 2], 'float64')) }, tensor([2], [1, 2], 'float64')],
    [{ value_float: float(0.5) }, tensor([], [0.5])],
    [{ value_floats: floats([1, 2, 3]) }, tensor([3], [1, 2, 3])],
    [{ value_int: int(7) }, tensor([], [7], 'int64')],
    [{ value_ints: ints([4, 5]) }, tensor([2], [4, 5], 'int64')],
  ];
  for (const [attributes, { data, shape, type }] of kinds) {
    const simple = await simplified((builder) => {
      builder.output(builder.node('Constant', [], attributes, 'y'), type, shape);
    });
    assert.deepEqual(operatorsOf(simple), []);
    assert.deepEqual(simple.graph.initializers, [{ name: 'y', type, shape, data }]);
  }
});

test('simplifyModel follows shapes as far as they are known', async () => {
  const simple = await simplified((builder, x) => {
    const rows = builder.node('Gather', [builder.node('Shape', [x]), builder.int64s([0])], { axis: int(0) });
    const target = builder.node('Concat', [rows, builder.int64s([-1])], { axis: int(0) });
    builder.output(builder.node('Reshape', [x, target], {}, 'y'), 'float32');
  });
  assert.deepEqual(operatorsOf(simple), ['Reshape']);
  assert.deepEqual(
    simple.graph.initializers.map(({ data }) => data),
    [BigInt64Array.of(2n, -1n)],
  );
});

test('simplifyModel follows signed remainders, and sizes in types that wrap, as onnxruntime does', async () => {
  const [uint8, int32, int64]: readonly Attributes[] = [2, 6, 7].map((to) => ({ to: int(to) }));
  await simplified((builder, x) => {
    const shape = builder.node('Shape', [x]);
    const sum = (value: number) => builder.node('Add', [shape, builder.int64s([value])]);
    const wrapped = (operator: string, values: readonly number[], type: Attributes | undefined) => {
      const inputs = values.map((value) => builder.node('Cast', [sum(value)], type));
      return builder.node('Cast', [builder.node(operator, inputs)], int64);
    };
    const outputs = [
      builder.node('Mod', [sum(-10), builder.int64s([3])], { fmod: int(1) }),
      builder.node('Mod', [sum(-10), builder.int64s([3])]),
      wrapped('Identity', [300], uint8),
      wrapped('Sub', [1, 3], uint8),
      wrapped('Mul', [2 ** 16, 2 ** 17], int32),
    ];
    for (const output of outputs) builder.output(output, 'int64', [2]);
  });
});

test('simplifyModel leaves symbolic dimensions in the graph', () => {
  const builder = createGraphBuilder('symbolic');
  const x = builder.input('x', 'float32', ['batch', 3]);
  builder.output(builder.node('Shape', [x], {}, 'all'), 'int64');
  builder.output(builder.node('Shape', [x], { start: int(1) }, 'last'), 'int64');
  const simple = simplifyModel(builder.model());
  assert.deepEqual(operatorsOf(simple), ['Shape']);
  assert.deepEqual(dataOf(simple, 'last'), BigInt64Array.of(3n));
});

test('simplifyModel computes nothing from float initializers, however small', async () => {
  const simple = await simplified((builder, x) => {
    const weight = builder.initializer(tensor([3], [1, 2, 3], 'float32', 'weight'));
    const scale = builder.initializer(tensor([], [2], 'float32', 'scale'));
    const product = builder.node('Mul', [weight, builder.node('Neg', [scale])]);
    builder.output(builder.node('Add', [x, product], {}, 'y'), 'float32');
  });
  assert.deepEqual(operatorsOf(simple), ['Neg', 'Mul', 'Add']);
  const spread = await simplified((builder, x) => {
    const token = builder.initializer(tensor([1, 3], [1, 2, 3], 'float32', 'token'));
    const tokens = builder.node('Expand', [token, builder.node('Shape', [x])]);
    builder.output(builder.node('Concat', [tokens, x], { axis: int(0) }, 'y'), 'float32');
  });
  assert.deepEqual(operatorsOf(spread), ['Expand', 'Concat']);
});

test('simplifyModel never merges float initializers: equal ones may be different parameters', async () => {
  const simple = await simplified((builder, x) => {
    const first = builder.initializer(tensor([1], [0], 'float32', 'first'));
    const second = builder.initializer(tensor([1], [0], 'float32', 'second'));
    builder.output(builder.node('Add', [builder.node('Mul', [x, first]), second], {}, 'y'), 'float32');
  });
  assert.deepEqual(
    simple.graph.initializers.map(({ name }) => name),
    ['first', 'second'],
  );
});

test('simplifyModel lets readers of a shared weight use the same initializer', async () => {
  const simple = await simplified((builder, x) => {
    const weight = builder.initializer(tensor([3], [1, 2, 3], 'float32', 'weight'));
    const other = builder.node('Identity', [weight], {}, 'other');
    const sum = builder.node('Add', [x, weight]);
    builder.output(builder.node('Identity', [builder.node('Mul', [sum, other])], {}, 'y'), 'float32');
    builder.output(builder.node('Identity', [weight], {}, 'z'), 'float32');
  });
  assert.deepEqual(
    simple.graph.nodes.map(({ operator, inputs, outputs }) => [operator, inputs.at(-1), outputs[0]]),
    [
      ['Add', 'weight', 'Add'],
      ['Mul', 'weight', 'y'],
      ['Identity', 'weight', 'z'],
    ],
  );
});

test('simplifyModel merges equal nodes, but not random ones', async () => {
  const simple = await simplified((builder, x) => {
    const twice = [1, 2].map(() => builder.node('Softmax', [x], { axis: int(1) }));
    builder.output(builder.node('Add', twice, {}, 'y'), 'float32');
  });
  assert.deepEqual(operatorsOf(simple), ['Softmax', 'Add']);
  const builder = createGraphBuilder('random');
  const x = builder.input('x', 'float32', [2]);
  const twice = [1, 2].map(() => builder.node('RandomNormalLike', [x]));
  builder.output(builder.node('Sub', twice, {}, 'y'), 'float32');
  assert.deepEqual(operatorsOf(simplifyModel(builder.model())), [
    'RandomNormalLike',
    'RandomNormalLike',
    'Sub',
  ]);
});

/** A loop of `rounds` rounds: state ← state · x + round, with every state stacked. */
function loop(builder: GraphBuilder, x: string, rounds: string, condition: string): readonly string[] {
  const body = builder.subgraph('body');
  const round = body.input('round', 'int64', []);
  const goes = body.input('goes', 'bool', []);
  const state = body.input('state', 'float32', [2, 3]);
  const goesOn = body.node('Identity', [goes]);
  const scaled = body.node('Mul', [state, x]);
  const next = body.node('Add', [scaled, body.node('Cast', [round], { to: int(1) })]);
  const row = body.node('ReduceSum', [next, body.int64s([1])], { keepdims: int(0) });
  body.output(goesOn, 'bool', []);
  body.output(next, 'float32', [2, 3]);
  body.output(row, 'float32', [2]);
  return builder.nodes('Loop', [rounds, condition, x], ['last', 'rows'], {
    body: graphAttribute(body.graph()),
  });
}

test('simplifyModel unrolls a loop whose number of rounds is constant', async () => {
  for (const condition of [true, false]) {
    const simple = await simplified((builder, x) => {
      const goes = builder.initializer({ name: 'true', type: 'bool', shape: [], data: Uint8Array.of(1) });
      for (const output of loop(builder, x, builder.int64(3), condition ? goes : ''))
        builder.output(output, 'float32');
    });
    assert.ok(!operatorsOf(simple).includes('Loop'));
    assert.equal(operatorsOf(simple).filter((operator) => operator === 'Mul').length, 3);
    assert.ok(!operatorsOf(simple).includes('Cast'));
  }
});

test('simplifyModel leaves a loop with too many rounds, or with a condition of its own', async () => {
  const many = createGraphBuilder('many');
  const x = many.input('x', 'float32', [2, 3]);
  for (const output of loop(many, x, many.int64(1e9), '')) many.output(output, 'float32');
  assert.deepEqual(operatorsOf(simplifyModel(many.model())), ['Loop']);
  const open = await simplified((builder, input) => {
    const small = builder.node('Less', [
      builder.node('ReduceMax', [input], { keepdims: int(0) }),
      builder.float32(9),
    ]);
    for (const output of loop(builder, input, builder.int64(2), small)) builder.output(output, 'float32');
  });
  assert.ok(operatorsOf(open).includes('Loop'));
});

test('simplifyModel takes the branch of a condition on a known shape', async () => {
  const simple = await simplified((builder, x) => {
    const size = builder.node('Gather', [builder.node('Shape', [x]), builder.int64(1)], { axis: int(0) });
    const wide = builder.node('Greater', [size, builder.int64(2)]);
    const branch = (operator: string) => {
      const graph = builder.subgraph(operator);
      graph.output(graph.node(operator, [x]), 'float32', [2, 3]);
      return graphAttribute(graph.graph());
    };
    builder.node('If', [wide], { then_branch: branch('Exp'), else_branch: branch('Sin') }, 'y');
    builder.output('y', 'float32');
  });
  assert.deepEqual(operatorsOf(simple), ['Exp']);
});

test('simplifyModel does not compute constants beyond its maximum', () => {
  const bomb = createGraphBuilder('bomb');
  const huge = bomb.node('ConstantOfShape', [bomb.int64s([1_000_000_000])]);
  bomb.output(bomb.node('Add', [huge, huge], {}, 'y'), 'float32');
  assert.deepEqual(operatorsOf(simplifyModel(bomb.model())), ['ConstantOfShape', 'Add']);
  const many = createGraphBuilder('many');
  let rows = many.node('ConstantOfShape', [many.int64s([256, 256])]);
  for (let step = 0; step < 2_000; step++) rows = many.node('Add', [rows, many.float32(step)]);
  many.output(rows, 'float32');
  const simple = simplifyModel(many.model());
  const elements = simple.graph.initializers.reduce((sum, { data }) => sum + data.length, 0);
  assert.ok(elements < 17 * 2 ** 20, `${elements} elements`);
});
