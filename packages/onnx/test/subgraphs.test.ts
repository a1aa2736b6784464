import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allNames,
  capturedValues,
  checkModel,
  createGraphBuilder,
  type Graph,
  type GraphBuilder,
  graphAttribute,
  type Model,
  mapSubgraphs,
  OnnxError,
  pruneModel,
  readModel,
  renameValues,
  subgraphsOf,
  usedValues,
  writeModel,
} from '../src/index.ts';

/** y = flag ? 2·(x + 1) : x, in which both branches take from outside. */
function choice(inThen: (branch: GraphBuilder, doubled: string) => string = (_, doubled) => doubled): Model {
  const builder = createGraphBuilder('choice');
  const flag = builder.input('flag', 'bool', []);
  builder.input('unused', 'float32', [3]);
  const x = builder.input('x', 'float32', [3]);
  const sum = builder.node('Add', [x, builder.float32(1)], {}, 'sum');
  const then = builder.subgraph('then');
  then.output(inThen(then, then.node('Mul', [sum, then.float32(2)], {}, 'sum')), 'float32', [3]);
  const otherwise = builder.subgraph('else');
  otherwise.output(otherwise.node('Identity', [x], {}, 'same'), 'float32', [3]);
  builder.node(
    'If',
    [flag],
    { then_branch: graphAttribute(then.graph()), else_branch: graphAttribute(otherwise.graph()) },
    'y',
  );
  builder.output('y', 'float32', [3]);
  return builder.model();
}

const ifOf = (model: Model) => {
  const node = model.graph.nodes.find(({ operator }) => operator === 'If');
  assert.ok(node);
  return node;
};

test('createGraphBuilder gives names inside graphs that differ from those outside', () => {
  const model = choice();
  const names = [...allNames(model.graph)];
  assert.deepEqual(names.filter((name) => name.startsWith('sum')).sort(), ['sum', 'sum_1']);
  const later = createGraphBuilder('later', model);
  assert.equal(later.node('Neg', ['x'], {}, 'sum_1'), 'sum_1_1');
});

test('usedValues lists inputs and what the graphs inside capture', () => {
  assert.deepEqual([...usedValues(ifOf(choice()))].sort(), ['flag', 'sum', 'x']);
  const [then] = subgraphsOf(ifOf(choice()));
  assert.ok(then);
  assert.deepEqual(capturedValues(then), ['sum']);
});

test('renameValues renames captured values and leaves what the graphs give themselves', () => {
  const renamed = renameValues(ifOf(choice()), (name) =>
    name === 'sum_1' || name === 'sum' ? 'other' : name,
  );
  assert.deepEqual([...usedValues(renamed)].sort(), ['flag', 'other', 'x']);
  assert.deepEqual(
    subgraphsOf(renamed).map(({ outputs }) => outputs[0]?.name),
    ['sum_1', 'same'],
  );
});

test('pruneModel keeps what only a graph inside a node uses', () => {
  const pruned = pruneModel(choice(), ['y']);
  checkModel(pruned);
  assert.deepEqual(
    pruned.graph.nodes.map(({ operator }) => operator),
    ['Add', 'If'],
  );
  assert.deepEqual(
    pruned.graph.inputs.map(({ name }) => name),
    ['flag', 'x'],
  );
});

test('readModel and writeModel hold graphs inside attributes', () => {
  assert.deepEqual(readModel(writeModel(choice())), choice());
});

test('readModel accepts values of nested graphs without a type, and only those', () => {
  const model = choice();
  const untype = (graph: Graph): Graph => ({
    ...graph,
    outputs: graph.outputs.map(({ name }) => ({ name, type: 'float32', untyped: true })),
  });
  const nodes = model.graph.nodes.map((node) => ({
    ...node,
    attributes: mapSubgraphs(node.attributes, untype),
  }));
  const untyped = { ...model, graph: { ...model.graph, nodes } };
  assert.deepEqual(readModel(writeModel(untyped)), untyped);
  assert.throws(
    () => readModel(writeModel({ ...model, graph: untype(model.graph) })),
    /expected a tensor type/,
  );
});

const refused = (model: Model, message: RegExp): void =>
  assert.throws(
    () => checkModel(model),
    (error) => {
      assert.ok(error instanceof OnnxError);
      assert.match(error.message, message);
      return true;
    },
  );

test('checkModel looks inside graphs', () => {
  checkModel(choice());
  refused(
    choice((branch) => branch.node('Neg', ['nowhere'])),
    /nowhere, which nothing gives/,
  );
  refused(
    choice((branch) => branch.node('Neg', ['y'])),
    /uses y, which nothing gives/,
  );
  refused(
    choice(() => 'nothing'),
    /output nothing: nothing gives it/,
  );
  refused(
    choice((branch, doubled) =>
      branch.initializer({ name: doubled, type: 'bool', shape: [], data: Uint8Array.of(1) }),
    ),
    /sum_1 is given twice/,
  );
});

test('readModel refuses graphs nested without end', () => {
  const nest = (depth: number): Model => {
    const builder = createGraphBuilder('nest');
    let inner = builder.subgraph('innermost').graph();
    for (let level = 1; level < depth; level++) {
      const around = builder.subgraph('around');
      around.node('If', [], { then_branch: graphAttribute(inner) });
      inner = around.graph();
    }
    return { ...builder.model(), graph: inner };
  };
  assert.deepEqual(readModel(writeModel(nest(16))), nest(16));
  assert.throws(() => readModel(writeModel(nest(17))), /at most 16 graphs inside each other/);
});
