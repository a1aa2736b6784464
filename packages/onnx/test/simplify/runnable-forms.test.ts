import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import {
  checkModel,
  createGraphBuilder,
  type Dimension,
  type GraphBuilder,
  inferShapes,
  int,
  ints,
  type Model,
  simplifyModel,
  type Tensor,
  text,
  writeModel,
} from '../../src/index.ts';
import { assertClose, noise, runModel, tensor, type Values } from '../run-model.ts';

/** Builds a model of opset 23 with one output. */
function modelOf(write: (builder: GraphBuilder) => string): Model {
  const builder = createGraphBuilder('form');
  builder.output(write(builder), 'float32');
  return { ...builder.model(), irVersion: 11, opsets: { '': 23 } };
}

/** Simplified, and checked to be in a form that simplifying again leaves alone. */
function simplified(model: Model): Model {
  const simple = simplifyModel(model);
  checkModel(simple);
  assert.deepEqual(simplifyModel(simple), simple);
  return simple;
}

/** What onnxruntime gives with all of its own rewriting. */
async function runOptimized(model: Model, feeds: Readonly<Record<string, Tensor>>): Promise<Values> {
  const session = await InferenceSession.create(writeModel(model), { logSeverityLevel: 4 });
  const given = session.inputNames.map((name): [string, RuntimeTensor] => {
    const { data, shape } = feeds[name] as Tensor;
    return [name, new RuntimeTensor(data as Float32Array, [...shape])];
  });
  const outputs = await session.run(Object.fromEntries(given));
  return outputs as unknown as Values;
}

const sizes: readonly Dimension[] = ['batch', 'rows', 'columns'];

/** x turned, padded along some axes, and turned back. */
const padded = (axes: readonly number[], pads: (builder: GraphBuilder) => string, mode: string): Model =>
  modelOf((builder) => {
    const x = builder.input('x', 'float32', sizes);
    const turned = builder.node('Transpose', [x], { perm: ints([2, 0, 1]) });
    const inputs = [turned, pads(builder), '', builder.int64s(axes)];
    const wide = builder.node('Pad', inputs, { mode: text(mode) });
    return builder.node('Transpose', [builder.node('Relu', [wide])], { perm: ints([1, 2, 0]) });
  });

for (const mode of ['constant', 'edge'])
  for (const axes of [[0], [-1, 0], [2, 1]]) {
    const amounts = axes.flatMap((_, index) => [1 + index, 2]);
    test(`simplifyModel pads all axes where a file pads ${axes} (${mode})`, async () => {
      const model = padded(axes, (builder) => builder.int64s(amounts), mode);
      const simple = simplified(model);
      const pad = simple.graph.nodes.find(({ operator }) => operator === 'Pad');
      assert.equal(pad?.inputs.length, 2);
      assert.deepEqual(
        inferShapes(simple).get(simple.graph.outputs[0]?.name ?? '')?.shape,
        inferShapes(model).get(simple.graph.outputs[0]?.name ?? '')?.shape,
      );
      const feeds = { x: noise([2, 3, 4], 'x') };
      const expected = await runModel(model, feeds);
      assertClose(await runModel(simple, feeds), expected, 0);
      assertClose(await runOptimized(simple, feeds), expected, 0);
    });
    test(`simplifyModel pads all axes by what is computed where a file pads ${axes} (${mode})`, async () => {
      const model = padded(
        axes,
        (builder) => {
          const batch = builder.node('Shape', ['x'], { end: int(1) });
          return builder.node('Concat', [builder.int64s(amounts.slice(1)), batch], { axis: int(0) });
        },
        mode,
      );
      const simple = simplified(model);
      const feeds = { x: noise([2, 3, 4], 'x') };
      const expected = await runModel(model, feeds);
      assertClose(await runOptimized(simple, feeds), expected, 0);
    });
  }

test('simplifyModel leaves a Pad whose axes are computed', () => {
  const model = modelOf((builder) => {
    const x = builder.input('x', 'float32', ['batch', 3]);
    const axes = builder.node('Shape', [builder.input('which', 'float32', ['n'])], { end: int(1) });
    return builder.node('Pad', [x, builder.int64s([1, 1]), '', axes]);
  });
  assert.equal(simplified(model).graph.nodes.find(({ operator }) => operator === 'Pad')?.inputs.length, 4);
});

test('simplifyModel gives every sequence of a batch the angles that a file gives for all', async () => {
  const model = modelOf((builder) => {
    const x = builder.input('x', 'float32', ['batch', 2, 'length', 4]);
    const angles = builder.input('angles', 'float32', [1, 'length', 2]);
    const tables = ['Cos', 'Sin'].map((operator) => builder.node(operator, [angles]));
    return builder.node('RotaryEmbedding', [x, ...tables]);
  });
  const simple = simplified(model);
  const angles = noise([1, 3, 2], 'angles');
  const x = noise([2, 2, 3, 4], 'x');
  await assert.rejects(runModel(model, { x, angles }));
  const both = await runOptimized(simple, { x, angles });
  const output = simple.graph.outputs[0]?.name ?? '';
  const half = x.data.length / 2;
  for (const sequence of [0, 1]) {
    const one = tensor(
      [1, 2, 3, 4],
      [...(x.data as Float32Array)].slice(sequence * half, (1 + sequence) * half),
    );
    const alone = await runModel(model, { x: one, angles });
    const data = (both[output] as { data: Float32Array }).data.slice(sequence * half, (1 + sequence) * half);
    assertClose({ [output]: { dims: [1, 2, 3, 4], data } }, alone, 1e-6);
  }
});
