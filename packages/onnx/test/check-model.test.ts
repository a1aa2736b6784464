import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkModel,
  createGraphBuilder,
  type Graph,
  type Model,
  type Node,
  OnnxError,
} from '../src/index.ts';

/** y = (a + b)·b. */
function valid(): Model {
  const builder = createGraphBuilder('valid');
  const a = builder.input('a', 'float32', [2, 3]);
  const b = builder.input('b', 'float32', [3]);
  builder.node('Mul', [builder.node('Add', [a, b], {}, 'sum'), b], {}, 'y');
  builder.output('y', 'float32', [2, 3]);
  return builder.model();
}

const withGraph = (change: (graph: Graph) => Partial<Graph>): Model => {
  const model = valid();
  return { ...model, graph: { ...model.graph, ...change(model.graph) } };
};

const withNode = (index: number, change: Partial<Node>): Model =>
  withGraph(({ nodes }) => ({ nodes: nodes.with(index, { ...(nodes[index] as Node), ...change }) }));

const invalid: Readonly<Record<string, readonly [Model, RegExp]>> = {
  'a value used before it is computed': [
    withGraph(({ nodes }) => ({ nodes: nodes.toReversed() })),
    /y.* uses sum before it is computed/,
  ],
  'a cycle': [
    withNode(0, { inputs: ['y', 'b'] }),
    /uses y before it is computed: expected an order without cycles/,
  ],
  'a value that nothing gives': [withNode(0, { inputs: ['c', 'b'] }), /uses c, which nothing gives/],
  'a name given twice': [withNode(1, { outputs: ['sum'] }), /sum is given twice/],
  'an output that shadows an input': [withNode(0, { outputs: ['a'] }), /a is given twice/],
  'an output that nothing gives': [
    withGraph(() => ({ outputs: [{ name: 'z', type: 'float32' }] })),
    /output z: nothing gives it/,
  ],
  'an output declared twice': [
    withGraph(({ outputs }) => ({ outputs: [...outputs, ...outputs] })),
    /output y is declared twice/,
  ],
  'an output of another shape': [
    withGraph(() => ({ outputs: [{ name: 'y', type: 'float32', shape: [2, 4] }] })),
    /declared as \[2,4\], computed as \[2,3\]/,
  ],
  'an output of another rank': [
    withGraph(() => ({ outputs: [{ name: 'y', type: 'float32', shape: [3] }] })),
    /declared as \[3\]/,
  ],
  'an output of another type': [
    withGraph(() => ({ outputs: [{ name: 'y', type: 'float64', shape: [2, 3] }] })),
    /declared as float64/,
  ],
  'shapes that do not broadcast': [
    withGraph(({ inputs }) => ({ inputs: inputs.with(1, { name: 'b', type: 'float32', shape: [4] }) })),
    /do not broadcast/,
  ],
  'inner dimensions that differ': [
    withNode(0, { operator: 'MatMul', inputs: ['a', 'a'] }),
    /inner dimensions/,
  ],
  'a domain without a version': [withNode(0, { domain: 'org.example' }), /org\.example/],
  'a node without an operator': [withNode(0, { operator: '' }), /no operator/],
  'an input without a name': [withGraph(() => ({ inputs: [{ name: '', type: 'float32' }] })), /no name/],
  'an initializer that does not fill its shape': [
    withGraph(() => ({
      initializers: [{ name: 'w', type: 'float32', shape: [2], data: new Float32Array(3) }],
    })),
    /3 values for shape \[2\]/,
  ],
};

test('checkModel accepts a valid model', () => {
  checkModel(valid());
});

for (const [what, [model, message]] of Object.entries(invalid))
  test(`checkModel refuses ${what}`, () => {
    assert.throws(
      () => checkModel(model),
      (error) => {
        assert.ok(error instanceof OnnxError);
        assert.equal(error.code, 'invalid-model');
        assert.match(error.message, message);
        return true;
      },
    );
  });

test('checkModel takes an operator named like a property of objects for an unknown one', () => {
  checkModel(withNode(0, { operator: 'constructor' }));
  checkModel(withNode(0, { operator: '__proto__' }));
});
