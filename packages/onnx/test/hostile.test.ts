import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Attribute,
  type Attributes,
  checkModel,
  createGraphBuilder,
  type GraphBuilder,
  gpt,
  graphAttribute,
  inferShapes,
  int,
  type Model,
  type Node,
  OnnxError,
  readModel,
  simplifyModel,
  upgradeModel,
  writeModel,
} from '../src/index.ts';
import { decodeModel } from '../src/message.ts';
import { noise } from './run-model.ts';
import { oldModel, oldNodes } from './upgrade/old-models.ts';

const fixture = (name: string): Uint8Array =>
  Uint8Array.from(readFileSync(new URL(`./fixtures/${name}`, import.meta.url)));

/** A loop in which a branch reads a value from outside. */
function nested(): Model {
  const builder = createGraphBuilder('nested');
  const x = builder.input('x', 'float32', [2]);
  const flag = builder.input('flag', 'bool', []);
  const body = builder.subgraph('body');
  body.input('round', 'int64', []);
  const goes = body.input('goes', 'bool', []);
  const state = body.input('state', 'float32', [2]);
  const branch = (operator: string) => {
    const graph = body.subgraph(operator);
    graph.output(graph.node(operator, [state, x]), 'float32', [2]);
    return graphAttribute(graph.graph());
  };
  const next = body.node('If', [flag], { then_branch: branch('Add'), else_branch: branch('Sub') });
  body.output(body.node('Identity', [goes]), 'bool', []);
  body.output(next, 'float32', [2]);
  builder.node('Loop', [builder.int64(3), '', x], { body: graphAttribute(body.graph()) }, 'y');
  builder.output('y', 'float32', [2]);
  return builder.model();
}

const old = oldModel({
  operator: 'Softmax',
  opset: 9,
  feeds: { x: noise([2, 3, 4], 'x') },
  attributes: { axis: int(1) },
});

const seeds: readonly Uint8Array[] = [
  ...['official.onnx', 'functions.onnx', 'sparse.onnx', 'external.onnx'].map(fixture),
  ...[nested(), old, gpt({ vocabulary: 5, context: 4, width: 4, layers: 1, heads: 2 })].map(writeModel),
];

/** One node each, in the forms of older opsets. */
const olds: readonly Uint8Array[] = oldNodes.map((each) => writeModel(oldModel(each)));

/** Everything that happens to a file; only an `OnnxError` may come out. */
function open(bytes: Uint8Array): Model | OnnxError {
  try {
    const model = readModel(bytes, { external: (_, __, length) => new Uint8Array(Math.min(length, 1_000)) });
    checkModel(model);
    const simple = simplifyModel(upgradeModel(model));
    checkModel(simple);
    inferShapes(simple);
    writeModel(simple);
    return simple;
  } catch (error) {
    if (error instanceof OnnxError) return error;
    throw error;
  }
}

test('a file that is cut off anywhere ends in a model or an OnnxError', () => {
  for (const seed of seeds) {
    const results = Array.from({ length: Math.min(seed.length, 1_500) }, (_, end) =>
      open(seed.subarray(0, end)),
    );
    assert.ok(results.some((result) => result instanceof OnnxError));
    assert.ok(!(open(seed) instanceof OnnxError), 'the whole file is a model');
  }
});

/** Changes to bytes: other values, and stretches that are doubled or cut out. */
const change = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), at: fc.nat(), value: fc.nat(255) }),
  fc.record({ kind: fc.constant('flip' as const), at: fc.nat(), value: fc.nat(7) }),
  fc.record({ kind: fc.constant('double' as const), at: fc.nat(), value: fc.nat(40) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(), value: fc.nat(10) }),
);

test('a damaged file ends in a model or an OnnxError', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds, ...olds),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      (seed, changes) => {
        const bytes = Array.from(seed);
        for (const { kind, at, value } of changes) {
          const index = at % bytes.length;
          if (kind === 'set') bytes[index] = value;
          else if (kind === 'flip') bytes[index] = (bytes[index] as number) ^ (1 << value);
          else if (kind === 'double') bytes.splice(index, 0, ...bytes.slice(index, index + value));
          else bytes.splice(index, value);
        }
        open(Uint8Array.from(bytes));
      },
    ),
    { numRuns: 3_000 },
  );
});

const oddNumber = fc.oneof(
  fc.constantFrom(0, -1, 1, 2, 3, -(2 ** 31), 2 ** 31, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
  fc.integer({ min: -9, max: 9 }),
);
const oddAttribute: fc.Arbitrary<Attribute> = fc.oneof(
  oddNumber.map((value): Attribute => ({ kind: 'int', value })),
  fc.array(oddNumber, { maxLength: 5 }).map((value): Attribute => ({ kind: 'ints', value })),
  fc.constantFrom(0, -1, 2.5, 3e38).map((value): Attribute => ({ kind: 'float', value })),
  fc.string({ maxLength: 3 }).map((value): Attribute => ({ kind: 'text', value })),
);
const oddShape = fc.option(
  fc.array(fc.oneof(fc.nat(4), fc.constantFrom('batch', '?', 2 ** 40)), { maxLength: 5 }),
  { nil: undefined },
);

/** What is changed about a node and its inputs: absurd settings, shapes, versions, operators. */
const absurdity = fc.record({
  node: fc.constantFrom(...oldNodes),
  operator: fc.option(fc.constantFrom(...oldNodes.map(({ operator }) => operator)), { nil: undefined }),
  opset: fc.integer({ min: 7, max: 23 }),
  attribute: oddAttribute,
  which: fc.nat(),
  shapes: fc.array(oddShape, { minLength: 6, maxLength: 6 }),
  dropped: fc.option(fc.nat(3), { nil: undefined }),
  asConstants: fc.boolean(),
});

test('a node with absurd settings ends in a model or an OnnxError', () => {
  fc.assert(
    fc.property(absurdity, ({ node, operator, opset, attribute, which, shapes, dropped, asConstants }) => {
      const { graph, ...model } = oldModel(node);
      const [first] = graph.nodes as [Node];
      const names = [...Object.keys(first.attributes), 'axis', 'axes', 'num_groups', 'to', 'perm'];
      const changed: Node = {
        ...first,
        operator: operator ?? first.operator,
        inputs: first.inputs.filter((_, index) => index !== dropped),
        attributes: { ...first.attributes, [names[which % names.length] as string]: attribute },
      };
      const constants = asConstants
        ? Object.entries(node.feeds).map(([name, data]) => ({ ...data, name }))
        : [];
      const inputs = graph.inputs.map(({ name, type }, index) => {
        const shape = shapes[index];
        return shape ? { name, type, shape } : { name, type };
      });
      open(
        writeModel({
          ...model,
          opsets: { '': opset },
          graph: { ...graph, nodes: [changed], inputs, initializers: [...graph.initializers, ...constants] },
        }),
      );
    }),
    { numRuns: 3_000 },
  );
});

test('a file with more values in lists than are allowed is refused, packed or not', () => {
  const node = (...fields: readonly number[]): Uint8Array =>
    Uint8Array.of(58, fields.length + 2, 10, fields.length, ...fields);
  const attribute = (...fields: readonly number[]): Uint8Array => node(42, fields.length, ...fields);
  const lists: Readonly<Record<string, Uint8Array>> = {
    'packed integers': attribute(66, 3, 1, 2, 3),
    'integers one by one': attribute(64, 1, 64, 2, 64, 3),
    texts: node(10, 0, 10, 0, 10, 0),
  };
  for (const [what, bytes] of Object.entries(lists)) {
    const decodes = (listed: number) => decodeModel(bytes, { messages: 9, graphs: 1, listed });
    assert.doesNotThrow(() => decodes(3), what);
    assert.throws(() => decodes(2), { code: 'malformed', message: /values in lists/ }, what);
  }
});

test('a file with a name that is too long is refused', () => {
  const bytes = bomb((builder) => builder.node('Neg', [builder.input('x'.repeat(4_097), 'float32', [1])]));
  assert.throws(() => readModel(bytes), { code: 'malformed', message: /at most 4096 characters, got 4097/ });
});

/** A model of the one output `y`. */
function bomb(write: (builder: GraphBuilder) => string): Uint8Array {
  const builder = createGraphBuilder('bomb');
  builder.output(write(builder), 'float32');
  return writeModel(builder.model());
}

/** Loops of a thousand rounds inside each other. */
function loops(builder: GraphBuilder, depth: number, state: string): string {
  const body = builder.subgraph('body');
  body.input(`round${depth}`, 'int64', []);
  const goes = body.input(`goes${depth}`, 'bool', []);
  const inner = body.input(`state${depth}`, 'float32', [1]);
  const next = depth === 0 ? body.node('Neg', [inner]) : loops(body, depth - 1, inner);
  body.output(body.node('Identity', [goes]), 'bool', []);
  body.output(next, 'float32', [1]);
  return builder.node('Loop', [builder.int64(1_000), '', state], { body: graphAttribute(body.graph()) });
}

/** If inside If, all conditions constant. */
function branches(builder: GraphBuilder, depth: number, condition: string): string {
  if (depth === 0) return builder.float32(1);
  const branch = () => {
    const graph = builder.subgraph('branch');
    graph.output(graph.node('Neg', [branches(graph, depth - 1, condition)]), 'float32', []);
    return graphAttribute(graph.graph());
  };
  return builder.node('If', [condition], { then_branch: branch(), else_branch: branch() });
}

const repeat = (count: number, first: string, next: (value: string) => string): string => {
  let value = first;
  for (let round = 0; round < count; round++) value = next(value);
  return value;
};

const axis: Attributes = { axis: int(0) };
const bombs: Readonly<Record<string, () => Uint8Array>> = {
  'loops inside loops': () => bomb((builder) => loops(builder, 10, builder.input('x', 'float32', [1]))),
  'branches inside branches': () =>
    bomb((builder) =>
      branches(
        builder,
        10,
        builder.initializer({ name: 'c', type: 'bool', shape: [], data: Uint8Array.of(1) }),
      ),
    ),
  'a constant that doubles': () =>
    bomb((builder) =>
      repeat(60, builder.node('Constant', [], { value_ints: { kind: 'ints', value: [1] } }), (value) =>
        builder.node('Concat', [value, value], axis),
      ),
    ),
  'huge constants': () =>
    bomb((builder) => {
      const large = builder.int64s([2 ** 40]);
      const values = [
        builder.node('ConstantOfShape', [large]),
        builder.node('Expand', [builder.float32(1), large]),
        builder.node('Tile', [builder.node('ConstantOfShape', [builder.int64s([1])]), large]),
        builder.node(
          'Cast',
          [builder.node('Range', [builder.int64(0), builder.int64(2 ** 50), builder.int64(1)])],
          { to: int(1) },
        ),
      ];
      return builder.node('Concat', values, axis);
    }),
  'a long chain of names': () =>
    bomb((builder) =>
      repeat(20_000, builder.input('x', 'float32', [1]), (value) => builder.node('Identity', [value])),
    ),
  'a long chain of constants': () =>
    bomb((builder) =>
      repeat(20_000, builder.node('ConstantOfShape', [builder.int64s([1_000])]), (value) =>
        builder.node('Neg', [value]),
      ),
    ),
  'a product of many large constants': () =>
    bomb((builder) => {
      const data = new BigInt64Array(200_000).fill(2n ** 61n + 1n);
      const all = builder.initializer({ name: 'all', type: 'int64', shape: [data.length], data });
      return builder.node('ReduceProd', [all]);
    }),
  'many attempts to compute from a long constant': () =>
    bomb((builder) => {
      const data = new Uint8Array(1_000_000).fill(1);
      const long = builder.initializer({ name: 'long', type: 'uint8', shape: [1, data.length], data });
      const found = Array.from({ length: 1_000 }, () => builder.node('NonZero', [long]));
      return builder.node('Concat', found, axis);
    }),
  'a long name that all nodes use': () =>
    bomb((builder) => {
      const name = builder.node('Identity', [builder.input('x'.repeat(4_000), 'float32', [1])]);
      return repeat(5_000, name, (value) => builder.node('Add', [name, value]));
    }),
  'long names in a loop': () =>
    bomb((builder) => {
      const body = builder.subgraph('body');
      body.input('round', 'int64', []);
      const goes = body.input('goes', 'bool', []);
      const state = body.input('state', 'float32', [1]);
      body.output(body.node('Identity', [goes]), 'bool', []);
      body.output(body.node('Neg', [state], {}, 'n'.repeat(4_000)), 'float32', [1]);
      const x = builder.input('x', 'float32', [1]);
      return builder.node('Loop', [builder.int64(5_000), '', x], { body: graphAttribute(body.graph()) });
    }),
};

for (const [what, make] of Object.entries(bombs))
  test(`a file with ${what} stays small and quick`, () => {
    const bytes = make();
    const begun = performance.now();
    const result = open(bytes);
    const seconds = (performance.now() - begun) / 1_000;
    assert.ok(seconds < 20, `${seconds} s`);
    if (!(result instanceof OnnxError)) {
      const written = writeModel(result).length;
      assert.ok(written < 50_000_000, `${written} bytes`);
    }
  });
