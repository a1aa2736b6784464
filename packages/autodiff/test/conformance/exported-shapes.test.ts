import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  inferShapes,
  type KnownValue,
  type Model,
  readModel,
  type Tensor,
  upgradeModel,
} from '@murmuration/onnx';
import { caseFolders, readCase, readOnnx, readReference } from '../models/fixture.ts';
import { evaluator, type Sizes } from './evaluate.ts';
import { runTensors } from './run-case.ts';

const outputsOf = ({ graph }: Model): readonly string[] =>
  graph.nodes.flatMap(({ outputs }) => outputs.filter((output) => output !== ''));

/** Outputs of nodes of which not every dimension is known, by number or symbol. */
const unknownValues = (model: Model, known: ReadonlyMap<string, KnownValue>): readonly string[] =>
  outputsOf(model).filter((output) => known.get(output)?.shape?.includes('?') !== false);

/** The sizes that the inputs' symbols have in tensors. */
function sizesOf({ graph }: Model, feeds: readonly Tensor[]): Sizes {
  const sizes: Record<string, number> = {};
  for (const { name, shape = [] } of graph.inputs)
    shape.forEach((dimension, axis) => {
      const size = feeds.find((feed) => feed.name === name)?.shape[axis];
      if (typeof dimension === 'string' && size !== undefined) sizes[dimension] = size;
    });
  return sizes;
}

/** The model with every value that a node gives as an output. */
const withAllOutputs = (model: Model, known: ReadonlyMap<string, KnownValue>): Model => ({
  ...model,
  graph: {
    ...model.graph,
    outputs: outputsOf(model).map((name) => ({ name, type: known.get(name)?.type ?? 'float32' })),
  },
});

/** What onnxruntime says of files that it does not run as they are: rotations by cosines that are not yet spread. */
const limits = /RotaryEmbedding node.*expected to have the same shape/;

/**
 * Keras' files call the batch of each input otherwise, so that what is computed of two inputs has a size that is not
 * known; so has what a loop collects that ends by a condition.
 */
const mayBeUnknown = (file: string): boolean => file.startsWith('tf2onnx');

let files = 0;
for (const folder of caseFolders(new URL('../models/fixtures/exported/', import.meta.url))) {
  const name = folder.pathname.split('/').at(-2);
  for (const { file, inputs } of readCase(folder).exports) {
    files++;
    test(`inferShapes knows every shape in ${name}/${file}, and onnxruntime gives it`, async () => {
      const exported = readModel(readOnnx(folder, file));
      if (!mayBeUnknown(file)) assert.deepEqual(unknownValues(exported, inferShapes(exported)), []);
      const model = upgradeModel(exported);
      const known = inferShapes(model);
      if (!mayBeUnknown(file)) assert.deepEqual(unknownValues(model, known), []);
      const tensors = readReference(folder);
      const feeds = inputs.map(
        (input): Tensor => ({ ...(tensors.get(`input/${input}`) as Tensor), name: input }),
      );
      const evaluate = evaluator(sizesOf(model, feeds));
      let outputs: Awaited<ReturnType<typeof runTensors>>;
      try {
        outputs = await runTensors(withAllOutputs(model, known), feeds);
      } catch (cause) {
        assert.match(String(cause), limits);
        return;
      }
      for (const [output, { dims, type }] of Object.entries(outputs)) {
        const found = known.get(output);
        const shape = found?.shape?.map((size, axis) => evaluate(size) ?? dims[axis]);
        assert.deepEqual(shape, dims, `${output} [${found?.shape}]`);
        assert.equal(found?.type, type, output);
      }
    });
  }
}

test('exported models are there', () => {
  assert.ok(files > 50);
});
