import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '@murmuration/base';
import {
  createGraphBuilder,
  type Dimension,
  type GraphBuilder,
  graphAttribute,
  graphOf,
  inferShapes,
  int,
  ints,
  type Model,
  type Tensor,
} from '@murmuration/onnx';
import { checkGradients, differentiate } from '../../src/index.ts';
import { runModel, tensor } from '../run-model.ts';

type Build = (builder: GraphBuilder, declare: Declare) => readonly string[];
type Declare = (name: string, shape: readonly number[], fixed?: readonly number[]) => string;

interface Built {
  readonly model: Model;
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly parameters: readonly string[];
}

const drawn = (name: string, shape: readonly number[]): Tensor => {
  const random = createRandom(name);
  const length = shape.reduce((product, size) => product * size, 1);
  return tensor(
    shape,
    Array.from({ length }, () => 2 * random.unit() - 1),
  );
};

/** A model whose loss is the weighted sum of what `build` gives. */
function modelOf(build: Build, symbolic: boolean): Built {
  const builder = createGraphBuilder('scan');
  const feeds: Record<string, Tensor> = {};
  const parameters: string[] = [];
  const declare: Declare = (name, shape, fixed = []) => {
    parameters.push(name);
    feeds[name] = drawn(name, shape);
    const dimensions = shape.map((size, axis): Dimension => (fixed.includes(axis) ? size : `n${size}`));
    return builder.input(name, 'float32', symbolic ? dimensions : shape);
  };
  const outputs = build(builder, declare);
  const sums = outputs.map((output) => {
    const waves = builder.node('Sin', [builder.node('Add', [output, builder.float32(1)])]);
    return builder.node('ReduceSum', [waves], { keepdims: int(0) });
  });
  builder.output(
    sums.reduce((total, sum) => builder.node('Add', [total, sum])),
    'float32',
    [],
  );
  return { model: builder.model(), feeds, parameters };
}

async function check(build: Build, symbolic: boolean): Promise<void> {
  const { model, feeds, parameters } = modelOf(build, symbolic);
  const loss = model.graph.outputs[0]?.name ?? '';
  const checked = await checkGradients(model, feeds, {
    loss,
    parameters,
    run: runModel,
    step: 5e-3,
    tolerance: 5e-3,
  });
  assert.equal(checked.length, parameters.length);
}

/** Two states and a counter; a weight in a product, a bias and a scale from outside; inputs along other axes. */
const general: Build = (builder, declare) => {
  const h = declare('h', [3, 4], [1]);
  const c = declare('c', [3, 4], [1]);
  const x = declare('x', [3, 5, 4], [2]);
  const z = declare('z', [5, 3, 4], [2]);
  const weight = declare('weight', [4, 4], [0, 1]);
  const bias = declare('bias', [4], [0]);
  const scale = declare('scale', [3, 1], [1]);
  const body = builder.subgraph('step');
  const [count, hIn, cIn] = [
    body.input('count', 'int64', []),
    body.input('h.in', 'float32', [3, 4]),
    body.input('c.in', 'float32', [3, 4]),
  ];
  const [xIn, zIn] = [body.input('x.in', 'float32', [3, 4]), body.input('z.in', 'float32', [3, 4])];
  const next = body.node('Add', [count, body.int64(1)]);
  const product = body.node('Add', [body.node('MatMul', [hIn, weight]), bias]);
  const other = body.node('MatMul', [body.node('Mul', [xIn, scale]), weight]);
  const step = body.node('Cast', [next], { to: int(1) });
  const hNext = body.node('Tanh', [body.node('Add', [product, body.node('Add', [other, zIn])])]);
  const cNext = body.node('Add', [body.node('Mul', [cIn, hNext]), body.node('Div', [xIn, step])]);
  const given = body.node('Mul', [cNext, zIn]);
  const repeated = body.node('Identity', [hNext]);
  for (const output of [next, hNext, cNext, given, repeated])
    body.output(output, output === next ? 'int64' : 'float32');
  const [, hLast = '', cLast = '', all = '', turned = ''] = builder.nodes(
    'Scan',
    [builder.int64(0), h, c, x, z],
    ['count.last', 'h.last', 'c.last', 'all', 'turned'],
    {
      body: graphAttribute(body.graph()),
      num_scan_inputs: int(2),
      scan_input_axes: ints([1, 0]),
      scan_input_directions: ints([1, 0]),
      scan_output_axes: ints([-1, 0]),
      scan_output_directions: ints([0, 1]),
    },
  );
  return [hLast, cLast, all, turned];
};

/** A Scan whose body is a Scan that uses values of both graphs around it. */
const nested: Build = (builder, declare) => {
  const h = declare('h', [2, 3], [1]);
  const x = declare('x', [4, 5, 2, 3], [3]);
  const weight = declare('weight', [3, 3], [0, 1]);
  const outer = builder.subgraph('outer');
  const hIn = outer.input('h.outer', 'float32', [2, 3]);
  const rows = outer.input('rows', 'float32', [5, 2, 3]);
  const inner = outer.subgraph('inner');
  const state = inner.input('h.inner', 'float32', [2, 3]);
  const row = inner.input('row', 'float32', [2, 3]);
  const mixed = inner.node('Add', [inner.node('MatMul', [state, weight]), inner.node('Mul', [row, hIn])]);
  const next = inner.node('Tanh', [mixed]);
  inner.output(next, 'float32');
  const [last = ''] = outer.nodes('Scan', [hIn, rows], ['inner.last'], {
    body: graphAttribute(inner.graph()),
    num_scan_inputs: int(1),
  });
  const copy = outer.node('Identity', [last]);
  outer.output(last, 'float32');
  outer.output(copy, 'float32');
  const [final = '', all = ''] = builder.nodes('Scan', [h, x], ['final', 'all'], {
    body: graphAttribute(outer.graph()),
    num_scan_inputs: int(1),
  });
  return [final, all];
};

/** A state that nothing changes, one that nothing reads, and a map without any state at all. */
const idle: Build = (builder, declare) => {
  const kept = declare('kept', [3]);
  const x = declare('x', [4, 3]);
  const body = builder.subgraph('step');
  const [keptIn, lostIn] = [body.input('kept.in', 'float32', [3]), body.input('lost.in', 'float32', [3])];
  const xIn = body.input('x.in', 'float32', [3]);
  const out = [
    body.node('Identity', [keptIn]),
    body.node('Identity', [xIn]),
    body.node('Mul', [keptIn, xIn]),
  ];
  for (const output of out) body.output(output, 'float32');
  assert.ok(lostIn);
  const [first = '', second = '', products = ''] = builder.nodes(
    'Scan',
    [kept, kept, x],
    ['first', 'second', 'products'],
    { body: graphAttribute(body.graph()), num_scan_inputs: int(1) },
  );
  const map = builder.subgraph('map');
  const each = map.input('each', 'float32', [3]);
  map.output(map.node('Exp', [map.node('Mul', [each, kept])]), 'float32');
  const mapped = builder.node('Scan', [x], { body: graphAttribute(map.graph()), num_scan_inputs: int(1) });
  return [first, second, products, mapped];
};

/** A body of operators that are taken apart, or give statistics to their gradients, one of them a Scan in turn. */
const fused: Build = (builder, declare) => {
  const h = declare('h', [2, 4], [1]);
  const x = declare('x', [3, 5, 2, 4], [3]);
  const gain = declare('gain', [4], [0]);
  const inputs = declare('inputs', [1, 4, 4], [0, 1, 2]);
  const recurrent = declare('recurrent', [1, 4, 4], [0, 1, 2]);
  const body = builder.subgraph('step');
  const state = body.input('h.in', 'float32', [2, 4]);
  const rows = body.input('rows', 'float32', [5, 2, 4]);
  const normal = body.node('LayerNormalization', [body.node('Add', [rows, state]), gain]);
  const scaled = body.node('RMSNormalization', [normal, gain]);
  const [all = '', last = ''] = body.nodes('RNN', [scaled, inputs, recurrent], ['all', 'last'], {
    hidden_size: int(4),
  });
  const next = body.node('Squeeze', [last, body.int64s([0])]);
  body.output(next, 'float32');
  body.output(all, 'float32');
  return builder.nodes('Scan', [h, x], ['final', 'steps'], {
    body: graphAttribute(body.graph()),
    num_scan_inputs: int(1),
  });
};

/** A Loop over the rows of a value, which the body picks by the number of the turn, with a weight as a state. */
const counted: Build = (builder, declare) => {
  const h = declare('h', [3, 4], [1]);
  const x = declare('x', [5, 3, 4], [2]);
  const weight = declare('weight', [4, 4], [0, 1]);
  const body = builder.subgraph('turn');
  const [turn] = [body.input('turn', 'int64', []), body.input('goes.on', 'bool', [])];
  const [hIn, weightIn] = [body.input('h.in', 'float32', [3, 4]), body.input('weight.in', 'float32', [4, 4])];
  const row = body.node('Gather', [x, turn]);
  const next = body.node('Tanh', [body.node('Add', [body.node('MatMul', [hIn, weightIn]), row])]);
  const outputs = [
    body.node('Identity', ['goes.on']),
    next,
    body.node('Identity', [weightIn]),
    body.node('Mul', [next, row]),
  ];
  outputs.forEach((output, index) => {
    body.output(output, index === 0 ? 'bool' : 'float32');
  });
  const count = builder.node('Gather', [builder.node('Shape', [x]), builder.int64(0)]);
  const goes = builder.initializer({ ...tensor([], [1], 'bool'), name: 'goes' });
  const [last = '', same = '', all = ''] = builder.nodes(
    'Loop',
    [count, goes, h, weight],
    ['last', 'same', 'all'],
    { body: graphAttribute(body.graph()) },
  );
  return [last, same, all];
};

/** A Loop that ends when its state has grown enough. */
const untilLarge: Build = (builder, declare) => {
  const h = declare('h', [2, 3], [1]);
  const step = declare('step', [3], [0]);
  const body = builder.subgraph('turn');
  const [, , state] = [
    body.input('turn', 'int64', []),
    body.input('goes.on', 'bool', []),
    body.input('h.in', 'float32', [2, 3]),
  ];
  const grown = body.node('Add', [body.node('Mul', [state, body.float32(1.5)]), body.node('Exp', [step])]);
  const small = body.node('Less', [body.node('ReduceMax', [grown], { keepdims: int(0) }), body.float32(20)]);
  body.output(small, 'bool');
  body.output(grown, 'float32');
  const goes = builder.initializer({ ...tensor([], [1], 'bool'), name: 'goes' });
  return builder.nodes('Loop', ['', goes, h], ['large'], { body: graphAttribute(body.graph()) });
};

for (const [name, build] of Object.entries({ general, nested, idle, fused, counted, untilLarge }))
  for (const symbolic of [false, true])
    test(`gradient of a repeated graph (${name}, ${symbolic ? 'symbolic' : 'constant'} sizes) equals central differences`, () =>
      check(build, symbolic));

test('gradient of Scan makes the gradient of a weight in one product over all steps', () => {
  const { model, parameters } = modelOf(general, true);
  const { graph } = differentiate(model, { loss: model.graph.outputs[0]?.name ?? '', parameters });
  const scans = graph.nodes.filter(({ operator }) => operator === 'Scan');
  assert.equal(scans.length, 2);
  const [, back] = scans.map((node) => graphOf(node, 'body'));
  const products = back?.nodes.filter(({ operator }) => operator === 'Gemm' || operator === 'MatMul');
  assert.ok((products?.length ?? 0) <= 3, `${products?.length} products in a step`);
  assert.ok(
    back?.inputs.every(({ name }) => !name.includes('sum.weight')),
    'a sum of weight gradients is carried from step to step',
  );
});

test('gradient of Loop keeps no weight at each turn and adds picked rows at once', () => {
  const { model, parameters } = modelOf(counted, true);
  const { graph } = differentiate(model, { loss: model.graph.outputs[0]?.name ?? '', parameters });
  const loop = graph.nodes.find(({ operator }) => operator === 'Loop');
  const back = graph.nodes.find(({ operator }) => operator === 'Scan');
  assert.ok(loop && back);
  assert.ok(!loop.inputs.includes('weight'));
  const operators = graphOf(back, 'body')?.nodes.map(({ operator }) => operator) ?? [];
  assert.ok(!operators.includes('ScatterND'), operators.join());
  assert.equal(graph.nodes.filter(({ operator }) => operator === 'ScatterND').length, 1);
});

test('differentiate leaves no stacked output of Scan that nobody reads', () => {
  const { model, parameters } = modelOf(nested, false);
  const { graph } = differentiate(model, { loss: model.graph.outputs[0]?.name ?? '', parameters });
  const read = new Set([
    ...graph.nodes.flatMap(({ inputs }) => inputs),
    ...graph.outputs.map(({ name }) => name),
  ]);
  for (const node of graph.nodes.filter(({ operator }) => operator === 'Scan')) {
    const states = node.inputs.length - (node.attributes.num_scan_inputs?.value as number);
    for (const output of node.outputs.slice(states)) assert.ok(read.has(output), output);
  }
  assert.ok(inferShapes({ ...model, graph }).size > 0);
});

test('the gradient of a weight that a body reads any number of times is found', { timeout: 120_000 }, () => {
  const builder = createGraphBuilder('deep');
  for (const [name, shape] of Object.entries({ x: [3, 2, 4], h: [2, 4], w: [4, 4] }))
    builder.input(name, 'float32', shape);
  const body = builder.subgraph('step');
  const before = body.node('Add', [
    body.input('before', 'float32', [2, 4]),
    body.input('each', 'float32', [2, 4]),
  ]);
  const after = Array.from({ length: 12_000 }).reduce<string>(
    (value) => body.node('MatMul', [value, 'w']),
    before,
  );
  body.output(after, 'float32', [2, 4]);
  const attributes = { body: graphAttribute(body.graph()), num_scan_inputs: int(1) };
  const last = builder.node('Scan', ['h', 'x'], attributes);
  builder.node('ReduceSum', [last], { keepdims: int(0) }, 'loss');
  builder.output('loss', 'float32', []);
  const { graph } = differentiate(builder.model(), { loss: 'loss', parameters: ['w'] });
  assert.ok(graph.nodes.some(({ outputs }) => outputs.includes('gradient:w')));
});
