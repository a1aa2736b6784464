import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createGraphBuilder,
  type Dimension,
  float,
  float32Tensor,
  type Graph,
  type GraphBuilder,
  graphAttribute,
  inferNode,
  inferShapes,
  inferSubgraph,
  int,
  ints,
  OnnxError,
  text,
} from '../src/index.ts';

/** The shapes of some values of what a builder has so far. */
const shapesIn = (builder: GraphBuilder, ...values: readonly string[]) => {
  const known = inferShapes(builder.model());
  return values.map((value) => known.get(value)?.shape);
};

test('inferShapes follows a shape through Shape, Concat and Reshape', () => {
  const builder = createGraphBuilder('shapes');
  const x = builder.input('x', 'float32', ['batch', 'context', 12]);
  const lead = builder.node('Shape', [x], { end: int(2) });
  const shape = builder.node('Concat', [lead, builder.int64s([3, 4])], { axis: int(0) });
  const heads = builder.node('Reshape', [x, shape]);
  const turned = builder.node('Transpose', [heads], { perm: ints([0, 2, 1, 3]) });
  const flat = builder.node('Reshape', [turned, builder.int64s([-1, 4])]);
  const known = inferShapes(builder.model());
  assert.deepEqual(known.get(turned)?.shape, ['batch', 3, 'context', 4]);
  assert.deepEqual(known.get(flat)?.shape, ['3*batch*context', 4]);
});

test('inferShapes refuses axes that do not exist', () => {
  const builder = createGraphBuilder('axes');
  const x = builder.input('x', 'float32', [2, 3]);
  builder.node('Concat', [x, x], { axis: int(2) });
  assert.throws(() => inferShapes(builder.model()), OnnxError);
});

test('inferShapes stays small on a graph that doubles something with every node', () => {
  const builder = createGraphBuilder('doubling');
  const x = builder.input('x', 'float32', ['n']);
  let list = builder.node('Shape', [x]);
  let grown = x;
  let wide = builder.node('Reshape', [x, builder.int64s([-1, 1])]);
  for (let index = 0; index < 200; index++) {
    list = builder.node('Concat', [list, list], { axis: int(0) });
    grown = builder.node('Tile', [grown, builder.node('Shape', [grown])]);
    wide = builder.node('Concat', [wide, wide], { axis: int(0) });
  }
  const known = inferShapes(builder.model());
  const text = (value: string): Dimension => String(known.get(value)?.shape);
  assert.equal(text(grown), '?');
  assert.equal(known.get(list)?.elements, undefined);

  const gathers = createGraphBuilder('ranks');
  let indices = gathers.input('i', 'int64', [2, 2]);
  for (let index = 0; index < 40; index++) indices = gathers.node('Gather', [indices, indices]);
  assert.throws(() => inferShapes(gathers.model()), { code: 'invalid-model' });
});

test('inferShapes follows the shapes that exporters compute in the graph', () => {
  const builder = createGraphBuilder('view');
  const x = builder.input('x', 'float32', ['batch', 'context', 64]);
  const sizeOf = (axis: number): string =>
    builder.node('Unsqueeze', [
      builder.node('Gather', [builder.node('Shape', [x]), builder.int64(axis)]),
      builder.int64s([0]),
    ]);
  const heads = builder.node('Div', [sizeOf(2), builder.int64s([16])]);
  const wanted = builder.node('Concat', [sizeOf(0), builder.int64s([-1]), heads, builder.int64s([16])], {
    axis: int(0),
  });
  const viewed = builder.node('Reshape', [x, wanted]);
  const rows = builder.node('Mul', [sizeOf(0), sizeOf(1)]);
  const narrow = builder.node('Cast', [builder.node('Concat', [rows, heads], { axis: int(0) })], {
    to: int(6),
  });
  const wide = builder.node('Cast', [narrow], { to: int(7) });
  const tail = builder.node('Concat', [wide, builder.int64s([-1])], { axis: int(0) });
  const flat = builder.node('Reshape', [viewed, tail]);
  const back = builder.node('Reshape', [flat, builder.node('Shape', [x])]);
  assert.deepEqual(shapesIn(builder, viewed, flat, back), [
    ['batch', 'context', 4, 16],
    ['batch*context', 4, 16],
    ['batch', 'context', 64],
  ]);
});

test('inferShapes follows an expansion whose -1 keeps a size', () => {
  const builder = createGraphBuilder('expand');
  const x = builder.input('x', 'float32', ['batch', 1, 3]);
  const shape = builder.node(
    'Concat',
    [
      builder.node('Slice', [builder.node('Shape', [x]), builder.int64s([0]), builder.int64s([1])]),
      builder.int64s([5, -1]),
    ],
    { axis: int(0) },
  );
  const ones = builder.node('ConstantOfShape', [builder.int64s([3])], {
    value: { kind: 'tensor', value: { name: '', type: 'int64', shape: [1], data: BigInt64Array.of(1n) } },
  });
  const keeps = builder.node('Equal', [shape, builder.node('Mul', [ones, builder.int64(-1)])]);
  const expanded = builder.node('Expand', [x, builder.node('Where', [keeps, ones, shape])]);
  assert.deepEqual(shapesIn(builder, expanded), [['batch', 5, 3]]);
});

test('inferShapes follows padding that is turned around in the graph', () => {
  const builder = createGraphBuilder('pad');
  const x = builder.input('x', 'float32', ['batch', 3, 'height', 8]);
  const zeros = builder.node('ConstantOfShape', [builder.int64s([4])], {
    value: { kind: 'tensor', value: { name: '', type: 'int64', shape: [1], data: BigInt64Array.of(0n) } },
  });
  const all = builder.node('Concat', [builder.int64s([1, 2, 3, 4]), zeros], { axis: int(0) });
  const pairs = builder.node('Reshape', [all, builder.int64s([-1, 2])]);
  const reversed = builder.node('Slice', [
    ...[pairs, builder.int64s([-1]), builder.int64s([-(2 ** 53)]), builder.int64s([0]), builder.int64s([-1])],
  ]);
  const turned = builder.node('Transpose', [reversed], { perm: ints([1, 0]) });
  const padded = builder.node('Pad', [x, builder.node('Reshape', [turned, builder.int64s([-1])])]);
  assert.deepEqual(shapesIn(builder, padded), [['batch', 3, 'height + 7', 11]]);
});

test('inferShapes keeps sums of symbols: a cache grows and is cut', () => {
  const builder = createGraphBuilder('cache');
  const past = builder.input('past', 'float32', ['batch', 'past', 8]);
  const x = builder.input('x', 'float32', ['batch', 'context', 8]);
  const all = builder.node('Concat', [past, x], { axis: int(1) });
  const slice = (start: number, end: number): string =>
    builder.node('Slice', [all, builder.int64s([start]), builder.int64s([end]), builder.int64s([1])]);
  const without = slice(1, 2 ** 53);
  const shifted = slice(0, -1);
  const last = slice(-1, 2 ** 53);
  const [first, second] = builder.nodes(
    'Split',
    [
      all,
      builder.node(
        'Concat',
        [
          builder.node('Shape', [past], { start: int(1), end: int(2) }),
          builder.node('Shape', [x], { start: int(1), end: int(2) }),
        ],
        { axis: int(0) },
      ),
    ],
    ['first', 'second'],
    { axis: int(1) },
  );
  assert.deepEqual(shapesIn(builder, all, without, shifted, last, first as string, second as string), [
    ['batch', 'context + past', 8],
    ['batch', 'context + past - 1', 8],
    ['batch', 'context + past - 1', 8],
    ['batch', 1, 8],
    ['batch', 'past', 8],
    ['batch', 'context', 8],
  ]);
});

test('inferShapes gives a stack of strided convolutions one rounding, and same padding the same symbol', () => {
  const builder = createGraphBuilder('convolutions');
  let x = builder.input('x', 'float32', ['batch', 3, 'height', 'width']);
  const weight = builder.input('w', 'float32', [3, 3, 3, 3]);
  const same = builder.node('Conv', [x, weight], { pads: ints([1, 1, 1, 1]) });
  const auto = builder.node('Conv', [x, weight], { auto_pad: text('SAME_UPPER'), strides: ints([2, 1]) });
  const strided = { pads: ints([1, 1, 1, 1]), strides: ints([2, 2]) };
  for (let index = 0; index < 4; index++) x = builder.node('Conv', [x, weight], strided);
  x = builder.node('MaxPool', [x], { kernel_shape: ints([3, 3]), ...strided });
  const up = builder.node('Resize', [x, '', float32(builder, [1, 1, 2, 2])]);
  assert.deepEqual(shapesIn(builder, same, auto, x, up), [
    ['batch', 3, 'height', 'width'],
    ['batch', 3, 'floor((height + 1)/2)', 'width'],
    ['batch', 3, 'floor((height + 31)/32)', 'floor((width + 31)/32)'],
    ['batch', 3, '2*floor((height + 31)/32)', '2*floor((width + 31)/32)'],
  ]);
});

const float32 = (builder: GraphBuilder, values: readonly number[]): string =>
  builder.initializer(float32Tensor(`values ${values}`, values));

test('inferShapes names a dimension without a name after its input', () => {
  const builder = createGraphBuilder('nameless');
  const x = builder.input('x', 'float32', ['?', 4]);
  const y = builder.input('y', 'float32', ['?', 4]);
  const product = builder.node('MatMul', [x, builder.node('Transpose', [y])]);
  const sum = builder.node('Add', [x, y]);
  assert.deepEqual(shapesIn(builder, product, sum), [
    ['x[0]', 'y[0]'],
    ['?', 4],
  ]);
});

test('inferShapes leaves sizes that depend on data unknown', () => {
  const builder = createGraphBuilder('data');
  const x = builder.input('x', 'float32', ['batch', 4]);
  const places = builder.node('NonZero', [x]);
  const chosen = builder.node('GatherND', [x, builder.node('Transpose', [places])]);
  assert.deepEqual(shapesIn(builder, places, chosen), [[2, '?'], ['?']]);
});

/** A body that adds its second input to its first and doubles the sum. */
function addingBody(
  outer: GraphBuilder,
  inputs: readonly (readonly [string, readonly Dimension[]])[],
): Graph {
  const body = outer.subgraph('body');
  const [state, step] = inputs.map(([name, shape]) => body.input(name, 'float32', shape));
  const sum = body.node('Add', [state as string, step as string], {}, 'sum');
  body.output(sum, 'float32');
  body.output(body.node('Concat', [sum, sum], { axis: int(0) }, 'double'), 'float32');
  return body.graph();
}

test('inferShapes goes through the body of Scan, and inferSubgraph gives what is inside', () => {
  const builder = createGraphBuilder('scan');
  const x = builder.input('x', 'float32', ['batch', 'context', 4]);
  const start = builder.input('start', 'float32', ['batch', 4]);
  const body = addingBody(builder, [
    ['state', []],
    ['step', []],
  ]);
  const [final, all] = builder.nodes('Scan', [start, x], ['final', 'all'], {
    body: graphAttribute(body),
    num_scan_inputs: int(1),
    scan_input_axes: ints([1]),
  });
  assert.deepEqual(shapesIn(builder, final as string, all as string), [
    ['batch', 4],
    ['context', '2*batch', 4],
  ]);
  const row = { type: 'float32', shape: ['batch', 4] } as const;
  const inside = inferSubgraph(body, [row, row], new Map());
  assert.deepEqual(inside.get('double')?.shape, ['2*batch', 4]);
});

test('inferShapes keeps of a loop what holds for every turn', () => {
  const builder = createGraphBuilder('loop');
  const x = builder.input('x', 'float32', ['batch', 4]);
  const body = builder.subgraph('body');
  body.input('turn', 'int64', []);
  body.input('go', 'bool', []);
  const carried = body.input('carried', 'float32', []);
  body.output('go', 'bool');
  body.output(body.node('Concat', [carried, x], { axis: int(0) }, 'longer'), 'float32');
  body.output(body.node('Relu', [x], {}, 'row'), 'float32');
  const [grown, rows] = builder.nodes('Loop', [builder.int64(3), '', x], ['grown', 'rows'], {
    body: graphAttribute(body.graph()),
  });
  assert.deepEqual(shapesIn(builder, grown as string, rows as string), [
    ['?', 4],
    ['?', 'batch', 4],
  ]);
});

test('inferShapes keeps of two branches what they have in common', () => {
  const builder = createGraphBuilder('branches');
  const x = builder.input('x', 'float32', ['batch', 4]);
  const branch = (name: string, length: number): Graph => {
    const graph = builder.subgraph(name);
    const parts = Array.from({ length }, () => x);
    graph.output(graph.node('Concat', parts, { axis: int(0) }, name), 'float32');
    return graph.graph();
  };
  const attributes = {
    then_branch: graphAttribute(branch('one', 1)),
    else_branch: graphAttribute(branch('two', 2)),
  };
  const open = builder.node('If', [builder.input('condition', 'bool', [])], attributes, 'open');
  assert.deepEqual(shapesIn(builder, open), [['?', 4]]);
});

test('inferShapes takes time in proportion to nested loops that disagree with themselves', () => {
  const builder = createGraphBuilder('nested');
  const x = builder.input('x', 'float32', [2]);
  const nest = (outer: GraphBuilder, depth: number): Graph => {
    const body = outer.subgraph(`body${depth}`);
    body.input(`turn${depth}`, 'int64', []);
    const go = body.input(`go${depth}`, 'bool', []);
    const carried = body.input(`carried${depth}`, 'float32', []);
    const longer = body.node('Concat', [carried, x], { axis: int(0) });
    const inner =
      depth === 0
        ? longer
        : (body.nodes('Loop', ['', go, longer], ['inner'], {
            body: graphAttribute(nest(body, depth - 1)),
          })[0] as string);
    body.output(go, 'bool');
    body.output(inner, 'float32');
    return body.graph();
  };
  const [grown] = builder.nodes('Loop', ['', '', x], ['grown'], { body: graphAttribute(nest(builder, 14)) });
  const from = performance.now();
  assert.deepEqual(shapesIn(builder, grown as string), [undefined]);
  assert.ok(performance.now() - from < 2_000);
});

test('inferNode gives what inferShapes gives', () => {
  const builder = createGraphBuilder('one');
  const x = builder.input('x', 'float32', ['batch', 6]);
  const y = builder.node('Elu', [x], { alpha: float(2) });
  const model = builder.model();
  const known = inferShapes(model);
  const [node] = model.graph.nodes;
  assert.ok(node);
  assert.deepEqual(inferNode(node, known), [known.get(y)]);
  assert.throws(() => inferNode(node, new Map()), { code: 'invalid-model' });
});

/** Nodes over x [2, 3, 4, 4], w [5, 3, 3, 3] and v [3] that cannot be. */
const contradictions: Readonly<Record<string, (builder: GraphBuilder) => void>> = {
  'a reshape to another number of elements': (builder) =>
    builder.node('Reshape', ['x', builder.int64s([7, -1])]),
  'a reshape with two open sizes': (builder) => builder.node('Reshape', ['x', builder.int64s([-1, -1])]),
  'a copied dimension that is not there': (builder) =>
    builder.node('Reshape', ['v', builder.int64s([1, 0, 3])]),
  'a permutation that repeats': (builder) => builder.node('Transpose', ['x'], { perm: ints([0, 1, 1, 2]) }),
  'a kernel that does not fit': (builder) =>
    builder.node('AveragePool', ['x'], { kernel_shape: ints([9, 9]) }),
  'a window with a stride of 0': (builder) =>
    builder.node('MaxPool', ['x'], { kernel_shape: ints([2, 2]), strides: ints([0, 1]) }),
  'channels that differ': (builder) => builder.node('Conv', ['x', 'w'], { group: int(3) }),
  'a squeeze of a long dimension': (builder) => builder.node('Squeeze', ['x', builder.int64s([1])]),
  'an axis that is added twice': (builder) => builder.node('Unsqueeze', ['x', builder.int64s([0, 0])]),
  'parts that do not add up': (builder) =>
    builder.nodes('Split', ['x', builder.int64s([1, 1])], ['a', 'b'], { axis: int(1) }),
  'a sum of different letters': (builder) => builder.node('Einsum', ['v', 'w'], { equation: text('i,ijkl') }),
  'fewer terms than inputs': (builder) => builder.node('Einsum', ['v', 'v'], { equation: text('i->i') }),
  'a negative size': (builder) => builder.node('ConstantOfShape', [builder.int64s([-3])]),
  'a step of 0': (builder) =>
    builder.node('Slice', [
      'x',
      builder.int64s([0]),
      builder.int64s([1]),
      builder.int64s([0]),
      builder.int64s([0]),
    ]),
  'a scan of nothing': (builder) =>
    builder.nodes('Scan', ['x'], ['y'], {
      body: graphAttribute(builder.subgraph('b').graph()),
      num_scan_inputs: int(2),
    }),
  'a branch without a graph': (builder) => builder.node('If', ['v']),
};

for (const [name, add] of Object.entries(contradictions))
  test(`inferShapes refuses ${name}`, () => {
    const builder = createGraphBuilder('contradiction');
    builder.input('x', 'float32', [2, 3, 4, 4]);
    builder.input('w', 'float32', [5, 3, 3, 3]);
    builder.input('v', 'float32', [3]);
    add(builder);
    assert.throws(
      () => inferShapes(builder.model()),
      (error: OnnxError) => error instanceof OnnxError && error.code === 'invalid-model',
    );
  });
