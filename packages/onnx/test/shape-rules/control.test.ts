import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createGraphBuilder,
  type Graph,
  type GraphBuilder,
  graphAttribute,
  inferShapes,
  int,
  type Model,
  renameValues,
} from '../../src/index.ts';

/** x squeezed where that is possible, else its first row, as exporters of recurrent networks write it. */
function squeezedOrFirst(rows: number, condition: (builder: GraphBuilder, x: string) => string): Model {
  const builder = createGraphBuilder('squeeze');
  const x = builder.input('x', 'float32', [rows, 4]);
  const yes = builder.subgraph('yes');
  yes.output(yes.node('Squeeze', [x, builder.int64s([0])], {}, 'squeezed'), 'float32');
  const no = builder.subgraph('no');
  no.output(no.node('Concat', [x, x], { axis: int(0) }, 'twice'), 'float32');
  const branches = { then_branch: graphAttribute(yes.graph()), else_branch: graphAttribute(no.graph()) };
  builder.output(builder.node('If', [condition(builder, x)], branches, 'y'), 'float32');
  return builder.model();
}

const input = (builder: GraphBuilder): string => builder.input('condition', 'bool', []);

test('inferShapes takes a branch that contradicts itself for one that does not run', () => {
  assert.deepEqual(inferShapes(squeezedOrFirst(2, input)).get('y')?.shape, [4, 4]);
  assert.deepEqual(inferShapes(squeezedOrFirst(1, input)).get('y')?.shape, undefined);
});

test('inferShapes infers the branch that a known condition takes, and refuses what contradicts itself there', () => {
  const isOne = (builder: GraphBuilder, x: string): string => {
    const rows = builder.node('Shape', [x], { end: int(1) });
    return builder.node('Equal', [rows, builder.int64s([1])]);
  };
  assert.deepEqual(inferShapes(squeezedOrFirst(1, isOne)).get('y')?.shape, [4]);
  assert.deepEqual(inferShapes(squeezedOrFirst(2, isOne)).get('y')?.shape, [4, 4]);
  const isSeveral = (builder: GraphBuilder, x: string): string => builder.node('Not', [isOne(builder, x)]);
  assert.throws(() => inferShapes(squeezedOrFirst(2, isSeveral)), { code: 'invalid-model' });
});

test('inferShapes refuses two branches that both contradict themselves, and one that misses a value', () => {
  const builder = createGraphBuilder('both');
  const x = builder.input('x', 'float32', [2, 4]);
  const condition = input(builder);
  const wrong = (name: string): Graph => {
    const graph = builder.subgraph(name);
    graph.output(graph.node('Squeeze', [x, builder.int64s([0])], {}, name), 'float32');
    return graph.graph();
  };
  const branches = { then_branch: graphAttribute(wrong('a')), else_branch: graphAttribute(wrong('b')) };
  builder.node('If', [condition], branches);
  assert.throws(() => inferShapes(builder.model()), { code: 'invalid-model', message: /Squeeze/ });
  const model = squeezedOrFirst(1, input);
  const nodes = model.graph.nodes.map((node) => renameValues(node, (name) => (name === 'x' ? 'z' : name)));
  const missing = { ...model, graph: { ...model.graph, nodes } };
  assert.throws(() => inferShapes(missing), { code: 'invalid-model', message: /to be given before/ });
});
